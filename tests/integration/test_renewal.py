"""An unclean WebSocket is replaced, the new one first; nothing is lost or misrouted for good."""

from support.traffic import numbered, send_all
from support.tunnel import drop_reasons
from support.waiting import wait_until

NEVER = "1h"


def renewals(counters):
    return {cause: n for cause, n in counters["renewals_total"].items() if n}


def start_with_one_unanswered(start_tunnel, peer, *options):
    """A tunnel, its first connection, and one client's datagram that was not answered there."""
    tunnel = start_tunnel(peer, "--connect-timeout", NEVER, *options)
    connection = peer.accept()
    tunnel.wait_connected()
    client = tunnel.client()
    client.send(b"unanswered")
    return tunnel, connection, client, connection.read_datagram()


# A reply that does not come


def test_overdue_reply_brings_a_new_websocket_before_the_old_one_is_closed(start_tunnel, peer):
    tunnel, old, client, asked = start_with_one_unanswered(
        start_tunnel, peer, "--reply-timeout", "300ms"
    )
    fresh = peer.accept_request()
    assert not old.has_something(), "the old one was given up before the new one was there"
    fresh.upgrade()
    frames, close = old.read_until_close()
    assert (frames, close.close_code) == ([], 1000)
    assert renewals(tunnel.counters()) == {"reply_timeout": 1}


def test_old_websocket_serves_until_the_new_one_is_there(start_tunnel, peer):
    tunnel, old, client, asked = start_with_one_unanswered(
        start_tunnel, peer, "--reply-timeout", "300ms"
    )
    peer.accept_request()  # and not answered
    client.send(b"meanwhile")
    assert old.read_datagram().payload == b"meanwhile"
    old.reply(asked, b"answer")
    assert client.receive() == b"answer"


def test_new_datagrams_go_on_the_new_websocket(start_tunnel, peer):
    tunnel, old, client, asked = start_with_one_unanswered(
        start_tunnel, peer, "--reply-timeout", "300ms"
    )
    fresh = peer.accept()
    tunnel.wait_for_connections(2)
    client.send(b"next")
    assert fresh.read_datagram().payload == b"next"


def test_late_reply_on_the_old_websocket_is_delivered_and_ends_it(start_tunnel, peer):
    tunnel, old, client, asked = start_with_one_unanswered(
        # Long enough for the old one to be there still when the reply comes.
        start_tunnel,
        peer,
        "--reply-timeout",
        "1s",
    )
    peer.accept()
    tunnel.wait_for_connections(2)
    old.reply(asked, b"late")
    assert client.receive() == b"late"
    assert old.read_until_close()[1].close_code == 1000


def test_answered_websocket_is_not_renewed(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reply-timeout", "100ms")
    connection = peer.accept()
    client = tunnel.client()
    for payload in numbered(50):
        client.send(payload)
        connection.reply(connection.read_datagram(), payload)
        assert client.receive() == payload
    assert renewals(tunnel.counters()) == {}
    assert not peer.has_connection()


def test_renewal_that_fails_is_tried_again_while_the_old_websocket_serves(start_tunnel, peer):
    tunnel, old, client, asked = start_with_one_unanswered(
        start_tunnel, peer, "--reply-timeout", "300ms"
    )
    peer.accept_request().refuse("503 Service Unavailable")
    old.reply(asked, b"answer all the same")
    assert client.receive() == b"answer all the same"


# A window that stays full


def test_full_window_brings_a_new_websocket_and_nothing_is_lost(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reply-timeout", NEVER)
    first = peer.accept()
    tunnel.wait_connected()
    client = tunnel.client()
    send_all(client, numbered(70))
    sent = [asked.payload for asked in first.read_datagrams(31)]
    second = peer.accept()
    sent += [asked.payload for asked in second.read_datagrams(31)]
    third = peer.accept()
    sent += [asked.payload for asked in third.read_datagrams(8)]
    assert sent == numbered(70)
    counters = tunnel.counters()
    assert renewals(counters) == {"window": 2}
    assert drop_reasons(counters, "out") == {}


def test_websocket_with_a_full_window_is_closed_while_the_gateway_still_reads(start_tunnel, peer):
    # With 31 outstanding Otoroshi still answers a close, with 32 it never would.
    tunnel = start_tunnel(peer, "--reply-timeout", "1s")
    first = peer.accept()
    tunnel.wait_connected()
    client = tunnel.client()
    send_all(client, numbered(40))
    peer.accept()
    frames, close = first.read_until_close()
    assert (len(frames), close.close_code) == (31, 1000)


# What the user is told


def test_renewal_with_several_clients_names_the_other_modes(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reply-timeout", "300ms")
    connection = peer.accept()
    for _ in range(2):
        client = tunnel.client()
        client.send(b"question")
        asked = connection.read_datagram()
        connection.reply(asked, b"answer")
        assert client.receive() == b"answer"
        client.send(b"unanswered")
        connection.read_datagram()
    peer.accept()
    tunnel.wait_for_log(r"^\[WARN .*--connections pool")


def test_renewal_where_no_reply_was_ever_seen_names_one_way(start_tunnel, peer):
    tunnel, *_ = start_with_one_unanswered(start_tunnel, peer, "--reply-timeout", "300ms")
    peer.accept()
    tunnel.wait_for_log(r"^\[WARN .*--one-way")


def test_warning_is_given_once_in_a_while_only(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--reply-timeout", "100ms")
    for number in range(1, 4):
        connection = peer.accept()
        tunnel.wait_for_connections(number)
        tunnel.client().send(b"unanswered")
        connection.read_datagram()
    assert tunnel.log.count("[WARN ") == 1


# Through a gateway that pairs by position


def answer_to(payload):
    return b"answer to " + payload


def test_answers_are_right_again_after_a_lost_reply_and_a_renewal(
    start_gateway, start_tunnel, start_echo
):
    service = start_echo(answer_to)
    remote = f"{service.host}:{service.port}"
    # The third reply of each WebSocket is lost, and the replies after it are shifted.
    gateway = start_gateway("--remote", remote, "--drop-reply", "3")
    tunnel = start_tunnel(gateway, "--reply-timeout", "300ms").wait_connected()
    for payload in numbered(5):
        tunnel.client().send(payload)
    assert renewals(tunnel.wait_for_connections(2)) == {"reply_timeout": 1}
    for payload in (b"first", b"second"):
        assert tunnel.client().ask(payload) == answer_to(payload)


def test_31_unanswered_do_not_stall_the_gateway(start_gateway, start_tunnel, start_echo):
    arrived = []
    silent = start_echo(lambda payload: arrived.append(payload))
    gateway = start_gateway("--remote", f"{silent.host}:{silent.port}")
    tunnel = start_tunnel(gateway).wait_connected()
    client = tunnel.client()
    send_all(client, numbered(120))
    wait_until(lambda: len(arrived) == 120, "all 120 datagrams at the remote")
    assert sorted(arrived) == sorted(numbered(120))
