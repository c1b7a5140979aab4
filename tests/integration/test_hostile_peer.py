"""The tests' own WebSocket server, proved against a client that is not ours (PyPI websockets)."""

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from support import websocket
from support.hostile_peer import server_context
from support.waiting import DEADLINE


# The client blocks in its handshake, so the peer's half of a script runs beside it.
@pytest.fixture
def beside():
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


def open_client(peer, **how):
    return connect(
        f"ws://{peer.authority}/path?query",
        compression=None,
        open_timeout=DEADLINE,
        close_timeout=0.1,  # these scripts end without answering a close
        **how,
    )


def test_upgrade_is_accepted_and_the_request_kept(peer, beside):
    accepted = beside(peer.accept)
    with open_client(peer):
        request = accepted.result().request
    assert request.line == "GET /path?query HTTP/1.1"
    assert request.one("host") == peer.authority


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_frames_of_each_length_form_go_both_ways(peer, beside, size):
    accepted = beside(peer.accept)
    payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    with open_client(peer) as client:
        connection = accepted.result()
        client.send(payload)
        frame = connection.read_frame()
        assert (frame.opcode, frame.fin, frame.payload) == (websocket.BINARY, True, payload)
        connection.send_frame(websocket.BINARY, payload)
        assert client.recv(DEADLINE) == payload


def test_fragments_make_one_message(peer, beside):
    accepted = beside(peer.accept)
    with open_client(peer) as client:
        accepted.result().send(websocket.fragments(websocket.TEXT, b"in pieces", 2))
        assert client.recv(DEADLINE) == "in pieces"


@pytest.mark.parametrize(
    "bad",
    [
        websocket.frame(websocket.BINARY, b"masked", mask=b"mask"),
        websocket.frame(websocket.BINARY, b"reserved", rsv=1),
        websocket.frame(0x3, b"opcode"),
        websocket.frame(websocket.PING, fin=False),
        websocket.frame(websocket.CONTINUATION, b"no start"),
    ],
    ids=["masked", "reserved bit", "opcode", "fragmented ping", "continuation"],
)
def test_breaches_are_breaches_to_another_implementation_too(peer, beside, bad):
    accepted = beside(peer.accept)
    with open_client(peer) as client:
        connection = accepted.result()
        connection.send(bad)
        assert connection.read_until_close()[1].close_code == 1002
        connection.close()
        with pytest.raises(ConnectionClosedError):
            client.recv(DEADLINE)


def test_close_carries_code_and_reason(peer, beside):
    accepted = beside(peer.accept)
    with open_client(peer) as client:
        connection = accepted.result()
        connection.send_close(1013, b"later")
        assert connection.read_until_close()[1].close_code == 1013
        connection.close()
        with pytest.raises(ConnectionClosedError) as closed:
            client.recv(DEADLINE)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, "later")


def test_upgrade_is_refused_with_the_status_given(peer, beside):
    beside(lambda: peer.accept_request().refuse("418 I'm a teapot"))
    with pytest.raises(InvalidStatus) as refused, open_client(peer):
        pass
    assert refused.value.response.status_code == 418


def test_reset_ends_the_handshake(peer, beside):
    beside(lambda: peer.accept_request().reset())
    with pytest.raises((ConnectionResetError, InvalidMessage)), open_client(peer):
        pass


# With asyncio: the blocking client reads and writes its TLS connection from two threads at once,
# which OpenSSL does not allow and which once in a while never ends.
def test_tls_is_spoken_with_the_certificate_given(start_peer, beside, certificates):
    peer = start_peer(tls=server_context(certificates["good"]))
    accepted = beside(peer.accept)
    trust = ssl.create_default_context(cafile=certificates.ca_file)

    async def send():
        async with connect_async(
            f"wss://{peer.authority}/path?query",
            compression=None,
            open_timeout=DEADLINE,
            close_timeout=0.1,
            ssl=trust,
        ) as client:
            await client.send(b"secret")

    asyncio.run(send())
    assert accepted.result().read_frame().payload == b"secret"
