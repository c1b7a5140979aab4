"""Datagrams on the wire: the exact frames of the tool, and every legal form of a reply."""

import base64
import random

import pytest

from support import websocket
from support.hostile_peer import reply_text
from support.traffic import LARGEST, ask, numbered, read_payloads, send_all

# From the smallest to the largest that UDP over IPv4 carries, around an Ethernet packet, a jumbo
# frame and the limit of Otoroshi's optional listener.
SIZES = [1, 1472, 9000, 49_100, LARGEST]


def payload_of(size):
    return random.Random(size).randbytes(size)


# Out


def test_datagram_is_one_masked_binary_frame_of_exact_text(tunnel, connection):
    client = tunnel.client()
    client.send(b"\x00\xffquestion")
    frame = connection.read_frame()
    data = base64.b64encode(b"\x00\xffquestion").decode()
    text = f'{{"address":"127.0.0.1","port":{client.port},"data":"{data}"}}'.encode()
    assert frame.payload == text
    head = bytes([0x80 | websocket.BINARY, 0x80 | len(text)])
    assert frame.raw == head + frame.mask + websocket.masked(text, frame.mask)


def test_ipv6_client_is_named_without_brackets(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--local-host", "::1")
    connection = peer.accept()
    assert ask(tunnel.client(), connection).address == "::1"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_dual_stack_socket_names_clients_by_their_family(start_tunnel, peer, host):
    tunnel = start_tunnel(peer, "--local-host", "::")
    connection = peer.accept()
    client = tunnel.client(host)
    asked = ask(client, connection)
    assert (asked.address, asked.port) == (host, client.port)
    connection.reply(asked, b"answer")
    assert client.receive() == b"answer"


def test_mask_is_new_for_each_frame(tunnel, connection):
    client = tunnel.client()
    masks = {ask(client, connection).frame.mask for _ in range(8)}
    assert len(masks) == 8


@pytest.mark.parametrize("size", SIZES)
def test_datagram_goes_out_byte_for_byte(tunnel, connection, size):
    payload = payload_of(size)
    assert ask(tunnel.client(), connection, payload).payload == payload


def test_datagrams_of_one_client_keep_their_order(tunnel, connection):
    client = tunnel.client()
    send_all(client, numbered(31))
    assert read_payloads(connection, 31) == numbered(31)


def test_empty_datagram_is_dropped_and_counted(tunnel, connection):
    client = tunnel.client()
    client.send(b"")
    assert ask(client, connection, b"after").payload == b"after"
    counters = tunnel.wait_for_dropped("out", 1)
    assert counters["dropped_total"]["out"]["empty"] == 1
    assert counters["received_total"]["out"] == 2


def test_datagram_too_large_for_the_gateway_is_dropped_and_counted(start_tunnel, peer):
    # IPv6 carries 20 bytes more than IPv4; from 65,508 on Otoroshi's own socket would die.
    tunnel = start_tunnel(peer, "--local-host", "::1")
    connection = peer.accept()
    client = tunnel.client()
    client.send(payload_of(LARGEST + 1))
    client.send(payload_of(LARGEST))
    assert connection.read_datagram().payload == payload_of(LARGEST)
    counters = tunnel.wait_for_dropped("out", 1)
    assert counters["received_total"]["out"] == 2


@pytest.mark.parametrize(
    "host, size", [("127.0.0.1", 0), ("::1", LARGEST + 1)], ids=["empty", "too large"]
)
def test_datagram_that_is_not_carried_is_warned_of_once(start_tunnel, peer, host, size):
    tunnel = start_tunnel(peer, "--local-host", host)
    peer.accept()
    client = tunnel.client()
    for _ in range(3):
        client.send(b"x" * size)
    tunnel.wait_for_dropped("out", 3)
    assert tunnel.log.count("[WARN ") == 1


# In


@pytest.mark.parametrize("size", SIZES)
def test_reply_comes_in_byte_for_byte(tunnel, connection, size):
    client = tunnel.client()
    payload = payload_of(size)
    connection.reply(ask(client, connection), payload)
    assert client.receive() == payload


@pytest.mark.parametrize("size", SIZES)
def test_datagram_goes_through_the_gateway_and_back(start_gateway, start_tunnel, echo, size):
    gateway = start_gateway("--remote", f"{echo.host}:{echo.port}")
    client = start_tunnel(gateway).wait_connected().client()
    payload = payload_of(size)
    assert client.ask(payload) == payload


@pytest.mark.parametrize(
    "write",
    [
        lambda port: f'{{"address":"127.0.0.1","port":{port},"data":"b2s="}}',
        lambda port: f'{{"port":{port},"address":"127.0.0.1","data":"b2s="}}',
        lambda port: f'{{"data":"b2s=","port":{port},"address":"127.0.0.1"}}',
        lambda port: f'{{"x":1,"address":"127.0.0.1","y":[{{}},null],"port":{port},"data":"b2s="}}',
        lambda port: f'{{"Port":1,"port":{port},"PORT":2,"address":"127.0.0.1","data":"b2s="}}',
        lambda port: f' {{\r\n\t"address" : "127.0.0.1" , "port" : {port} ,\n"data":"b2s=" }} \n',
        lambda port: f'{{"\\u0061ddress":"127\\u002e0.0.1","port":{port},"data":"b2s\\u003d"}}',
        lambda port: (
            f'{{"é\\n\\ud83d\\ude00":"é","address":"127.0.0.1","port":{port},"data":"b2s="}}'
        ),
        lambda port: f'{{"address":"::ffff:127.0.0.1","port":{port},"data":"b2s="}}',
    ],
    ids=[
        "own order",
        "Otoroshi's order",
        "other order",
        "unknown keys",
        "keys that differ in case",
        "white space",
        "escapes",
        "UTF-8",
        "mapped address",
    ],
)
def test_reply_is_understood_in_every_legal_form(tunnel, connection, write):
    client = tunnel.client()
    asked = ask(client, connection)
    connection.send_frame(websocket.BINARY, write(asked.port).encode())
    assert client.receive() == b"ok"


def test_ipv6_reply_is_understood_however_it_is_written(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--local-host", "::1")
    connection = peer.accept()
    client = tunnel.client()
    port = ask(client, connection).port
    for written in ("::1", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001"):
        text = f'{{"port":{port},"address":"{written}","data":"b2s="}}'
        connection.send_frame(websocket.BINARY, text.encode())
        assert client.receive() == b"ok"


def test_empty_reply_is_delivered_as_an_empty_datagram(tunnel, connection):
    client = tunnel.client()
    connection.reply(ask(client, connection), b"")
    assert client.receive() == b""


def test_reply_in_ten_thousand_fragments_of_one_byte_is_delivered(tunnel, connection):
    client = tunnel.client()
    asked = ask(client, connection)
    text = reply_text(asked, payload_of(7400))[:-1]
    text += b" " * (10_000 - len(text) - 1) + b"}"
    connection.send(websocket.fragments(websocket.BINARY, text, 1))
    assert client.receive() == payload_of(7400)


def test_empty_fragments_do_no_harm(tunnel, connection):
    client = tunnel.client()
    asked = ask(client, connection)
    connection.send_frame(websocket.BINARY, fin=False)
    connection.send_frame(websocket.CONTINUATION, fin=False)
    connection.send_frame(websocket.CONTINUATION, reply_text(asked, b"ok"))
    assert client.receive() == b"ok"


def test_reply_that_comes_byte_by_byte_is_delivered(tunnel, connection):
    client = tunnel.client()
    asked = ask(client, connection)
    connection.send_bytewise(websocket.frame(websocket.BINARY, reply_text(asked, b"ok")))
    assert client.receive() == b"ok"


def test_replies_in_one_segment_are_all_delivered_in_order(tunnel, connection):
    client = tunnel.client()
    asked = ask(client, connection)
    sent = numbered(100)
    connection.send(
        b"".join(websocket.frame(websocket.BINARY, reply_text(asked, payload)) for payload in sent)
    )
    assert [client.receive() for _ in sent] == sent


def test_reply_goes_to_the_client_that_its_label_names(tunnel, connection):
    first, second = tunnel.client(), tunnel.client()
    asked_first, asked_second = ask(first, connection), ask(second, connection)
    connection.reply(asked_second, b"for the second")
    connection.reply(asked_first, b"for the first")
    assert (first.receive(), second.receive()) == (b"for the first", b"for the second")
