"""What breaks RFC 6455: its close code, one received and one dropped, and a new connection."""

import pytest

from support.hostile_peer import reply_text
from support.tunnel import drop_reasons
from support.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_payload,
    fragments,
    frame,
)

PROTOCOL_ERROR, BAD_UTF8, TOO_BIG = 1002, 1007, 1009
LIMIT = 128 * 1024

# Name, bytes, close code, reason of the drop.
BREACHES = [
    ("masked", frame(BINARY, b"{}", mask=b"\x01\x02\x03\x04"), PROTOCOL_ERROR, "protocol"),
    ("reserved bit 1, as if compressed", frame(BINARY, b"{}", rsv=4), PROTOCOL_ERROR, "protocol"),
    ("reserved bit 2", frame(BINARY, b"{}", rsv=2), PROTOCOL_ERROR, "protocol"),
    ("reserved bit 3", frame(BINARY, b"{}", rsv=1), PROTOCOL_ERROR, "protocol"),
    ("reserved bit of a ping", frame(PING, rsv=4), PROTOCOL_ERROR, "protocol"),
    ("opcode 0x3", frame(0x3, b"{}"), PROTOCOL_ERROR, "protocol"),
    ("opcode 0x7", frame(0x7), PROTOCOL_ERROR, "protocol"),
    ("opcode 0xB", frame(0xB), PROTOCOL_ERROR, "protocol"),
    ("opcode 0xF", frame(0xF, b"x"), PROTOCOL_ERROR, "protocol"),
    ("fragmented ping", frame(PING, b"x", fin=False), PROTOCOL_ERROR, "protocol"),
    ("fragmented close", frame(CLOSE, close_payload(1000), fin=False), PROTOCOL_ERROR, "protocol"),
    ("ping of 126 bytes", frame(PING, b"x" * 126), PROTOCOL_ERROR, "protocol"),
    ("pong of 65,536 bytes", frame(PONG, b"x" * 65536), PROTOCOL_ERROR, "protocol"),
    ("continuation without a start", frame(CONTINUATION, b"x"), PROTOCOL_ERROR, "protocol"),
    (
        "start inside a message",
        frame(BINARY, b"{", fin=False) + frame(BINARY, b"}"),
        PROTOCOL_ERROR,
        "protocol",
    ),
    (
        "text inside a message",
        frame(BINARY, b"{", fin=False) + frame(TEXT, b"}"),
        PROTOCOL_ERROR,
        "protocol",
    ),
    (
        "length in 2 bytes that fits 7 bits",
        frame(BINARY, b"{}", width=2),
        PROTOCOL_ERROR,
        "protocol",
    ),
    (
        "length in 8 bytes that fits 2",
        frame(BINARY, b"x" * 200, width=8),
        PROTOCOL_ERROR,
        "protocol",
    ),
    (
        "length with its highest bit set",
        frame(BINARY, size=1 << 63, width=8),
        PROTOCOL_ERROR,
        "protocol",
    ),
    ("close of one byte", frame(CLOSE, b"\x03"), PROTOCOL_ERROR, "protocol"),
    ("close with 0", frame(CLOSE, close_payload(0)), PROTOCOL_ERROR, "protocol"),
    ("close with 999", frame(CLOSE, close_payload(999)), PROTOCOL_ERROR, "protocol"),
    ("close with 1004", frame(CLOSE, close_payload(1004)), PROTOCOL_ERROR, "protocol"),
    ("close with 1005", frame(CLOSE, close_payload(1005)), PROTOCOL_ERROR, "protocol"),
    ("close with 1006", frame(CLOSE, close_payload(1006)), PROTOCOL_ERROR, "protocol"),
    ("close with 1015", frame(CLOSE, close_payload(1015)), PROTOCOL_ERROR, "protocol"),
    ("close with 2999", frame(CLOSE, close_payload(2999)), PROTOCOL_ERROR, "protocol"),
    ("close with 5000", frame(CLOSE, close_payload(5000)), PROTOCOL_ERROR, "protocol"),
    ("text that is not UTF-8", frame(TEXT, b"\xc3\x28"), BAD_UTF8, "protocol"),
    ("text with a surrogate", frame(TEXT, b"\xed\xa0\x80"), BAD_UTF8, "protocol"),
    ("text cut in a character", frame(TEXT, "é".encode()[:1]), BAD_UTF8, "protocol"),
    ("close reason not UTF-8", frame(CLOSE, close_payload(1000, b"\xff")), BAD_UTF8, "protocol"),
    ("message of 129 KiB", frame(BINARY, b"0," * (129 * 512)), TOO_BIG, "too_large"),
    ("message of one byte too much", frame(BINARY, b" " * (LIMIT + 1)), TOO_BIG, "too_large"),
    ("text of one byte too much", frame(TEXT, b" " * (LIMIT + 1)), TOO_BIG, "too_large"),
    ("fragments of 129 KiB", fragments(BINARY, b"0," * (129 * 512), 4096), TOO_BIG, "too_large"),
    ("announced 1 MB", frame(BINARY, b"0,", size=1 << 20), TOO_BIG, "too_large"),
    ("announced 2^62 bytes", frame(BINARY, size=1 << 62, width=8), TOO_BIG, "too_large"),
]


@pytest.mark.parametrize(
    "sent, code, reason", [row[1:] for row in BREACHES], ids=[row[0] for row in BREACHES]
)
def test_breach_closes_with_its_code_and_is_counted_once(
    tunnel, connection, peer, sent, code, reason
):
    connection.send_while_open(sent)
    assert connection.read_until_close()[1].close_code == code
    connection.close()
    peer.accept()
    counters = tunnel.wait_for_connections(2)
    assert drop_reasons(counters, "in") == {reason: 1}
    assert counters["received_total"]["in"] == 1


@pytest.mark.parametrize(
    "sent, code",
    [
        (frame(0x3), PROTOCOL_ERROR),
        (frame(BINARY, b"{}", mask=b"mask"), PROTOCOL_ERROR),
        (frame(CLOSE, close_payload(1005)), PROTOCOL_ERROR),
        (frame(CLOSE, close_payload(1000, b"\xff")), BAD_UTF8),
        (frame(TEXT, b"\xff"), BAD_UTF8),
    ],
    ids=["opcode", "masked", "close code", "close reason", "text"],
)
def test_breach_that_comes_together_with_the_upgrade_is_treated_alike(tunnel, peer, sent, code):
    connection = peer.accept_request()
    connection.send(connection.upgrade_answer() + sent)
    assert connection.read_until_close()[1].close_code == code
    connection.close()
    counters = tunnel.wait_for_dropped("in", 1)
    assert drop_reasons(counters, "in") == {"protocol": 1}


def test_ping_that_comes_together_with_the_upgrade_is_answered(tunnel, peer):
    connection = peer.accept_request()
    connection.send(connection.upgrade_answer() + frame(PING, b"early"))
    assert connection.read_frame().payload == b"early"


def test_connection_that_began_with_a_ping_carries_datagrams(tunnel, peer):
    connection = peer.accept_request()
    connection.send(connection.upgrade_answer() + frame(PING))
    connection.read_frame()
    client = tunnel.client()
    for payload in (b"small", b"x" * 65_507):
        client.send(payload)
        asked = connection.read_datagram()
        assert asked.payload == payload
        connection.send(fragments(BINARY, reply_text(asked, payload), 1000))
        assert client.receive() == payload


def test_reply_that_comes_together_with_the_upgrade_is_delivered(tunnel, connection, peer):
    client = tunnel.client()
    client.send(b"question")
    asked = connection.read_datagram()
    connection.close()
    again = peer.accept_request()
    again.send(again.upgrade_answer() + frame(BINARY, reply_text(asked, b"answer")))
    assert client.receive() == b"answer"


def test_close_that_comes_together_with_the_upgrade_is_answered_and_told(tunnel, peer):
    connection = peer.accept_request()
    connection.send(connection.upgrade_answer() + frame(CLOSE, close_payload(1011)))
    assert connection.read_until_close()[1].close_code == 1011
    connection.close()
    tunnel.wait_for_log(r"\b1011\b")
    peer.accept()


def test_breach_is_told_with_the_code(tunnel, connection):
    connection.send(frame(0x3))
    tunnel.wait_for_log(r"^\[(ERROR|WARN) .*1002")


def test_replies_before_a_breach_are_delivered(tunnel, connection):
    client = tunnel.client()
    client.send(b"question")
    asked = connection.read_datagram()
    connection.send(frame(BINARY, reply_text(asked, b"answer")) + frame(0x3))
    assert client.receive() == b"answer"


def test_nothing_after_a_breach_is_believed(tunnel, connection, peer):
    client = tunnel.client()
    client.send(b"question")
    asked = connection.read_datagram()
    connection.send(frame(0x3) + frame(BINARY, reply_text(asked, b"answer")))
    connection.read_until_close()
    connection.close()
    peer.accept()
    tunnel.wait_for_connections(2)
    assert not client.has_something()


def test_message_at_the_limit_is_read(tunnel, connection):
    client = tunnel.client()
    client.send(b"question")
    text = reply_text(connection.read_datagram(), b"answer")
    connection.send_frame(BINARY, text[:-1] + b" " * (LIMIT - len(text)) + b"}")
    assert client.receive() == b"answer"


def test_peer_that_breaks_every_connection_gets_no_busy_loop(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reconnect-delay", "1h")
    connection = peer.accept()
    tunnel.wait_connected()
    connection.send(frame(0x3))
    connection.read_until_close()
    connection.close()
    tunnel.wait_for_log("retrying in (1h|60m|3600s)")
    assert not peer.has_connection()


# Control frames that are legal


@pytest.mark.parametrize("payload", [b"", b"hello", bytes(range(125))], ids=["empty", "5", "125"])
def test_ping_is_answered_by_a_pong_with_its_payload(connection, payload):
    connection.send_frame(PING, payload)
    answer = connection.read_frame()
    assert (answer.opcode, answer.fin, answer.payload) == (PONG, True, payload)


def test_ping_between_fragments_is_answered_and_the_message_read(tunnel, connection):
    client = tunnel.client()
    client.send(b"question")
    text = reply_text(connection.read_datagram(), b"answer")
    connection.send_frame(BINARY, text[:10], fin=False)
    connection.send_frame(PING, b"now")
    assert connection.read_frame().payload == b"now"
    connection.send_frame(CONTINUATION, text[10:])
    assert client.receive() == b"answer"


def test_flood_of_pings_leaves_the_tunnel_working(tunnel, connection):
    client = tunnel.client()
    connection.send(b"".join(frame(PING, b"%d" % number) for number in range(2000)))
    # RFC 6455, section 5.5.3: only the latest of several pings need be answered.
    while connection.read_frame().payload != b"1999":
        pass
    client.send(b"question")
    connection.reply(connection.read_datagram(), b"answer")
    assert client.receive() == b"answer"


def test_pong_that_nobody_asked_for_is_ignored(tunnel, connection):
    connection.send_frame(PONG, b"unasked")
    client = tunnel.client()
    client.send(b"question")
    connection.reply(connection.read_datagram(), b"answer")
    assert client.receive() == b"answer"
    assert tunnel.counters()["received_total"]["in"] == 1


@pytest.mark.slow
def test_idle_tunnel_sends_nothing(connection):
    # Longer than any usual ping interval. read_frame() refuses pings in every other test, too.
    with pytest.raises(AssertionError, match="sent nothing more"):
        connection.read_frame(seconds=45)


# Closing


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 4999])
def test_close_of_the_peer_is_answered(connection, code):
    connection.send_close(code, b"reason")
    assert connection.read_until_close()[1].close_code == code


def test_close_without_a_code_is_answered(connection):
    connection.send_frame(CLOSE)
    assert connection.read_until_close()[1].close_code in (None, 1000)


def test_end_after_any_byte_of_a_frame_is_one_lost_connection(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reconnect-delay", "1ms")
    whole = frame(PING, b"x" * 20)
    connection = peer.accept()
    tunnel.wait_connected()
    open_before = tunnel.descriptors()
    for sent in range(len(whole)):
        connection.send(whole[:sent])
        connection.close()
        connection = peer.accept()
    counters = tunnel.wait_for_connections(len(whole) + 1)
    assert counters["connects_total"]["failed"] == 0
    tunnel.wait_for_descriptors(open_before)
