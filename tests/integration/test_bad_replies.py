"""Replies that are no replies: each is dropped and counted by its reason, the tunnel stays up."""

import base64
import json

import pytest

from support import websocket
from support.hostile_peer import reply_text
from support.traffic import LARGEST, ask
from support.tunnel import drop_reasons

# Reason, then what is wrong with it.
NOT_EVEN_JSON = [
    ("not_json", "empty message", b""),
    ("not_json", "words", b"hello"),
    ("not_json", "unfinished object", b'{"port":53'),
    ("not_json", "single quotes", b"{'port':53}"),
    ("not_json", "byte order mark", b'\xef\xbb\xbf{"port":1,"address":"127.0.0.1","data":""}'),
    ("not_json", "not UTF-8", b'{"x":"\xff","port":1,"address":"127.0.0.1","data":""}'),
    ("not_json", "comma at the end", b'{"port":1,"address":"127.0.0.1","data":"",}'),
    ("not_json", "number with a leading zero", b'{"port":01,"address":"127.0.0.1","data":""}'),
    ("not_json", "raw line break in data", b'{"port":1,"address":"127.0.0.1","data":"YWJj\nZGVm"}'),
    ("not_json", "comment", b'/**/{"port":1,"address":"127.0.0.1","data":""}'),
    ("not_an_object", "array", b'[{"port":1,"address":"127.0.0.1","data":""}]'),
    ("not_an_object", "string", b'"x"'),
    ("not_an_object", "number", b"53"),
    ("not_an_object", "null", b"null"),
    ("missing_key", "empty object", b"{}"),
]

# Reason, what is wrong, and the object: `PORT` stands for the port of a client that waits.
MALFORMED = [
    ("trailing_bytes", "a byte after it", '{"port":PORT,"address":"127.0.0.1","data":"YQ=="}x'),
    ("trailing_bytes", "a NUL after it", '{"port":PORT,"address":"127.0.0.1","data":"YQ=="}\0'),
    (
        "trailing_bytes",
        "an object after it",
        '{"port":PORT,"address":"127.0.0.1","data":"YQ=="}' * 2,
    ),
    ("missing_key", "no port", '{"address":"127.0.0.1","data":"YQ=="}'),
    ("missing_key", "no address", '{"port":PORT,"data":"YQ=="}'),
    ("missing_key", "no data", '{"port":PORT,"address":"127.0.0.1"}'),
    ("missing_key", "Address for address", '{"port":PORT,"Address":"127.0.0.1","data":"YQ=="}'),
    ("duplicate_key", "two ports", '{"port":PORT,"port":PORT,"address":"127.0.0.1","data":"YQ=="}'),
    (
        "duplicate_key",
        "two addresses",
        '{"port":PORT,"address":"127.0.0.1","address":"127.0.0.1","data":"YQ=="}',
    ),
    ("duplicate_key", "two data", '{"port":PORT,"address":"127.0.0.1","data":"YQ==","data":""}'),
    ("wrong_type", "port as string", '{"port":"PORT","address":"127.0.0.1","data":"YQ=="}'),
    ("wrong_type", "port null", '{"port":null,"address":"127.0.0.1","data":"YQ=="}'),
    ("wrong_type", "port true", '{"port":true,"address":"127.0.0.1","data":"YQ=="}'),
    ("wrong_type", "address null", '{"port":PORT,"address":null,"data":"YQ=="}'),
    ("wrong_type", "address as number", '{"port":PORT,"address":2130706433,"data":"YQ=="}'),
    ("wrong_type", "data null", '{"port":PORT,"address":"127.0.0.1","data":null}'),
    ("wrong_type", "data as array", '{"port":PORT,"address":"127.0.0.1","data":[97]}'),
    ("bad_port", "port 0", '{"port":0,"address":"127.0.0.1","data":"YQ=="}'),
    ("bad_port", "port -1", '{"port":-1,"address":"127.0.0.1","data":"YQ=="}'),
    ("bad_port", "port 65536", '{"port":65536,"address":"127.0.0.1","data":"YQ=="}'),
    ("bad_port", "port 53.7", '{"port":53.7,"address":"127.0.0.1","data":"YQ=="}'),
    ("bad_port", "port 1e3", '{"port":1e3,"address":"127.0.0.1","data":"YQ=="}'),
    ("bad_port", "port as a fraction", '{"port":PORT.0,"address":"127.0.0.1","data":"YQ=="}'),
    ("bad_port", "port of 30 digits", f'{{"port":{"9" * 30},"address":"127.0.0.1","data":""}}'),
    ("bad_address", "host name", '{"port":PORT,"address":"localhost","data":"YQ=="}'),
    ("bad_address", "empty address", '{"port":PORT,"address":"","data":"YQ=="}'),
    ("bad_address", "space after it", '{"port":PORT,"address":"127.0.0.1 ","data":"YQ=="}'),
    ("bad_address", "leading zero", '{"port":PORT,"address":"127.0.0.01","data":"YQ=="}'),
    ("bad_address", "three numbers", '{"port":PORT,"address":"127.0.1","data":"YQ=="}'),
    ("bad_address", "number above 255", '{"port":PORT,"address":"127.0.0.256","data":"YQ=="}'),
    ("bad_address", "zone", '{"port":PORT,"address":"fe80::1%lo","data":"YQ=="}'),
    ("bad_address", "brackets", '{"port":PORT,"address":"[::1]","data":"YQ=="}'),
    ("bad_address", "300 bytes", f'{{"port":PORT,"address":"{"1" * 300}","data":"YQ=="}}'),
    ("bad_base64", "no padding", '{"port":PORT,"address":"127.0.0.1","data":"YQ"}'),
    ("bad_base64", "padding alone", '{"port":PORT,"address":"127.0.0.1","data":"===="}'),
    ("bad_base64", "padding inside", '{"port":PORT,"address":"127.0.0.1","data":"YQ==YQ=="}'),
    ("bad_base64", "URL alphabet", '{"port":PORT,"address":"127.0.0.1","data":"-_-_"}'),
    ("bad_base64", "line break", '{"port":PORT,"address":"127.0.0.1","data":"YWJj\\nZGVm"}'),
    ("bad_base64", "space", '{"port":PORT,"address":"127.0.0.1","data":"YWJj ZGV"}'),
    ("bad_base64", "letters beyond ASCII", '{"port":PORT,"address":"127.0.0.1","data":"YéY="}'),
    ("bad_base64", "unused bits set", '{"port":PORT,"address":"127.0.0.1","data":"YR=="}'),
]


class Conversation:
    """A client that has asked, and waits for an answer on a connection."""

    def __init__(self, tunnel, connection):
        self.tunnel, self.connection = tunnel, connection
        self.client = tunnel.client()
        self.asked = ask(self.client, connection)

    def send(self, text, opcode=websocket.BINARY):
        self.connection.send_frame(opcode, text)

    def assert_dropped(self, *reasons):
        """The one bad frame was counted by one of these reasons (none: any); a good one is not."""
        self.connection.reply(self.asked, b"good")
        assert self.client.receive() == b"good"
        counters = self.tunnel.wait_for_received("in", 2)
        dropped = drop_reasons(counters, "in")
        assert sum(dropped.values()) == 1
        assert not reasons or set(dropped) <= set(reasons)
        assert counters["datagrams_total"]["in"] == 1
        assert counters["connects_total"]["ok"] == 1, "the tunnel was to stay up"


@pytest.fixture
def conversation(tunnel, connection):
    return Conversation(tunnel, connection)


@pytest.mark.parametrize(
    "reason, text",
    [(row[0], row[2]) for row in NOT_EVEN_JSON],
    ids=[row[1] for row in NOT_EVEN_JSON],
)
def test_message_that_is_no_object_is_dropped(conversation, reason, text):
    conversation.send(text)
    conversation.assert_dropped(reason)


@pytest.mark.parametrize(
    "reason, text", [(row[0], row[2]) for row in MALFORMED], ids=[row[1] for row in MALFORMED]
)
def test_malformed_object_is_dropped(conversation, reason, text):
    conversation.send(text.replace("PORT", str(conversation.asked.port)).encode())
    conversation.assert_dropped(reason)


def test_text_frame_is_dropped_even_if_its_content_is_good(conversation):
    conversation.send(reply_text(conversation.asked, b"as text"), websocket.TEXT)
    conversation.assert_dropped("text_frame")


def test_payload_larger_than_a_datagram_is_dropped(conversation):
    conversation.send(reply_text(conversation.asked, b"x" * (LARGEST + 1)))
    conversation.assert_dropped("oversize")


def with_unknown_member(asked, value):
    """A good reply but for the value of a key that nobody knows."""
    return b'{"x":' + value + b"," + reply_text(asked, b"x")[1:]


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"x":' * 10_000 + b"0" + b"}" * 10_000,
        b"[" * 10_000,
        b'"a\\u0000b"',
    ],
    ids=["arrays", "objects", "arrays left open", "NUL"],
)
def test_unknown_member_that_abuses_the_parser_is_dropped(conversation, value):
    conversation.send(with_unknown_member(conversation.asked, value))
    conversation.assert_dropped()


def test_many_bad_replies_leave_memory_flat(conversation):
    def resident_kilobytes():
        with open(f"/proc/{conversation.tunnel.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])

    bad = b"[" + b"0," * 60_000 + b"0]"
    for _ in range(5):
        conversation.send(bad)
    conversation.tunnel.wait_for_dropped("in", 5)
    before = resident_kilobytes()
    for _ in range(50):
        conversation.send(bad)
    conversation.tunnel.wait_for_dropped("in", 55)
    assert resident_kilobytes() < before + 1024


def test_repeated_bad_replies_do_not_fill_the_log(conversation):
    for _ in range(200):
        conversation.send(b"hello")
    conversation.tunnel.wait_for_dropped("in", 200)
    assert (
        len([line for line in conversation.tunnel.log.splitlines() if "Counters" not in line]) < 20
    )


# Good frames for the wrong place

UNREACHABLE = ["224.0.0.1", "255.255.255.255", "0.0.0.0", "::", "ff02::1", "192.0.2.1", "::1"]


@pytest.mark.parametrize("address", UNREACHABLE)
def test_reply_for_an_address_that_never_sent_is_dropped(conversation, address):
    text = {"port": conversation.asked.port, "address": address, "data": "YQ=="}
    conversation.send(json.dumps(text).encode())
    conversation.assert_dropped("unknown_client", "bad_destination")


def test_reply_for_a_port_that_never_sent_is_dropped(conversation, tunnel):
    silent = tunnel.client()
    conversation.send(reply_text(silent, b"reflected"))
    conversation.assert_dropped("unknown_client")
    assert not silent.has_something()


@pytest.mark.parametrize("address", UNREACHABLE)
def test_reply_through_a_dual_stack_socket_goes_only_to_who_has_sent(start_tunnel, peer, address):
    tunnel = start_tunnel(peer, "--local-host", "::")
    connection = peer.accept()
    client = tunnel.client("127.0.0.1")
    asked = ask(client, connection)
    data = base64.b64encode(b"x").decode()
    text = json.dumps({"port": asked.port, "address": address, "data": data})
    connection.send_frame(websocket.BINARY, text.encode())
    counters = tunnel.wait_for_dropped("in", 1)
    assert set(drop_reasons(counters, "in")) <= {"unknown_client", "bad_destination"}


# Clients come and go


def test_quiet_client_is_forgotten_and_its_late_reply_dropped(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--client-timeout", "1s")
    connection = peer.accept()
    client = tunnel.client()
    asked = ask(client, connection)
    connection.reply(asked, b"in time")
    assert client.receive() == b"in time"
    tunnel.wait_for_counters(lambda counters: counters["clients"] == 0, "no client is known")
    connection.reply(asked, b"late")
    counters = tunnel.wait_for_dropped("in", 1)
    assert drop_reasons(counters, "in") == {"unknown_client": 1}
    assert not client.has_something()


def test_forgotten_client_is_served_again(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--client-timeout", "500ms")
    connection = peer.accept()
    client = tunnel.client()
    for _ in range(2):
        client.send(b"question")
        connection.reply(connection.read_datagram(), b"answer")
        assert client.receive() == b"answer"
        tunnel.wait_for_counters(lambda counters: counters["clients"] == 0, "no client is known")


def test_each_local_port_is_a_client(tunnel, connection):
    for client in [tunnel.client() for _ in range(3)]:
        client.send(b"question")
        connection.reply(connection.read_datagram(), b"answer")
        assert client.receive() == b"answer"
    assert tunnel.counters()["clients"] == 3


def test_client_that_has_left_does_not_disturb_the_others(tunnel, connection):
    gone, stays = tunnel.client(), tunnel.client()
    gone.send(b"question")
    asked_gone = connection.read_datagram()
    gone.close()
    for _ in range(3):  # each but the first meets the ICMP error of the one before
        connection.reply(asked_gone, b"nobody there")
    stays.send(b"question")
    connection.reply(connection.read_datagram(), b"answer")
    assert stays.receive() == b"answer"
