"""--one-way: what is never answered flows on, each WebSocket closed while the gateway reads it."""

import collections

import pytest

from support.dev_gateway import remote
from support.relay import CountingRelay
from support.services import run
from support.sink import UdpSink
from support.syslog import numbered_messages, send_paced
from support.traffic import numbered, send_all
from support.tunnel import drop_reasons
from support.waiting import let_age, wait_until

ONE_WAY = "--one-way"
# One below the 32 at which Otoroshi stops reading.
EACH = 31


def assert_nothing_left(gateway, descriptors):
    """Once the tool has stopped: no socket in the gateway, leaked or not."""
    gateway.wait_for_counters(
        lambda counters: counters["websockets_open"] == counters["udp_sockets_open"] == 0,
        "no socket of the tool left in the gateway",
    )
    gateway.wait_for_descriptors(descriptors)


def assert_never_stalled(gateway):
    seen = gateway.counters()
    assert (seen["stalled_total"], seen["websockets_leaked"]) == (0, 0), seen
    assert seen["labels_outstanding_max"] <= EACH, seen
    assert seen["pings_received"] == 0, seen


# A real syslog server, and the gateway's stall


def assert_all_arrive(start_gateway, start_tunnel, rsyslog, count, per_second, senders=1):
    gateway = start_gateway(*remote(rsyslog))
    descriptors = gateway.descriptors()
    tunnel = start_tunnel(gateway, ONE_WAY).wait_connected()
    clients = [tunnel.client() for _ in range(senders)]
    send_paced(clients, numbered_messages(count), per_second)
    texts = [str(number) for number in range(count)]
    wait_until(
        lambda: len(rsyslog.messages()) >= count or drop_reasons(tunnel.counters(), "out"),
        f"{count} messages at the syslog server, or a drop",
    )
    counters = tunnel.counters()
    assert drop_reasons(counters, "out") == {}
    assert counters["receive_overflow_total"] == 0
    assert counters["datagrams_total"]["out"] == count
    assert collections.Counter(rsyslog.messages()) == collections.Counter(texts)
    # As few WebSockets as that takes, give or take the one in use and the one kept ahead.
    assert counters["renewals_total"]["one_way"] >= count // EACH - 1
    assert counters["connects_total"]["failed"] == 0
    assert_never_stalled(gateway)
    assert tunnel.stop() == 0
    assert_nothing_left(gateway, descriptors)


@pytest.mark.slow
def test_10000_messages_at_500_a_second_arrive_once_each(start_gateway, start_tunnel, rsyslog):
    assert_all_arrive(start_gateway, start_tunnel, rsyslog, count=10_000, per_second=500)


def test_10000_messages_at_5000_a_second_arrive_once_each(start_gateway, start_tunnel, rsyslog):
    assert_all_arrive(start_gateway, start_tunnel, rsyslog, count=10_000, per_second=5_000)


def test_messages_of_50_senders_arrive_once_each(start_gateway, start_tunnel, rsyslog):
    assert_all_arrive(
        start_gateway, start_tunnel, rsyslog, count=5_000, per_second=5_000, senders=50
    )


def test_lines_of_logger_arrive_once_each(start_gateway, start_tunnel, rsyslog, tmp_path):
    tunnel = start_tunnel(start_gateway(*remote(rsyslog)), ONE_WAY).wait_connected()
    lines = [f"line {number}" for number in range(500)]
    file = tmp_path / "lines"
    file.write_text("".join(f"{line}\n" for line in lines))
    run("logger", "-d", "-n", tunnel.host, "-P", tunnel.port, "-t", "itest", "-f", file)
    assert sorted(rsyslog.wait_for_messages(len(lines))) == sorted(lines)


def test_messages_through_tls_arrive_once_each(
    start_gateway, start_tunnel, rsyslog, certificates
):
    certificate = certificates["good"]
    gateway = start_gateway(
        *remote(rsyslog), "--tls-cert", certificate.chain, "--tls-key", certificate.key
    )
    descriptors = gateway.descriptors()
    tunnel = start_tunnel(gateway, ONE_WAY, "--tls", "--tls-ca-file", certificates.ca_file)
    tunnel.wait_connected()
    count = 2_000
    send_paced([tunnel.client()], numbered_messages(count), per_second=1_000)
    texts = [str(number) for number in range(count)]
    assert sorted(rsyslog.wait_for_messages(count)) == sorted(texts)
    assert_never_stalled(gateway)
    assert tunnel.stop() == 0
    assert_nothing_left(gateway, descriptors)


def test_what_waits_when_the_tool_is_stopped_still_arrives(start_gateway, start_tunnel, sink):
    gateway = start_gateway(*remote(sink))
    descriptors = gateway.descriptors()
    tunnel = start_tunnel(gateway, ONE_WAY).wait_connected()
    count = 10 * EACH
    send_all(tunnel.client(), numbered(count))
    tunnel.wait_for_received("out", count)
    assert tunnel.stop() == 0
    assert sorted(sink.wait_for(count)) == sorted(numbered(count))
    assert_nothing_left(gateway, descriptors)


def test_limit_of_websockets_holds(start_gateway, start_tunnel, sink):
    relay = CountingRelay(start_gateway(*remote(sink)))
    try:
        most = 3
        tunnel = start_tunnel(relay, ONE_WAY, "--max-connections", most).wait_connected()
        count = 2_000
        send_paced([tunnel.client()], numbered(count), per_second=1_000)
        assert sorted(sink.wait_for(count)) == sorted(numbered(count))
        assert relay.most_open <= most
    finally:
        relay.close()


def test_gateway_that_comes_back_gets_what_waited(start_gateway, start_tunnel, sink):
    gateway = start_gateway(*remote(sink))
    tunnel = start_tunnel(gateway, ONE_WAY).wait_connected()
    client = tunnel.client()
    send_all(client, numbered(EACH))
    sink.wait_for(EACH)
    gateway.stop()
    tunnel.wait_for_log(r"reconnecting|retrying")
    send_all(client, numbered(100, EACH))
    tunnel.wait_for_counters(lambda counters: counters["queue_datagrams"] > 0, "a queue")
    start_gateway(*remote(sink), port=gateway.port)
    assert sorted(sink.wait_for(EACH + 100)) == sorted(numbered(EACH + 100))


# Each WebSocket, frame by frame


@pytest.fixture
def sink():
    sink = UdpSink()
    yield sink
    sink.close()


@pytest.fixture
def start_one_way(start_tunnel, peer):
    """start_one_way(*options): a tunnel and its first WebSocket, which is up."""

    def start(*options):
        tunnel = start_tunnel(peer, ONE_WAY, "--connect-timeout", "1h", *options)
        connection = peer.accept()
        tunnel.wait_connected()
        return tunnel, connection

    return start


def payloads(connection, count):
    return [asked.payload for asked in connection.read_datagrams(count)]


def test_websocket_is_closed_with_1000_after_31_datagrams(start_one_way, peer):
    tunnel, first = start_one_way()
    send_all(tunnel.client(), numbered(EACH))
    assert payloads(first, EACH) == numbered(EACH)
    peer.accept()
    frames, close = first.read_until_close()
    assert (frames, close.close_code) == ([], 1000)
    counters = tunnel.counters()
    assert counters["renewals_total"]["one_way"] == 1
    assert counters["unanswered_datagrams"] == 0


def test_next_websocket_is_open_before_the_first_is_full(start_one_way, peer):
    tunnel, first = start_one_way()
    second = peer.accept()
    tunnel.wait_for_connections(2)
    send_all(tunnel.client(), numbered(EACH + 1))
    assert payloads(first, EACH) == numbered(EACH)
    # At once: no third one is answered meanwhile.
    assert payloads(second, 1) == [b"%d" % EACH]
    assert first.read_until_close()[1].close_code == 1000
    peer.accept_request()


def test_next_websocket_is_asked_for_ahead_of_need(start_one_way, peer):
    tunnel, first = start_one_way()
    send_all(tunnel.client(), numbered(EACH - 1))
    assert payloads(first, EACH - 1) == numbered(EACH - 1)
    peer.accept_request()


def test_no_websocket_ever_carries_more_than_31(start_one_way, peer):
    tunnel, connection = start_one_way()
    open_now = [connection]

    def next_used():
        if peer.has_connection():
            open_now.append(peer.accept())
        return next((one for one in open_now if one.has_something()), None)

    count = 20 * EACH
    sent = []
    send_all(tunnel.client(), numbered(count))
    while len(sent) < count:
        connection = wait_until(next_used, "a WebSocket with datagrams")
        open_now.remove(connection)
        sent += payloads(connection, EACH)
        frames, close = connection.read_until_close()
        assert (frames, close.close_code) == ([], 1000)
        connection.send_close(1000)
    assert sorted(sent) == sorted(numbered(count))


def test_datagrams_wait_while_the_next_websocket_is_not_there(start_one_way, peer):
    tunnel, first = start_one_way()
    send_all(tunnel.client(), numbered(EACH + 9))
    tunnel.wait_for_received("out", EACH + 9)
    assert payloads(first, EACH) == numbered(EACH)
    fresh = peer.accept_request()
    assert tunnel.counters()["queue_datagrams"] == 9
    fresh.upgrade()
    assert payloads(fresh, 9) == numbered(9, EACH)


def test_all_clients_count_together(start_one_way, peer):
    tunnel, first = start_one_way()
    for number in range(EACH):
        tunnel.client().send(b"%d" % number)
    first.read_datagrams(EACH)
    peer.accept()
    assert first.read_until_close()[1].close_code == 1000


def test_websocket_below_31_stays(start_one_way, peer):
    tunnel, first = start_one_way("--reply-timeout", "100ms")
    client = tunnel.client()
    send_all(client, numbered(10))
    first.read_datagrams(10)
    # Longer than any time after which an unanswered datagram is of a concern to other modes.
    let_age(0.5)
    client.send(b"later")
    assert first.read_datagram().payload == b"later"
    assert sum(tunnel.counters()["renewals_total"].values()) == 0


def test_stop_closes_with_1000(start_one_way):
    tunnel, first = start_one_way()
    tunnel.client().send(b"one")
    first.read_datagram()
    tunnel.send_signal(15)
    frames, close = first.read_until_close()
    assert (frames, close.close_code) == ([], 1000)
    first.send_close(1000)
    assert tunnel.wait() == 0


def test_websocket_that_is_lost_is_replaced_and_nothing_sent_twice(start_one_way, peer):
    tunnel, first = start_one_way()
    client = tunnel.client()
    send_all(client, numbered(10))
    assert payloads(first, 10) == numbered(10)
    fresh = peer.accept()
    tunnel.wait_for_connections(2)
    first.close()
    tunnel.wait_for_error()
    client.send(b"next")
    assert fresh.read_datagram().payload == b"next"
    assert not fresh.has_something()


# Replies that come nevertheless


def test_replies_are_discarded_and_counted(start_one_way):
    tunnel, connection = start_one_way()
    client = tunnel.client()
    send_all(client, numbered(10))
    for asked in connection.read_datagrams(10):
        connection.reply(asked, b"not expected")
    counters = tunnel.wait_for_received("in", 10)
    assert drop_reasons(counters, "in") == {"one_way": 10}
    assert counters["datagrams_total"]["in"] == 0
    assert not client.has_something()


def test_answering_service_behind_the_gateway_disturbs_nothing(
    start_gateway, start_tunnel, start_echo
):
    arrived = []

    def take(payload):
        arrived.append(payload)
        return payload

    gateway = start_gateway(*remote(start_echo(take)))
    descriptors = gateway.descriptors()
    tunnel = start_tunnel(gateway, ONE_WAY).wait_connected()
    client = tunnel.client()
    count = 500
    send_paced([client], numbered(count), per_second=1_000)
    wait_until(lambda: len(arrived) >= count, f"{count} datagrams at the service")
    assert sorted(arrived) == sorted(numbered(count))
    # Those on their way when their WebSocket is closed are lost in the gateway.
    counters = tunnel.wait_for_dropped("in", 1)
    assert set(drop_reasons(counters, "in")) == {"one_way"}
    assert counters["datagrams_total"]["in"] == 0
    assert not client.has_something()
    assert tunnel.stop() == 0
    assert_nothing_left(gateway, descriptors)
