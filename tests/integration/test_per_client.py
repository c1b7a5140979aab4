"""--connections per-client: a WebSocket, and so a source port at the remote, for each client."""

import signal

import pytest

from support import websocket
from support.labels import CONTROL_LABEL, MOST_LABELS, Label, LabelledConnection
from support.traffic import numbered, send_all
from support.tunnel import drop_reasons
from support.waiting import SLOWDOWN, let_age, wait_until

NEVER = "1h"

# Labels that a client's WebSocket has ahead, at least.
CREDITS = 4


def renewals(counters):
    return {cause: n for cause, n in counters["renewals_total"].items() if n}


@pytest.fixture
def start(start_tunnel):
    """start(gateway, *options): a tunnel with a WebSocket for each client."""
    return lambda gateway, *options: start_tunnel(gateway, "--connections", "per-client", *options)


@pytest.fixture
def meet(peer):
    """meet(tunnel): a new client whose first datagram has come, and the WebSocket it came on."""

    def meet(tunnel, payload=b"hello", **how):
        client = tunnel.client()
        client.send(payload)
        return client, accept_from(client, payload, **how)

    def accept_from(client, payload, **how):
        connection = LabelledConnection(peer.accept(), **how)
        asked = connection.read_datagram()
        assert (asked.payload, asked.port) == (payload, client.port)
        return connection

    meet.again = accept_from
    return meet


@pytest.fixture
def answered(meet):
    """answered(tunnel): as meet(), and the first datagram has its answer."""

    def answered(tunnel, payload=b"hello", **how):
        client, connection = meet(tunnel, payload, **how)
        connection.reply(b"answer")
        assert client.receive() == b"answer"
        return client, connection

    return answered


@pytest.fixture
def through_gateway(start, start_gateway):
    """through_gateway(service, *options, gateway=[...]): the tunnel and the gateway."""

    def through(service, *options, gateway=()):
        started = start_gateway("--remote", f"{service.host}:{service.port}", *gateway)
        return start(started, *options), started

    return through


# One source port for each client


def test_client_keeps_its_source_port(through_gateway, echo):
    tunnel, _ = through_gateway(echo)
    client = tunnel.client()
    for payload in numbered(100):
        assert client.ask(payload) == payload
    assert len(echo.ports()) == 1
    assert tunnel.counters()["connects_total"]["ok"] == 1


def test_client_keeps_its_source_port_when_replies_are_lost(through_gateway, echo):
    lost = (1, 3, 4, 8, 12, 13, 14, 20)
    tunnel, gateway = through_gateway(
        echo,
        *("--reply-timeout", "200ms"),
        gateway=["--drop-reply", ",".join(map(str, lost))],
    )
    client = tunnel.client()
    for number, payload in enumerate(numbered(30), start=1):
        client.send(payload)
        if number not in lost:
            assert client.receive() == payload
        elif number == lost[-1]:
            let_age(0.5)  # beyond the reply timeout, which renews a shared WebSocket
    assert gateway.counters()["replies_dropped_fault"] == len(lost)
    assert len(echo.ports()) == 1
    assert renewals(tunnel.counters()) == {}


def test_each_client_has_a_source_port_of_its_own(through_gateway, echo):
    tunnel, _ = through_gateway(echo)
    clients = [tunnel.client() for _ in range(10)]
    for number in range(5):
        for name, client in enumerate(clients):
            payload = b"%d:%d" % (name, number)
            assert client.ask(payload) == payload
    ports = {}
    for payload, port in echo.sources:
        ports.setdefault(payload.split(b":")[0], set()).add(port)
    assert [len(of_client) for of_client in ports.values()] == [1] * len(clients)
    assert len(echo.ports()) == len(clients)


def test_datagrams_under_way_both_ways_share_one_source_port(through_gateway, echo):
    tunnel, _ = through_gateway(echo)
    client = tunnel.client()
    came = []
    for number, payload in enumerate(numbered(2000)):
        client.send(payload)
        if number >= 8:
            came.append(client.receive())
    came += [client.receive() for _ in range(8)]
    assert came == numbered(2000)
    assert len(echo.ports()) == 1


# Labels do not matter


@pytest.mark.parametrize(
    "label",
    [
        Label("203.0.113.9", 9),
        CONTROL_LABEL,
        Label("fd00::1", 65535),
        Label("0.0.0.0", 1),
    ],
    ids=["a stranger", "a ping", "IPv6", "nobody"],
)
def test_reply_with_any_label_goes_to_the_client_of_the_websocket(start, peer, meet, label):
    tunnel = start(peer)
    client, connection = meet(tunnel)
    connection.reply_with(label, b"answer")
    assert client.receive() == b"answer"
    assert drop_reasons(tunnel.counters(), "in") == {}


def test_reply_with_the_label_of_another_client_goes_to_the_client_of_the_websocket(
    start, peer, meet
):
    tunnel = start(peer)
    first, on_first = meet(tunnel, b"first")
    second, on_second = meet(tunnel, b"second")
    on_first.reply_with(second, b"for the first")
    on_second.reply_with(first, b"for the second")
    assert first.receive() == b"for the first"
    assert second.receive() == b"for the second"
    assert not first.has_something() and not second.has_something()


def test_lost_and_doubled_replies_misroute_nothing(through_gateway, start_echo):
    service = start_echo(lambda payload: b"answer to " + payload)
    tunnel, gateway = through_gateway(
        service, gateway=["--drop-reply", "every:5", "--duplicate-reply", "every:7"]
    )
    clients = [tunnel.client() for _ in range(20)]
    for number in range(20):
        for name, client in enumerate(clients):
            client.send(b"%d:%d" % (name, number))
        wait_until(
            lambda: len(service.sources) == (number + 1) * len(clients), "every question asked"
        )
    tunnel.wait_for_received("in", gateway.counters()["frames_sent"])
    for name, client in enumerate(clients):
        came = []
        while client.has_something():
            came.append(client.receive())
        own = [b"answer to %d:%d" % (name, number) for number in range(20)]
        assert set(came) <= set(own), "another client's answer"
        assert len(set(came)) >= 16 and len(came) > len(set(came))


# Label credits: the server may push


def test_labels_are_kept_ahead_of_pushed_datagrams(start, peer, answered):
    tunnel = start(peer)
    client, connection = answered(tunnel)
    for payload in numbered(200):
        connection.read_labels(1)
        connection.reply(payload)
        assert client.receive() == payload
    # One for each, and those ahead.
    sent = tunnel.counters()["label_credits_total"]
    connection.read_labels(sent - 200)
    assert connection.credits == sent > 200


def test_credits_carry_no_datagram_to_the_remote(through_gateway, start_echo):
    service = start_echo(lambda payload: payload * 2)
    tunnel, gateway = through_gateway(service)
    client = tunnel.client()
    for payload in numbered(50):
        assert client.ask(payload) == payload * 2
    counters = gateway.counters()
    assert counters["labels_credit"] > 0
    assert [payload for payload, _ in service.sources] == numbered(50)
    sent = tunnel.counters()
    assert (sent["received_total"]["out"], sent["datagrams_total"]["out"]) == (50, 50)


@pytest.mark.parametrize("size", [1, 20])
def test_burst_is_pushed_whole(through_gateway, start_echo, size):
    # The gateway keeps 16 datagrams that have no label, so this needs a few ahead.
    service = start_echo(lambda payload: None)
    tunnel, gateway = through_gateway(service)
    client = tunnel.client()
    client.send(b"here I am")
    (port,) = wait_until(service.ports, "the client at the remote")
    for start in range(0, 10 * size, size):
        wait_until(
            lambda: gateway.counters()["labels_outstanding"] >= CREDITS, "labels ahead of the burst"
        )
        for payload in numbered(size, start):
            service.push(payload, port)
        assert [client.receive() for _ in range(size)] == numbered(size, start)


@pytest.mark.parametrize("answers", [1, 3])
def test_empty_replies_are_delivered(through_gateway, start_echo, answers):
    service = start_echo(lambda payload: b"" if payload == b"empty" else payload)
    tunnel, gateway = through_gateway(service)
    client = tunnel.client()
    for _ in range(answers):
        assert client.ask(b"empty") == b""
    # And the next one's labels are kept ahead as ever.
    other = tunnel.client()
    assert other.ask(b"question") == b"question"
    assert gateway.counters()["labels_credit"] >= 2 * CREDITS
    assert drop_reasons(tunnel.counters(), "in") == {}


# Upload without replies


def test_upload_without_replies_moves_on_to_a_fresh_websocket(start, peer, meet):
    tunnel = start(peer, "--reply-timeout", NEVER)
    client, connection = meet(tunnel, b"0")
    send_all(client, numbered(99, start=1))
    came = [b"0"]

    def all_came():
        nonlocal connection
        came.extend(connection.read_what_is_there())
        if peer.has_connection():
            # The old one takes no more by then.
            came.extend(connection.read_what_is_there())
            connection = LabelledConnection(peer.accept())
        return len(came) == 100

    wait_until(all_came, "all 100 datagrams")
    assert came == numbered(100)
    counters = tunnel.counters()
    assert renewals(counters)["window"] >= 3
    assert drop_reasons(counters, "out") == {}


def test_old_websocket_of_an_upload_is_closed_and_its_late_reply_delivered(start, peer, meet):
    tunnel = start(peer, "--reply-timeout", "1s")
    client, connection = meet(tunnel, b"0")
    send_all(client, numbered(40, start=1))
    LabelledConnection(peer.accept()).read_datagram()
    connection.read_what_is_there()
    connection.reply(b"late")
    assert client.receive() == b"late"
    assert connection.read_close().close_code == 1000


def test_upload_does_not_stall_the_gateway(through_gateway, start_echo):
    silent = start_echo(lambda payload: None)
    tunnel, gateway = through_gateway(silent)
    client = tunnel.client()
    send_all(client, numbered(120))
    wait_until(lambda: len(silent.sources) == 120, "all 120 datagrams at the remote")
    assert sorted(payload for payload, _ in silent.sources) == sorted(numbered(120))
    assert tunnel.stop() == 0
    counters = gateway.counters()
    assert counters["labels_outstanding_max"] <= MOST_LABELS
    assert (counters["stalled_total"], counters["websockets_leaked"]) == (0, 0)


def test_upload_of_one_client_holds_up_no_other(start, peer, meet):
    tunnel = start(peer, "--reply-timeout", NEVER)
    quiet, on_quiet = meet(tunnel, b"quiet")
    busy, on_busy = meet(tunnel, b"busy")
    send_all(busy, numbered(100))
    tunnel.wait_for_received("out", 102)
    peer.accept_request()  # not answered, so the datagrams of the busy one wait
    quiet.send(b"not held up")
    assert on_quiet.read_datagram().payload == b"not held up"


# A client that is not seen any more


def test_websocket_of_a_client_that_is_forgotten_is_closed(start, peer, answered):
    tunnel = start(peer, "--client-timeout", "300ms")
    client, connection = answered(tunnel)
    assert connection.read_close().close_code == 1000
    tunnel.wait_for_counters(lambda counters: counters["clients"] == 0, "no client")


def test_client_that_comes_back_gets_a_websocket_again(start, peer, answered, meet):
    tunnel = start(peer, "--client-timeout", "300ms")
    client, connection = answered(tunnel)
    assert connection.read_close().close_code == 1000
    connection.connection.close()
    client.send(b"again")
    again = meet.again(client, b"again")
    again.reply(b"answer again")
    assert client.receive() == b"answer again"


def test_active_client_keeps_its_websocket_beyond_the_client_timeout(start, peer, meet):
    tunnel = start(peer, "--client-timeout", "1s")
    client, connection = meet(tunnel)
    for payload in numbered(8):
        let_age(0.2)
        client.send(payload)
        assert connection.read_datagram().payload == payload
        connection.reply(payload)
        assert client.receive() == payload
    assert not peer.has_connection()


# At --max-connections


def test_client_quiet_longest_makes_room(start, peer, answered, meet):
    tunnel = start(peer, "--max-connections", "2")
    first, on_first = answered(tunnel, b"first")
    second, on_second = answered(tunnel, b"second")
    first.send(b"not quiet")
    assert on_first.read_datagram().payload == b"not quiet"
    on_first.reply(b"answer")
    assert first.receive() == b"answer"
    third, on_third = meet(tunnel, b"third")
    assert on_second.read_close().close_code == 1000
    assert on_first.read_what_is_there() == []
    on_third.reply(b"answer to the third")
    assert third.receive() == b"answer to the third"


def test_client_with_something_unanswered_does_not_make_room(start, peer, answered, meet):
    tunnel = start(peer, "--max-connections", "2")
    waiting, on_waiting = meet(tunnel, b"waiting for its answer")
    idle, on_idle = answered(tunnel, b"idle")
    meet(tunnel, b"third")
    assert on_idle.read_close().close_code == 1000
    on_waiting.reply(b"at last")
    assert waiting.receive() == b"at last"


def test_datagram_waits_in_the_queue_while_no_client_can_make_room(start, peer, meet):
    tunnel = start(peer, "--max-connections", "2", "--queue-age", NEVER)
    first, on_first = meet(tunnel, b"first")
    meet(tunnel, b"second")
    third = tunnel.client()
    third.send(b"third")
    tunnel.wait_for_counters(lambda counters: counters["queue_datagrams"] == 1, "1 in the queue")
    assert not peer.has_connection()
    on_first.reply(b"answer")
    assert first.receive() == b"answer"
    meet.again(third, b"third")
    assert on_first.read_close().close_code == 1000


def test_client_that_waits_for_room_holds_up_no_other(start, peer, meet):
    tunnel = start(peer, "--max-connections", "1", "--queue-age", NEVER)
    first, on_first = meet(tunnel, b"first")
    tunnel.client().send(b"second")
    tunnel.wait_for_counters(lambda counters: counters["queue_datagrams"] == 1, "1 in the queue")
    first.send(b"first again")
    assert on_first.read_datagram().payload == b"first again"


def test_more_clients_than_websockets_all_get_their_answers(through_gateway, echo):
    tunnel, gateway = through_gateway(echo, "--max-connections", "8")
    clients = [tunnel.client() for _ in range(40)]
    for number in range(3):
        for name, client in enumerate(clients):
            client.send(b"%d:%d" % (name, number))
        for name, client in enumerate(clients):
            assert client.receive() == b"%d:%d" % (name, number)
    assert tunnel.stop() == 0
    counters = gateway.counters()
    assert (counters["websockets_open"], counters["udp_sockets_open"]) == (0, 0)


# Pings


def test_ping_is_sent_while_the_gateway_gives_no_sign(start, peer, answered):
    tunnel = start(peer, "--ping-interval", "100ms", "--ping-timeout", "1s")
    client, connection = answered(tunnel)
    for _ in range(3):
        connection.read_ping()
    client.send(b"still the same")
    assert connection.read_datagram().payload == b"still the same"
    assert not peer.has_connection()


def test_next_ping_does_not_wait_for_the_timeout_of_the_one_before(start, peer, answered):
    tunnel = start(peer, "--ping-interval", "100ms", "--ping-timeout", NEVER)
    client, connection = answered(tunnel)
    for _ in range(3):
        connection.read_ping()


def test_connection_whose_ping_is_not_answered_is_given_up(start, peer, answered, meet):
    tunnel = start(peer, "--ping-interval", "100ms", "--ping-timeout", "300ms")
    client, connection = answered(tunnel, answers_pings=False)
    connection.read_ping()
    tunnel.wait_for_error("ping")
    client.send(b"on a fresh one")
    again = meet.again(client, b"on a fresh one")
    again.reply(b"answer")
    assert client.receive() == b"answer"


def test_answered_pings_keep_the_connection_beyond_the_ping_timeout(start, peer, answered):
    tunnel = start(peer, "--ping-interval", "100ms", "--ping-timeout", "200ms")
    client, connection = answered(tunnel)
    for _ in range(10):
        connection.read_ping()
    client.send(b"still the same")
    assert connection.read_datagram().payload == b"still the same"
    assert tunnel.counters()["connects_total"]["ok"] == 1


def test_no_ping_is_sent_with_an_interval_of_0(start, peer, answered):
    tunnel = start(peer, "--ping-interval", "0", "--ping-timeout", "100ms")
    client, connection = answered(tunnel)
    let_age(0.5)
    connection.read_what_is_there()
    assert connection.pings == 0


def test_pings_alone_do_not_stall_the_gateway(through_gateway, echo):
    tunnel, gateway = through_gateway(
        echo, "--ping-interval", "20ms", "--ping-timeout", "1s", "--client-timeout", NEVER
    )
    client = tunnel.client()
    assert client.ask(b"first") == b"first"
    wait_until(lambda: gateway.counters()["pings_received"] >= 1, "a ping at the gateway")
    let_age(2)  # a hundred intervals, more than three times as many as the gateway has labels
    counters = gateway.counters()
    assert counters["labels_outstanding_max"] <= MOST_LABELS
    assert counters["stalled_total"] == 0
    for payload in numbered(40):
        assert client.ask(payload) == payload


# Ends and beginnings


def test_lost_connection_of_one_client_touches_no_other(start, peer, answered, meet):
    tunnel = start(peer)
    first, on_first = answered(tunnel, b"first")
    second, on_second = answered(tunnel, b"second")
    on_first.connection.reset()
    tunnel.wait_for_error()
    first.send(b"first again")
    meet.again(first, b"first again")
    second.send(b"second again")
    assert on_second.read_datagram().payload == b"second again"


def test_reload_gives_each_client_a_fresh_websocket(start, peer, answered):
    tunnel = start(peer)
    clients = [answered(tunnel, b"%d" % number) for number in range(3)]
    tunnel.send_signal(signal.SIGHUP)
    fresh = [LabelledConnection(peer.accept()) for _ in clients]
    for client, old in clients:
        assert old.read_close().close_code == 1000
        client.send(b"after the reload")
    came = {connection.read_datagram().port for connection in fresh}
    assert came == {client.port for client, _ in clients}


def test_queued_upload_is_sent_at_the_stop(through_gateway, start_echo):
    silent = start_echo(lambda payload: None)
    tunnel, _ = through_gateway(silent)
    client = tunnel.client()
    send_all(client, numbered(60))
    tunnel.wait_for_received("out", 60)
    assert tunnel.stop() == 0
    assert sorted(payload for payload, _ in silent.sources) == sorted(numbered(60))


def test_clients_that_wait_for_room_are_sent_at_the_stop(through_gateway, start_echo):
    silent = start_echo(lambda payload: None)
    tunnel, _ = through_gateway(silent, "--max-connections", "1")
    for payload in numbered(5):
        tunnel.client().send(payload)
    tunnel.wait_for_received("out", 5)
    assert tunnel.stop() == 0
    assert sorted(payload for payload, _ in silent.sources) == numbered(5)


def test_every_websocket_is_closed_at_the_stop(start, peer, answered):
    tunnel = start(peer)
    connections = [answered(tunnel, b"%d" % number)[1] for number in range(5)]
    tunnel.send_signal(signal.SIGTERM)
    for connection in connections:
        close = connection.read_close()
        assert close.close_code == 1000
        connection.connection.send_frame(websocket.CLOSE, close.payload)
        connection.connection.close()
    assert tunnel.wait() == 0


def test_clients_are_served_again_after_a_restart_of_the_gateway(
    start, start_gateway, start_echo
):
    service = start_echo()
    remote = ("--remote", f"{service.host}:{service.port}")
    gateway = start_gateway(*remote)
    tunnel = start(gateway)
    clients = [tunnel.client() for _ in range(10)]
    for client in clients:
        assert client.ask(b"before") == b"before"
    gateway.stop()
    start_gateway(*remote, port=gateway.port)
    for client in clients:
        wait_until(lambda: answers(client, b"after"), "an answer after the restart")
    assert len(service.ports()) == 20


def answers(client, payload):
    """Whether the client, asking now, has an answer soon."""
    client.send(payload)
    try:
        return client.receive(0.5 * SLOWDOWN) == payload
    except AssertionError:
        return False
