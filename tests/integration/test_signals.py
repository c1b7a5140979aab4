"""Signals: a clean stop in every state, counters, renewal, and what does nothing."""

import os
import re
import signal
import subprocess

import pytest

from support.hostile_peer import server_context
from support.traffic import numbered, read_payloads, send_all
from support.tunnel import clean_environment, drop_reasons, option_words, tool_command
from support.udp import UdpClient
from support.waiting import DEADLINE, wait_until

STOPPING = [signal.SIGTERM, signal.SIGINT]
NEVER = "1h"


def exchange(client, connection, payload=b"question"):
    client.send(payload)
    connection.reply(connection.read_datagram(), b"answer to " + payload)
    assert client.receive() == b"answer to " + payload


# Stopping, in each state


@pytest.fixture(params=STOPPING, ids=lambda number: number.name)
def stop_signal(request):
    return request.param


def test_stop_while_up_sends_a_close_frame(start_tunnel, peer, stop_signal):
    tunnel = start_tunnel(peer)
    connection = peer.accept()
    tunnel.wait_connected()
    tunnel.send_signal(stop_signal)
    frames, close = connection.read_until_close()
    assert (frames, close.close_code) == ([], 1000)
    connection.send_close(1000)
    connection.close()
    assert tunnel.wait() == 0


def test_stop_while_up_does_not_wait_for_a_peer_that_says_nothing(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    peer.accept()
    tunnel.wait_connected()
    assert tunnel.stop() == 0


def test_stop_while_connecting(start_tunnel, full_backlog, stop_signal):
    tunnel = start_tunnel(full_backlog, "--connect-timeout", NEVER)
    tunnel.wait_for_log("Connecting WebSocket tunnel")
    assert tunnel.stop(stop_signal) == 0


def test_stop_while_the_upgrade_is_not_answered(start_tunnel, peer, stop_signal):
    tunnel = start_tunnel(peer, "--connect-timeout", NEVER)
    peer.accept_request()
    assert tunnel.stop(stop_signal) == 0


def test_stop_while_the_tls_handshake_is_not_answered(
    start_tunnel, start_peer, certificates, stop_signal
):
    peer = start_peer(tls=server_context(certificates["good"]))
    tunnel = start_tunnel(
        peer, "--tls", "--tls-ca-file", certificates.ca_file, "--connect-timeout", NEVER
    )
    peer.accept_tcp()
    assert tunnel.stop(stop_signal) == 0


def test_stop_while_waiting_for_the_next_attempt(start_tunnel, closed_port, stop_signal):
    tunnel = start_tunnel(closed_port, "--reconnect-delay", NEVER)
    tunnel.wait_for_error()
    assert tunnel.stop(stop_signal) == 0


def test_stop_between_two_steps_of_an_attempt_does_not_wait_for_its_deadline(
    start_tunnel, closed_port
):
    # The first attempt begins with the line that start_tunnel() waits for, so that each stop
    # meets it somewhere else: looking up the name, connecting, refused.
    for _ in range(40):
        assert start_tunnel(closed_port, "--connect-timeout", NEVER).stop() == 0


def test_stop_while_a_renewal_is_under_way_closes_the_old_websocket(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--connect-timeout", NEVER)
    connection = peer.accept()
    tunnel.wait_connected()
    tunnel.send_signal(signal.SIGHUP)
    peer.accept_request()
    tunnel.send_signal(signal.SIGTERM)
    assert connection.read_until_close()[1].close_code == 1000
    connection.close()
    assert tunnel.wait() == 0


def test_what_is_queued_is_sent_before_the_close(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--window", "4")
    connection = peer.accept()
    client = tunnel.client()
    sent = numbered(10)
    send_all(client, sent)
    asked = connection.read_datagrams(4)
    tunnel.wait_for_received("out", 10)
    tunnel.send_signal(signal.SIGTERM)
    # The peer goes on answering, so that the window lets everything through.
    while len(asked) < len(sent):
        connection.reply(asked[-1], b"answer")
        asked.append(connection.read_datagram())
    assert [datagram.payload for datagram in asked] == sent
    frames, close = connection.read_until_close()
    assert (frames, close.close_code) == ([], 1000)
    connection.close()
    assert tunnel.wait() == 0


def test_more_than_a_window_goes_out_before_the_end_though_nobody_answers(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    first = peer.accept()
    tunnel.wait_connected()
    send_all(tunnel.client(), numbered(40))
    tunnel.wait_for_received("out", 40)
    tunnel.send_signal(signal.SIGTERM)
    sent = read_payloads(first, 31)
    second = peer.accept()
    sent += read_payloads(second, 9)
    assert sent == numbered(40)
    for connection in (first, second):
        frames, close = connection.read_until_close()
        assert (frames, close.close_code) == ([], 1000)
        connection.close()
    assert tunnel.wait() == 0


def test_stop_does_not_wait_for_answers_that_never_come(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--window", "4", "--queue-age", NEVER)
    connection = peer.accept()
    client = tunnel.client()
    send_all(client, numbered(10))
    connection.read_datagrams(4)
    tunnel.wait_for_received("out", 10)
    assert tunnel.stop() == 0


def test_second_signal_ends_at_once_with_its_own_status(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--window", "1", "--queue-age", NEVER)
    connection = peer.accept()
    client = tunnel.client()
    send_all(client, numbered(10))
    connection.read_datagram()
    tunnel.wait_for_received("out", 10)
    # Both are there when the process goes on, so that the first can't have been the end of it.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        tunnel.send_signal(number)
    assert tunnel.wait() in (128 + signal.SIGINT, 128 + signal.SIGTERM)


def test_same_signal_twice_in_a_moment_is_one(start_tunnel, peer):
    """As timeout(1) sends it: to the process, then to its group."""
    tunnel = start_tunnel(peer)
    peer.accept()
    tunnel.wait_connected()
    for _ in range(2):
        tunnel.send_signal(signal.SIGTERM)
    assert tunnel.wait() == 0


def test_local_port_is_free_after_a_stop(start_tunnel, closed_port):
    first = start_tunnel(closed_port)
    assert first.stop() == 0
    start_tunnel(closed_port, "--local-port", first.port)


# SIGUSR1


def test_counters_tell_what_was_carried(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    connection = peer.accept()
    exchange(tunnel.client(), connection, b"12345678")
    tunnel.client().send(b"123")
    connection.read_datagram()
    counters = tunnel.wait_for_received("out", 2)
    assert counters["received_total"] == {"out": 2, "in": 1}
    assert counters["datagrams_total"] == {"out": 2, "in": 1}
    assert counters["bytes_total"] == {"out": 11, "in": len(b"answer to 12345678")}
    assert drop_reasons(counters, "out") == drop_reasons(counters, "in") == {}
    assert counters["queue_datagrams"] == 0
    assert counters["unanswered_datagrams"] == 1
    assert counters["clients"] == 2
    assert counters["connects_total"] == {"ok": 1, "failed": 0}
    assert set(counters["renewals_total"]) == {"reply_timeout", "window", "one_way", "reload"}
    assert counters["label_credits_total"] == 0


def test_counters_at_start_are_zero(start_tunnel, full_backlog):
    counters = start_tunnel(full_backlog).counters()
    assert counters["received_total"] == counters["datagrams_total"] == {"out": 0, "in": 0}
    assert counters["connects_total"] == {"ok": 0, "failed": 0}


# SIGHUP


def test_hangup_renews_with_the_new_websocket_first(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    old = peer.accept()
    tunnel.wait_connected()
    client = tunnel.client()
    tunnel.send_signal(signal.SIGHUP)
    fresh = peer.accept_request()
    exchange(client, old, b"still on the old one")
    fresh.upgrade()
    frames, close = old.read_until_close()
    assert (frames, close.close_code) == ([], 1000)
    exchange(client, fresh, b"on the new one")
    counters = tunnel.counters()
    assert counters["renewals_total"]["reload"] == 1
    assert counters["connects_total"]["ok"] == 2


def test_hangup_loses_no_reply_that_is_on_its_way(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    old = peer.accept()
    tunnel.wait_connected()
    client = tunnel.client()
    client.send(b"question")
    asked = old.read_datagram()
    tunnel.send_signal(signal.SIGHUP)
    peer.accept()
    tunnel.wait_for_connections(2)
    old.reply(asked, b"answer")
    assert client.receive() == b"answer"


def test_hangup_while_there_is_no_connection_does_no_harm(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--connect-timeout", NEVER)
    connection = peer.accept_request()
    tunnel.send_signal(signal.SIGHUP)
    tunnel.counters()  # by then the signal has been handled
    if peer.has_connection():
        connection = peer.accept_request()
    connection.upgrade()
    tunnel.wait_connected()


# What does nothing


def test_broken_pipe_does_nothing(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    connection = peer.accept()
    tunnel.send_signal(signal.SIGPIPE)
    exchange(tunnel.client(), connection)


def test_log_that_nobody_reads_does_nothing(peer):
    command = [*tool_command(), "udp-tunnel", *option_words(peer.authority, ["-v"])]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, env=clean_environment())
    try:
        bound = re.search(rb"listening on ([\d.]+):(\d+) ", child.stderr.readline())
        connection = peer.accept()
        child.stderr.close()
        client = UdpClient(bound[1].decode(), int(bound[2]))
        child.send_signal(signal.SIGUSR1)  # has something to say
        exchange(client, connection)
        client.close()
        connection.close()
        child.terminate()
        assert child.wait(DEADLINE) == 0
    finally:
        child.kill()
        child.wait()


def test_stopped_process_goes_on_where_it_was(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    connection = peer.accept()
    client = tunnel.client()
    tunnel.send_signal(signal.SIGSTOP)
    wait_until(
        lambda: os.waitid(os.P_PID, tunnel.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT), "the stop"
    )
    client.send(b"question")
    tunnel.send_signal(signal.SIGCONT)
    connection.reply(connection.read_datagram(), b"answer")
    assert client.receive() == b"answer"
