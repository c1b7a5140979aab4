"""Losing the gateway and finding it again, while the local socket stays as it is."""

import re
import socket

import pytest

from support.hostile_peer import NamedGateway, server_context
from support.process import Process
from support.tunnel import clean_environment, tool_command
from support.udp import unused_port
from support.waiting import let_age, wait_until

# Longer than any deadline here: what happens before it did not wait for it.
NEVER = "1h"

TIMED_OUT = "connect-timeout|(?i:timed out)"


def answer_one(client, connection):
    client.send(b"question")
    connection.reply(connection.read_datagram(), b"answer")
    assert client.receive() == b"answer"


# Through the gateway


def test_gateway_restart_is_survived_on_the_same_local_socket(start_gateway, start_tunnel, echo):
    remote = f"{echo.host}:{echo.port}"
    port = unused_port(socket.SOCK_STREAM)
    gateway = start_gateway("--remote", remote, port=port)
    tunnel = start_tunnel(gateway).wait_connected()
    client = tunnel.client()
    assert client.ask(b"before") == b"before"
    lost = tunnel.mark()
    gateway.stop()
    tunnel.wait_for_error(since=lost)
    start_gateway("--remote", remote, port=port)
    tunnel.wait_connected(since=lost)
    assert client.ask(b"after") == b"after"


def test_gateway_that_comes_later_is_found(start_gateway, start_tunnel, echo):
    port = unused_port(socket.SOCK_STREAM)
    tunnel = start_tunnel(NamedGateway(f"127.0.0.1:{port}"))
    tunnel.wait_for_error()
    start_gateway("--remote", f"{echo.host}:{echo.port}", port=port)
    tunnel.wait_connected()
    assert tunnel.client().ask(b"hello") == b"hello"


def test_gateway_that_closes_by_itself_is_connected_to_again(start_gateway, start_tunnel, echo):
    gateway = start_gateway("--remote", f"{echo.host}:{echo.port}", "--close-after", "1:1012")
    tunnel = start_tunnel(gateway).wait_connected()
    client = tunnel.client()
    for number in range(3):
        client.send(b"closes the connection")
        tunnel.wait_for_connections(number + 2)


# How it ends and what is told


@pytest.mark.parametrize(
    "code, meaning",
    [
        (1000, "(?i)normal"),
        (1001, "(?i)going away|shutting down|restart"),
        (1008, "(?i)policy"),
        (1011, "(?i)internal|unexpected|server error"),
        (1012, "(?i)restart"),
        (1013, "(?i)later|overload|busy"),
    ],
)
def test_close_code_is_told_with_its_meaning_and_retried(start_tunnel, peer, code, meaning):
    tunnel = start_tunnel(peer)
    connection = peer.accept()
    tunnel.wait_connected()
    lost = tunnel.mark()
    connection.send_close(code)
    told = tunnel.wait_for_log(rf"^\[(?:ERROR|WARN|INFO) .*\b{code}\b.*", since=lost)[0]
    assert re.search(meaning, told)
    peer.accept()
    tunnel.wait_connected(since=lost)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_connection_that_ends_without_a_close_frame_is_told_and_retried(start_tunnel, peer, end):
    tunnel = start_tunnel(peer)
    connection = peer.accept()
    tunnel.wait_connected()
    lost = tunnel.mark()
    getattr(connection, end)()
    tunnel.wait_for_error("WebSocket tunnel error: ", since=lost)
    answer_one(tunnel.client(), peer.accept())


def test_short_lived_connection_is_followed_by_the_delay(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reconnect-delay", "2s")
    peer.accept().close()
    tunnel.wait_for_error("; retrying in 2s$")


@pytest.mark.slow
def test_connection_that_has_lasted_is_followed_by_an_attempt_at_once(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reconnect-delay", NEVER)
    connection = peer.accept()
    tunnel.wait_connected()
    let_age(5.5)
    connection.close()
    answer_one(tunnel.client(), peer.accept())


def test_default_delay_is_two_seconds(closed_port):
    tunnel = Process(
        "otoroshictl",
        [
            *(*tool_command(), "udp-tunnel", "--host", closed_port.authority),
            *("--access-type", "public", "--local-port", "0"),
        ],
        clean_environment(),
    )
    try:
        tunnel.wait_for_log("^.ERROR .*; retrying in 2s$")
    finally:
        tunnel.kill()


def test_pause_doubles_where_a_larger_limit_is_given(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reconnect-delay", "1s", "--reconnect-max-delay", "1h")
    pauses = []
    for status in ("500", "501", "502"):  # each is told, since none is the one before
        peer.accept_request().refuse(f"{status} Out of Order")
        told = tunnel.wait_for_error(f"HTTP {status}")
        pauses.append(float(re.search(r"retrying in ([\d.]+)s$", told)[1]))
    # Neither a jitter of 20 % nor whole seconds can hide a factor of 4.
    assert pauses[0] < pauses[2]


# Peers that take their time for ever


def test_silent_peer_is_given_up_at_the_deadline_and_retried(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--connect-timeout", "300ms")
    silent = peer.accept_tcp()
    tunnel.wait_for_error(TIMED_OUT)
    silent.wait_for_end()
    answer_one(tunnel.client(), peer.accept())


def test_silent_tls_peer_is_given_up_at_the_deadline_and_retried(
    start_tunnel, start_peer, certificates
):
    peer = start_peer(tls=server_context(certificates["good"]))
    tunnel = start_tunnel(
        peer, "--tls", "--tls-ca-file", certificates.ca_file, "--connect-timeout", "300ms"
    )
    peer.accept_tcp().wait_for_end()
    tunnel.wait_for_error(TIMED_OUT)
    peer.accept()


def test_unanswered_syn_is_given_up_at_the_deadline_and_retried(start_tunnel, full_backlog):
    tunnel = start_tunnel(full_backlog, "--connect-timeout", "200ms")
    tunnel.wait_for_error(TIMED_OUT)
    tunnel.wait_for_counters(
        lambda counters: counters["connects_total"]["failed"] >= 2, "a second failed attempt"
    )


def test_answer_that_trickles_is_given_up_at_the_deadline(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--connect-timeout", "300ms", "--reconnect-delay", NEVER)
    connection = peer.accept_request()
    answer = iter(connection.upgrade_answer())

    def trickle_until_given_up():
        connection.send_while_open(bytes([next(answer)]))
        return tunnel.log.count("ERROR")

    # A byte each 10 ms: the whole answer would take far longer than the deadline.
    wait_until(trickle_until_given_up, "the attempt given up before the answer was whole")
    tunnel.wait_for_error(TIMED_OUT)


def test_datagrams_are_taken_while_the_gateway_is_silent(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--connect-timeout", NEVER)
    connection = peer.accept_request()
    client = tunnel.client()
    for number in range(10):
        client.send(b"%d" % number)
    tunnel.wait_for_received("out", 10)
    connection.upgrade()
    assert [asked.payload for asked in connection.read_datagrams(10)] == [
        b"%d" % number for number in range(10)
    ]
