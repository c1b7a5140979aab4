"""The HTTP request that opens the WebSocket, and what is made of every answer to it."""

import base64
import re
import socket

import pytest

from support.hostile_peer import NamedGateway

UDP = "/.well-known/otoroshi/tunnel?transport=udp"


# The request


@pytest.mark.parametrize(
    "options, query",
    [
        ([], ""),
        (["--remote-host", "dns.internal.com"], "&remoteHost=dns.internal.com"),
        (["--remote-port", "53"], "&remotePort=53"),
        (["--remote-host", "h-1_2.~", "--remote-port", "53"], "&remoteHost=h-1_2.~&remotePort=53"),
        (["--remote-host", "2001:db8::1"], "&remoteHost=2001%3Adb8%3A%3A1"),
        (["--remote-host", "${remote_host}"], "&remoteHost=%24%7Bremote_host%7D"),
    ],
    ids=["none", "host", "port", "both", "IPv6", "placeholder"],
)
def test_remote_is_asked_for_in_the_query(start_tunnel, peer, options, query):
    start_tunnel(peer, *options)
    assert peer.accept_request().request.line == f"GET {UDP}{query} HTTP/1.1"


def test_request_is_a_websocket_upgrade_and_no_more(start_tunnel, peer):
    start_tunnel(peer)
    request = peer.accept_request().request
    assert request.one("Host") == peer.authority
    assert request.one("Upgrade").lower() == "websocket"
    assert "upgrade" in request.one("Connection").lower().split(", ")
    assert request.one("Sec-WebSocket-Version") == "13"
    assert len(base64.b64decode(request.one("Sec-WebSocket-Key"), validate=True)) == 16
    # Compression could make a reply of 128 KiB out of a few bytes; none is ever offered.
    assert request.all("Sec-WebSocket-Extensions") == []


def test_user_agent_names_the_tool_and_its_version(start_tunnel, peer):
    start_tunnel(peer)
    assert peer.accept_request().request.one("User-Agent").startswith("otoroshictl/")


def test_key_is_new_for_each_connection(start_tunnel, peer):
    start_tunnel(peer)
    keys = set()
    for _ in range(3):
        connection = peer.accept_request()
        keys.add(connection.request.one("Sec-WebSocket-Key"))
        connection.refuse("503 Service Unavailable")
    assert len(keys) == 3


def test_host_header_has_the_name_and_port_as_written(start_tunnel, peer):
    start_tunnel(NamedGateway(f"LocalHost:{peer.port}"))
    assert peer.accept_request().request.one("Host") == f"LocalHost:{peer.port}"


def test_ipv6_host_keeps_its_brackets(start_tunnel, start_peer):
    peer = start_peer(host="::1")
    start_tunnel(peer)
    assert peer.accept_request().request.one("Host") == f"[::1]:{peer.port}"


# Answers that open the tunnel


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Server: Otoroshi", "Date: Mon, 23 Nov 2026 10:00:00 GMT"),
        ("X-Long: " + "x" * 3000,),
        tuple(f"X-Number-{number}: {number}" for number in range(60)),
    ],
    ids=["plain", "usual", "long", "many"],
)
def test_further_headers_of_the_answer_do_no_harm(start_tunnel, peer, headers):
    tunnel = start_tunnel(peer)
    peer.accept_request().upgrade(*headers)
    tunnel.wait_connected()


def test_header_names_of_the_answer_come_in_any_case(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    connection = peer.accept_request()
    answer = connection.upgrade_answer().decode()
    names = ("Upgrade:", "Connection:", "Sec-WebSocket-Accept:")
    for name in names:
        answer = answer.replace(name, name.lower())
    connection.send(answer.replace("upgrade: websocket", "upgrade: WebSocket").encode())
    tunnel.wait_connected()


def test_answer_that_comes_byte_by_byte_opens_the_tunnel(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    connection = peer.accept_request()
    connection.send_bytewise(connection.upgrade_answer())
    tunnel.wait_connected()


# Answers that don't


def without(answer, start):
    """The answer less the header line that starts so."""
    lines = answer.decode().split("\r\n")
    assert any(line.startswith(start) for line in lines)
    return "\r\n".join(line for line in lines if not line.startswith(start)).encode()


def with_header(answer, header):
    return answer.replace(b"\r\n\r\n", f"\r\n{header}\r\n\r\n".encode())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: without(answer, "Upgrade"),
        lambda answer: without(answer, "Connection"),
        lambda answer: without(answer, "Sec-WebSocket-Accept"),
        lambda answer: answer.replace(b"Accept: ", b"Accept: x"),
        lambda answer: answer.replace(b"websocket", b"h2c"),
        lambda answer: with_header(answer, "Sec-WebSocket-Extensions: permessage-deflate"),
        lambda answer: with_header(answer, "Sec-WebSocket-Protocol: chat"),
        lambda answer: answer.replace(b"101", b"100").replace(b"Switching Protocols", b"Continue"),
        lambda answer: b"SSH-2.0-OpenSSH_9.2\r\n",
        lambda answer: b"\x15\x03\x01\x00\x02\x02\x46",
        lambda answer: b"HTTP/1.1 101\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=[
        "no Upgrade",
        "no Connection",
        "no Accept",
        "wrong Accept",
        "other protocol",
        "extension not offered",
        "subprotocol not asked for",
        "100 Continue",
        "no HTTP",
        "TLS alert",
        "endless header",
    ],
)
def test_answer_that_is_no_upgrade_is_refused_and_retried(start_tunnel, peer, spoil):
    tunnel = start_tunnel(peer)
    connection = peer.accept_request()
    connection.send_while_open(spoil(connection.upgrade_answer()))
    connection.close()
    tunnel.wait_for_error()
    peer.accept()
    tunnel.wait_connected()
    assert tunnel.counters()["connects_total"] == {"ok": 1, "failed": 1}


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Moved", "308 Moved"]
)
def test_redirect_is_told_and_never_followed(start_tunnel, peer, start_peer, status):
    elsewhere = start_peer()
    tunnel = start_tunnel(peer)
    peer.accept_request().refuse(status, f"Location: http://{elsewhere.authority}/moved")
    assert elsewhere.authority in tunnel.wait_for_error(f"HTTP {status[:3]}")
    # The next attempt goes to the old place; by then the new one would have been asked.
    assert peer.accept_request().request.one("Host") == peer.authority
    assert not elsewhere.has_connection()


@pytest.mark.parametrize("size", [198, 199, 200, 4000])
def test_long_target_of_a_redirect_is_told_without_its_query(start_tunnel, peer, size):
    tunnel = start_tunnel(peer)
    target = "http://elsewhere.example/".ljust(size, "x")
    peer.accept_request().refuse("302 Found", f"Location: {target}?pappsToken=of-somebody")
    error = tunnel.wait_for_error("HTTP 302")
    named = re.search(r"http://elsewhere\.example/x*", error)[0]
    assert len(named) >= 150
    assert target.startswith(named)
    assert "of-somebody" not in error and "?" not in error


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize(
    "value, told",
    [
        ("3", "3s"),
        ("3600", "(60s|1m)"),  # honoured up to a minute
        ("Wed, 21 Oct 2099 07:28:00 GMT", "(60s|1m)"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "2s"),
        ("soon", "2s"),
        ("-3", "2s"),
        ("0", "2s"),
    ],
)
def test_retry_after_is_honoured(start_tunnel, peer, status, value, told):
    tunnel = start_tunnel(peer, "--reconnect-delay", "2s")
    peer.accept_request().refuse(status, f"Retry-After: {value}")
    tunnel.wait_for_error(rf"; retrying in {told}$")


def test_retry_after_of_another_status_is_not_honoured(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reconnect-delay", "2s")
    peer.accept_request().refuse("401 Unauthorized", "Retry-After: 30")
    tunnel.wait_for_error(r"; retrying in 2s$")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_end_after_any_byte_of_the_answer_is_one_failed_attempt(start_tunnel, peer, end):
    tunnel = start_tunnel(peer, "--reconnect-delay", "1ms")
    first = peer.accept()
    tunnel.wait_connected()
    open_before = tunnel.descriptors()
    first.close()
    answer_size = len(first.upgrade_answer())
    for sent in range(answer_size):
        connection = peer.accept_request()
        connection.send(connection.upgrade_answer()[:sent])
        getattr(connection, end)()
    peer.accept()
    counters = tunnel.wait_for_connections(2)
    assert counters["connects_total"]["failed"] == answer_size
    tunnel.wait_for_descriptors(open_before)


# Which gateway is asked


def test_next_host_is_tried_after_a_failed_one(start_tunnel, closed_port, peer):
    tunnel = start_tunnel(closed_port, "--host", peer.authority)
    assert peer.accept().request.one("Host") == peer.authority
    tunnel.wait_connected()


def test_first_host_is_tried_again_after_the_last(start_tunnel, peer, start_peer):
    second = start_peer()
    start_tunnel(peer, "--host", second.authority)
    for asked in (peer, second, peer, second):
        asked.accept_request().refuse("502 Bad Gateway")


def test_every_address_of_a_name_is_tried(start_tunnel, peer):
    # localhost is ::1 and 127.0.0.1 on most machines; the peer has the second only.
    assert {info[4][0] for info in socket.getaddrinfo("localhost", 80)} >= {"127.0.0.1"}
    start_tunnel(NamedGateway(f"localhost:{peer.port}"))
    peer.accept()
