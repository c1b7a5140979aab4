"""The shared WebSocket's window: how much may be unanswered, and for whom."""

import pytest

from support.traffic import numbered, send_all
from support.tunnel import drop_reasons

ALONE, SEVERAL = 31, 8


def assert_stays_at(connection, peer, count):
    """Reads `count` datagrams; none more comes, even when the full window has its renewal."""
    asked = connection.read_datagrams(count)
    # The attempt for a fresh WebSocket shows that the window has been full for a while. It is not
    # answered, so that the old one is all there is.
    peer.accept_request()
    assert not connection.has_something()
    return asked


def test_one_client_may_have_31_unanswered(start_held, peer):
    tunnel, connection = start_held()
    send_all(tunnel.client(), numbered(100))
    tunnel.wait_for_received("out", 100)
    connection.upgrade()
    assert_stays_at(connection, peer, ALONE)
    counters = tunnel.counters()
    assert counters["unanswered_datagrams"] == ALONE
    assert counters["queue_datagrams"] == 100 - ALONE


def test_several_clients_may_have_8_unanswered(start_held, peer):
    tunnel, connection = start_held()
    first, second = tunnel.client(), tunnel.client()
    for number in range(10):
        first.send(b"%d" % number)
        second.send(b"%d" % number)
    tunnel.wait_for_received("out", 20)
    connection.upgrade()
    assert_stays_at(connection, peer, SEVERAL)
    assert tunnel.counters()["queue_datagrams"] == 20 - SEVERAL


@pytest.mark.parametrize("window", [1, 5, 40])
def test_window_can_be_chosen(start_held, peer, window):
    tunnel, connection = start_held("--window", window)
    send_all(tunnel.client(), numbered(50))
    tunnel.wait_for_received("out", 50)
    connection.upgrade()
    assert_stays_at(connection, peer, window)


def test_window_of_0_is_no_limit(start_held):
    tunnel, connection = start_held("--window", "0")
    send_all(tunnel.client(), numbered(200))
    tunnel.wait_for_received("out", 200)
    connection.upgrade()
    connection.read_datagrams(200)


@pytest.mark.parametrize("clients, window", [(1, ALONE), (2, SEVERAL)], ids=["one", "several"])
def test_one_more_reply_lets_one_more_go(start_held, clients, window):
    tunnel, connection = start_held()
    senders = [tunnel.client() for _ in range(clients)]
    for number in range(window + 2):
        senders[number % clients].send(b"%d" % number)
    tunnel.wait_for_received("out", window + 2)
    connection.upgrade()
    asked = connection.read_datagrams(window)
    connection.reply(asked[0], b"answer")
    assert connection.read_datagram().payload == b"%d" % window
    assert not connection.has_something()


def test_every_datagram_goes_out_in_order_as_replies_come(start_held):
    tunnel, connection = start_held()
    client = tunnel.client()
    send_all(client, numbered(200))
    tunnel.wait_for_received("out", 200)
    connection.upgrade()
    for number in range(200):
        asked = connection.read_datagram()
        assert asked.payload == b"%d" % number
        connection.reply(asked, asked.payload)
        assert client.receive() == b"%d" % number
    assert tunnel.counters()["connects_total"]["ok"] == 1


def test_replies_of_all_clients_count(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    connection = peer.accept()
    clients = [tunnel.client() for _ in range(20)]
    for _ in range(5):
        for client in clients:
            client.send(b"question")
            connection.reply(connection.read_datagram(), b"answer")
            assert client.receive() == b"answer"
    counters = tunnel.counters()
    assert counters["unanswered_datagrams"] == 0
    assert counters["connects_total"]["ok"] == 1


def test_what_waits_behind_the_window_is_dropped_when_too_old(start_held, peer):
    tunnel, connection = start_held("--queue-age", "200ms", "--window", "4")
    send_all(tunnel.client(), numbered(4))
    tunnel.wait_for_received("out", 4)
    connection.upgrade()
    connection.read_datagrams(4)
    send_all(tunnel.client(), numbered(3))
    counters = tunnel.wait_for_dropped("out", 3)
    assert drop_reasons(counters, "out") == {"queue_age": 3}


# More than 8 of one client: replies may be missing, so no second client may follow


@pytest.mark.parametrize("answered", [False, True], ids=["unanswered", "answered"])
def test_second_client_after_a_crowd_goes_on_a_fresh_websocket(start_tunnel, peer, answered):
    # Within the reply timeout the old one stays for what has not been answered.
    tunnel = start_tunnel(peer, "--reply-timeout", "1s")
    old = peer.accept()
    tunnel.wait_connected()
    crowd, second = tunnel.client(), tunnel.client()
    send_all(crowd, numbered(SEVERAL + 2))
    asked = old.read_datagrams(SEVERAL + 2)
    if answered:
        for datagram in asked:
            old.reply(datagram, b"answer")
        for _ in asked:
            crowd.receive()
    second.send(b"second client")
    fresh = peer.accept()
    datagram = fresh.read_datagram()
    assert (datagram.payload, datagram.port) == (b"second client", second.port)
    frames, close = old.read_until_close()
    assert (frames, close.close_code) == ([], 1000)


def test_second_client_after_8_of_the_first_stays_on_the_websocket(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    connection = peer.accept()
    first, second = tunnel.client(), tunnel.client()
    send_all(first, numbered(SEVERAL - 1))
    connection.read_datagrams(SEVERAL - 1)
    second.send(b"second client")
    assert connection.read_datagram().payload == b"second client"


def test_first_client_keeps_its_answers_while_the_second_is_moved(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    old = peer.accept()
    tunnel.wait_connected()
    first, second = tunnel.client(), tunnel.client()
    send_all(first, numbered(SEVERAL + 2))
    asked = old.read_datagrams(SEVERAL + 2)
    second.send(b"second client")
    fresh = peer.accept()
    fresh.reply(fresh.read_datagram(), b"for the second")
    for datagram in asked:
        old.reply(datagram, b"for the first")
    assert second.receive() == b"for the second"
    assert [first.receive() for _ in asked] == [b"for the first"] * len(asked)
