"""What waits while no connection is up: bounded in number and age, in order, every drop counted."""

from support.traffic import LARGEST, numbered, read_payloads, send_all
from support.tunnel import drop_reasons
from support.waiting import let_age


def test_datagrams_wait_for_the_first_connection_in_order(start_held):
    tunnel, connection = start_held()
    send_all(tunnel.client(), numbered(20))
    tunnel.wait_for_counters(lambda counters: counters["queue_datagrams"] == 20, "20 in the queue")
    connection.upgrade()
    assert read_payloads(connection, 20) == numbered(20)
    tunnel.wait_for_counters(lambda counters: counters["queue_datagrams"] == 0, "an empty queue")


def test_datagrams_wait_for_the_next_connection_in_order(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    first = peer.accept()
    tunnel.wait_connected()
    first.close()
    second = peer.accept_request()
    send_all(tunnel.client(), numbered(5))
    tunnel.wait_for_counters(lambda counters: counters["queue_datagrams"] == 5, "5 in the queue")
    second.upgrade()
    assert read_payloads(second, 5) == numbered(5)


def test_replies_reach_the_clients_that_waited(start_held):
    tunnel, connection = start_held()
    clients = [tunnel.client() for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(b"question %d" % number)
    tunnel.wait_for_received("out", 3)
    connection.upgrade()
    for asked in connection.read_datagrams(3):
        connection.reply(asked, b"answer to " + asked.payload)
    for number, client in enumerate(clients):
        assert client.receive() == b"answer to question %d" % number


def test_full_queue_drops_the_oldest_and_counts_them(start_held):
    tunnel, connection = start_held("--queue-size", "4")
    send_all(tunnel.client(), numbered(6))
    counters = tunnel.wait_for_received("out", 6)
    assert drop_reasons(counters, "out") == {"queue_full": 2}
    assert counters["queue_datagrams"] == 4
    connection.upgrade()
    assert read_payloads(connection, 4) == numbered(4, start=2)


def test_default_queue_holds_1024(start_held):
    tunnel, _ = start_held()
    client = tunnel.client()
    # In steps, so that the kernel's own buffer is never the limit.
    for start in range(0, 1100, 100):
        send_all(client, numbered(100, start))
        tunnel.wait_for_received("out", start + 100)
    counters = tunnel.counters()
    assert counters["queue_datagrams"] == 1024
    assert drop_reasons(counters, "out") == {"queue_full": 76}


def test_datagram_older_than_its_age_is_dropped_and_a_younger_one_sent(start_held):
    tunnel, connection = start_held("--queue-age", "500ms")
    client = tunnel.client()
    send_all(client, [b"old", b"old too"])
    tunnel.wait_for_received("out", 2)
    let_age(0.6)
    client.send(b"young")
    tunnel.wait_for_received("out", 3)
    connection.upgrade()
    assert read_payloads(connection, 1) == [b"young"]
    assert drop_reasons(tunnel.counters(), "out") == {"queue_age": 2}


def test_largest_datagrams_wait_whole(start_held):
    tunnel, connection = start_held()
    client = tunnel.client()
    sent = [bytes([number]) * LARGEST for number in range(8)]
    for number, payload in enumerate(sent):
        client.send(payload)
        tunnel.wait_for_received("out", number + 1)
    connection.upgrade()
    assert read_payloads(connection, 8) == sent


def test_peer_that_stops_reading_fills_the_queue_and_not_the_memory(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--window", "0", "--queue-size", "16", "--queue-age", "1h")
    connection = peer.accept()
    tunnel.wait_connected()
    client = tunnel.client()
    sent = 0
    counters = tunnel.counters()
    # Until the sockets between are full, then the queue, then beyond.
    while not counters["dropped_total"]["out"].get("queue_full"):
        for _ in range(4):
            client.send(b"%06d" % sent + b"x" * 60_000)
            sent += 1
        counters = tunnel.wait_for_received("out", sent)
    assert counters["queue_datagrams"] == 16
    # What was not dropped comes, in order, once the peer reads again.
    passed = sent - counters["dropped_total"]["out"]["queue_full"]
    numbers = [int(asked.payload[:6]) for asked in connection.read_datagrams(passed)]
    assert numbers == sorted(numbers)
    assert numbers[-16:] == list(range(sent - 16, sent))
