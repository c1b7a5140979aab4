"""--connections pool: no answer reaches another client, whatever the gateway loses or doubles."""

import signal
import subprocess
import threading

import pytest

from support.dev_gateway import remote
from support.dns import Sources, records
from support.relay import CountingRelay
from support.services import Dnsmasq, Snmpd, run, snmp_environment
from support.sink import UdpSink
from support.tunnel import drop_reasons
from support.traffic import numbered, send_all
from support.waiting import DEADLINE, SLOWDOWN, wait_until

POOL = ("--connections", "pool")
SOURCES = 128
# Each source has one question in flight; the tool allows one client 8 on its WebSocket.
IN_FLIGHT = 8

ZONE = records(Dnsmasq.ZONE, 10_000)
# Where answers are lost a source has to wait before it asks again: fewer of them.
PART = ZONE[:2_000]


@pytest.fixture
def directory(processes, tmp_path):
    """A DNS server that knows every name of ZONE."""
    server = Dnsmasq(tmp_path, ZONE)
    processes.append(server)
    server.wait_ready()
    return server


@pytest.fixture
def start_relay():
    relays = []

    def start(gateway):
        relays.append(CountingRelay(gateway))
        return relays[-1]

    yield start
    for relay in relays:
        relay.close()


def server(tunnel):
    return (tunnel.host, tunnel.port)


# DNS: 10,000 questions of 128 sources


@pytest.mark.parametrize("fresh_ports", [False, True], ids=["one_port_each", "a_port_a_question"])
def test_10000_questions_of_128_sources_get_their_own_answers(
    start_gateway, start_tunnel, directory, fresh_ports
):
    gateway = start_gateway(*remote(directory))
    tunnel = start_tunnel(gateway, *POOL).wait_connected()
    found = Sources(server(tunnel), SOURCES, fresh_ports).ask(ZONE)
    assert (found.right, found.foreign, found.wrong) == (len(ZONE), [], []), str(found)
    # Without loss nobody has to ask twice, and nothing is lost on the way.
    counters = tunnel.counters()
    assert found.tries == len(ZONE), f"{found}; {counters}"
    assert counters["datagrams_total"] == {"out": len(ZONE), "in": len(ZONE)}
    assert counters["connects_total"]["ok"] > 1, "all went through one WebSocket"
    assert gateway.counters()["stalled_total"] == 0


@pytest.mark.parametrize("fresh_ports", [False, True], ids=["one_port_each", "a_port_a_question"])
@pytest.mark.parametrize(
    "faults",
    [
        ("--drop-reply", "10"),
        ("--drop-reply", "every:20"),
        ("--drop-reply", "every:50", "--delay", "20"),
        ("--drop-in-flight",),
        ("--duplicate-reply", "2"),
        ("--duplicate-reply", "every:5"),
        ("--delay", "20"),
    ],
    ids=" ".join,
)
def test_no_answer_goes_to_another_source_whatever_the_gateway_does(
    start_gateway, start_tunnel, directory, faults, fresh_ports
):
    gateway = start_gateway(*remote(directory), *faults)
    # A lost answer keeps a WebSocket from others until the reply timeout has passed.
    tunnel = start_tunnel(gateway, *POOL, "--reply-timeout", "500ms").wait_connected()
    # Only a lost answer is to be asked for again: a copy of the question could meet one of the
    # answer.
    patience = SLOWDOWN if any("drop" in word for word in faults) else DEADLINE
    found = Sources(server(tunnel), SOURCES, fresh_ports, patience, tries=10).ask(PART)
    assert (found.right, found.foreign, found.wrong) == (len(PART), [], []), (
        f"{found}; {tunnel.counters()}"
    )


@pytest.mark.parametrize(
    "faults",
    [
        # Held back, an answer and its copy leave the gateway one after the other, so that the
        # WebSocket may be another source's by then.
        ("--duplicate-reply", "every:5", "--delay", "5"),
        # A copy may stand for a lost answer, so that the WebSocket is handed on too early.
        ("--duplicate-reply", "every:5", "--drop-reply", "every:50"),
    ],
    ids=" ".join,
)
def test_what_a_late_copy_displaces_is_counted(start_gateway, start_tunnel, directory, faults):
    gateway = start_gateway(*remote(directory), *faults)
    tunnel = start_tunnel(gateway, *POOL, "--reply-timeout", "500ms").wait_connected()
    found = Sources(server(tunnel), SOURCES, patience=SLOWDOWN, tries=10).ask(PART)
    counters = tunnel.counters()
    assert (found.right, found.wrong) == (len(PART), []), f"{found}; {counters}"
    assert len(found.foreign) <= counters["surplus_replies_total"], f"{found}; {counters}"
    assert counters["surplus_replies_total"] > 0


# The harness itself: it must see wrong answers where there are some.


def test_shared_websocket_that_is_never_renewed_does_misroute(
    start_gateway, start_tunnel, directory
):
    gateway = start_gateway(*remote(directory), "--drop-reply", "3")
    tunnel = start_tunnel(gateway, "--reply-timeout", "1h").wait_connected()
    found = Sources(server(tunnel), count=8, patience=0.2 * SLOWDOWN, tries=2).ask(ZONE[:40])
    assert len(found.foreign) > 10, str(found)


@pytest.mark.parametrize("sources", [16, SOURCES])
def test_dnsperf_loses_none_of_10000(start_gateway, start_tunnel, directory, tmp_path, sources):
    tunnel = start_tunnel(start_gateway(*remote(directory)), *POOL).wait_connected()
    questions = tmp_path / "questions"
    questions.write_text("".join(f"{one.name} A\n" for one in ZONE))
    how = ["-d", questions, "-n", "1", "-T", "1", "-c", sources, "-q", sources]
    how += ["-t", f"{DEADLINE:.0f}", "-W"]
    report = run("dnsperf", "-s", tunnel.host, "-p", tunnel.port, *how)
    figures = " ".join(report.split())
    for expected in (
        f"Queries sent: {len(ZONE)}",
        f"Queries completed: {len(ZONE)} (100.00%)",
        "Queries lost: 0 (0.00%)",
        f"Response codes: NOERROR {len(ZONE)} (100.00%)",
    ):
        assert expected in figures, report
    # It warns of answers whose number nobody has asked with.
    assert "Warning" not in report, report


# SNMP: walks at the same time

TABLES, ROWS = 12, 200


@pytest.fixture
def agent(processes, tmp_path):
    agent = Snmpd(tmp_path, TABLES, ROWS)
    processes.append(agent)
    agent.wait_ready()
    return agent


@pytest.fixture
def walk(tmp_path):
    """walk(command, agent, *options): of every table, all at the same time; their outputs."""

    def start(command, where, table, options):
        return subprocess.Popen(
            [command, "-v2c", "-c", "public", "-On", *options]
            + [f"udp:{where.host}:{where.port}", f"{Snmpd.TABLES}.{table}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=snmp_environment(tmp_path),
        )

    def walk_all(command, where, *options):
        walks = [start(command, where, table, options) for table in range(1, TABLES + 1)]
        try:
            return [one.communicate(timeout=3 * DEADLINE)[0] for one in walks]
        finally:
            for one in walks:
                one.kill()

    return walk_all


ONE_TRY = ("-r", "0", "-t", f"{DEADLINE:.0f}")
SEVERAL_TRIES = ("-r", "20", "-t", f"{0.5 * SLOWDOWN:g}")


@pytest.mark.parametrize("command", ["snmpwalk", "snmpbulkwalk"])
@pytest.mark.parametrize("mode", ["pool", "per-client"])
@pytest.mark.parametrize(
    "faults, tries",
    [
        # Held back, so that the walks go on side by side.
        (("--delay", "2"), ONE_TRY),
        # Held back, a copy may come when its WebSocket is another walk's already.
        (("--delay", "2", "--duplicate-reply", "every:5"), SEVERAL_TRIES),
        (("--delay", "2", "--drop-reply", "every:25"), SEVERAL_TRIES),
    ],
    ids=["all_answered", "doubled", "lost"],
)
def test_walks_at_the_same_time_give_what_they_give_without_a_tunnel(
    start_gateway, start_tunnel, agent, walk, mode, command, faults, tries
):
    gateway = start_gateway(*remote(agent), *faults)
    options = ("--connections", mode, "--reply-timeout", "300ms")
    tunnel = start_tunnel(gateway, *options).wait_connected()
    expected = walk(command, agent, *ONE_TRY)
    assert all(len(output.splitlines()) >= ROWS for output in expected), expected
    assert walk(command, tunnel, *tries) == expected, tunnel.counters()


# Which WebSocket carries whom


class Crowd:
    """The peer's side of a pool: takes every connection, finds the next question on any of them.

    Label credits, which are frames without data, are passed over.
    """

    def __init__(self, peer):
        self._peer = peer
        self.connections = []

    def accept_all(self):
        while self._peer.has_connection():
            self.connections.append(self._peer.accept())

    def look(self):
        self.accept_all()
        for connection in self.connections:
            while connection.has_something():
                question = connection.read_datagram()
                if question.payload:
                    return connection, question
        return None

    def next_question(self):
        """The connection it came on, and the question."""
        return wait_until(self.look, "a question")

    def next_questions(self, count):
        return [self.next_question() for _ in range(count)]

    def assert_quiet(self, tunnel):
        """No question is on its way: for use once the tool is known to have them all."""
        tunnel.counters()  # an answer from the loop: it has done what it had to do
        assert self.look() is None


@pytest.fixture
def crowd(peer):
    return Crowd(peer)


@pytest.fixture
def start_pool(start_tunnel, peer):
    """start_pool(most WebSockets, *options): a tunnel that is ready and has no connection yet."""
    return lambda most, *options: start_tunnel(
        peer, *POOL, "--max-connections", most, "--reply-timeout", "1h", *options
    )


def test_clients_that_wait_at_the_same_time_have_a_websocket_each(start_pool, crowd):
    tunnel = start_pool(8)
    asked = []
    for number in range(4):
        tunnel.client().send(b"%d" % number)
        asked.append(crowd.next_question())
    assert len({id(connection) for connection, _ in asked}) == 4


def test_answered_websocket_is_handed_on(start_pool, crowd):
    tunnel = start_pool(1)
    for number in range(20):
        client = tunnel.client()
        client.send(b"%d" % number)
        connection, asked = crowd.next_question()
        assert (asked.payload, asked.port) == (b"%d" % number, client.port)
        connection.reply(asked, b"answer %d" % number)
        assert client.receive() == b"answer %d" % number
    assert len(crowd.connections) == 1


def test_answer_goes_to_the_client_that_asked_whatever_its_label(start_pool, crowd):
    tunnel = start_pool(1)
    first, second = tunnel.client(), tunnel.client()
    first.send(b"first")
    connection, asked = crowd.next_question()
    connection.reply(asked, b"for the first")
    assert first.receive() == b"for the first"
    second.send(b"second")
    crowd.next_question()
    connection.reply(first, b"for the second")
    assert second.receive() == b"for the second"
    assert not first.has_something()


def test_websocket_is_not_handed_on_before_all_is_answered(start_pool, crowd):
    tunnel = start_pool(1)
    first, second = tunnel.client(), tunnel.client()
    send_all(first, numbered(2))
    (connection, one), (_, other) = crowd.next_questions(2)
    second.send(b"second")
    tunnel.wait_for_received("out", 3)
    connection.reply(one, b"one")
    assert first.receive() == b"one"
    crowd.assert_quiet(tunnel)
    connection.reply(other, b"other")
    assert first.receive() == b"other"
    assert crowd.next_question()[1].payload == b"second"


def test_one_client_has_at_most_8_in_flight(start_pool, crowd):
    tunnel = start_pool(1)
    client = tunnel.client()
    send_all(client, numbered(20))
    tunnel.wait_for_received("out", 20)
    for number in range(IN_FLIGHT):
        connection, asked = crowd.next_question()
        assert asked.payload == b"%d" % number
    crowd.assert_quiet(tunnel)
    connection.reply(asked, b"answer")
    assert crowd.next_question()[1].payload == b"%d" % IN_FLIGHT
    crowd.assert_quiet(tunnel)


def test_copy_of_an_answer_before_the_hand_on_displaces_nothing(start_pool, crowd):
    tunnel = start_pool(1)
    first, second = tunnel.client(), tunnel.client()
    first.send(b"first")
    connection, asked = crowd.next_question()
    for _ in range(2):
        connection.reply(asked, b"for the first")
    assert first.receive() == b"for the first"
    tunnel.wait_for_received("in", 2)
    second.send(b"second")
    crowd.next_question()
    connection.reply(asked, b"for the second")
    assert second.receive() == b"for the second"
    assert tunnel.counters()["surplus_replies_total"] == 1


def test_copy_of_an_answer_after_the_hand_on_is_counted_and_displaces_only_while_it_lasts(
    start_pool, crowd
):
    tunnel = start_pool(1)
    first, second, third = tunnel.client(), tunnel.client(), tunnel.client()
    first.send(b"first")
    connection, asked = crowd.next_question()
    connection.reply(asked, b"for the first")
    assert first.receive() == b"for the first"
    second.send(b"second")
    crowd.next_question()
    # Nothing tells it from the second's answer, which then is the one too many.
    connection.reply(asked, b"for the first")
    connection.reply(asked, b"for the second")
    counters = tunnel.wait_for_received("in", 3)
    assert counters["surplus_replies_total"] == 1
    third.send(b"third")
    crowd.next_question()
    connection.reply(asked, b"for the third")
    assert third.receive() == b"for the third"


def test_label_credits_are_counted_as_the_gateway_sees_them(
    start_gateway, start_tunnel, start_echo
):
    service = start_echo()
    gateway = start_gateway(*remote(service), "--duplicate-reply", "every:2")
    tunnel = start_tunnel(gateway, *POOL).wait_connected()
    for number in range(20):
        assert tunnel.client().ask(b"%d" % number) == b"%d" % number
    seen = gateway.wait_for_counters(
        lambda counters: counters["labels_credit"] == tunnel.counters()["label_credits_total"],
        "as many label credits at the gateway as the tool has sent",
    )
    assert seen["labels_credit"] > 0
    assert seen["pings_received"] == 0


# --max-connections


@pytest.mark.parametrize("most", [1, 4])
def test_no_more_websockets_than_allowed_and_the_rest_waits_its_turn(
    start_pool, crowd, most
):
    tunnel = start_pool(most)
    clients = [tunnel.client() for _ in range(10)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
    tunnel.wait_for_received("out", len(clients))
    waiting = crowd.next_questions(most)
    for left in range(len(clients), 0, -1):
        crowd.assert_quiet(tunnel)
        connection, asked = waiting.pop(0)
        connection.reply(asked, b"answer to " + asked.payload)
        if left > most:
            waiting.append(crowd.next_question())
    for number, client in enumerate(clients):
        assert client.receive() == b"answer to %d" % number
    assert len(crowd.connections) == most


@pytest.mark.parametrize("most", [1, 4, 64])
def test_128_sources_get_their_answers_within_the_limit(
    start_gateway, start_tunnel, start_relay, directory, most
):
    relay = start_relay(start_gateway(*remote(directory)))
    tunnel = start_tunnel(relay, *POOL, "--max-connections", most).wait_connected()
    found = Sources(server(tunnel), SOURCES).ask(ZONE[:5000])
    assert (found.right, found.foreign, found.wrong) == (5000, [], []), (
        f"{found}; {tunnel.counters()}"
    )
    assert relay.most_open <= most


@pytest.mark.parametrize(
    "faults",
    [
        ("--drop-reply", "every:10"),
        ("--close-after", "50"),
        ("--close-after", "50:1006"),
    ],
    ids=" ".join,
)
def test_limit_holds_while_websockets_are_replaced(
    start_gateway, start_tunnel, start_relay, directory, faults
):
    most = 4
    relay = start_relay(start_gateway(*remote(directory), *faults))
    # Short, so that many are replaced, and yet longer than an answer takes.
    options = ("--max-connections", most, "--reply-timeout", "200ms")
    tunnel = start_tunnel(relay, *POOL, *options).wait_connected()
    found = Sources(server(tunnel), SOURCES // 4, patience=0.5 * SLOWDOWN, tries=20).ask(ZONE[:500])
    assert relay.opened > most, "nothing was replaced"
    assert relay.most_open <= most
    assert (found.right, found.foreign, found.wrong) == (500, [], []), (
        f"{found}; {tunnel.counters()}"
    )


# Fairness at the limit


class Greedy:
    """A client that always has more to ask than may be in flight. `answered` counts."""

    OUTSTANDING = 4 * IN_FLIGHT

    def __init__(self, client):
        self._client = client
        self._stopping = threading.Event()
        self.answered = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        send_all(self._client, [b"greedy"] * self.OUTSTANDING)
        while not self._stopping.is_set():
            try:
                self._client.receive(0.5 * SLOWDOWN)
                self.answered += 1
            except AssertionError:
                pass  # waits behind the others
            self._client.send(b"greedy")

    def wait_for_more(self):
        wanted = self.answered + 2 * self.OUTSTANDING
        wait_until(lambda: self.answered >= wanted, "more answers for the greedy client")
        return self

    def stop(self):
        self._stopping.set()
        self._thread.join(DEADLINE)


@pytest.mark.parametrize("most, greedy", [(1, 1), (2, 1), (2, 4)])
def test_greedy_clients_starve_nobody_and_are_not_starved(
    start_gateway, start_tunnel, start_relay, echo, most, greedy
):
    relay = start_relay(start_gateway(*remote(echo)))
    tunnel = start_tunnel(relay, *POOL, "--max-connections", most).wait_connected()
    crowding = [Greedy(tunnel.client()) for _ in range(greedy)]
    try:
        for one in crowding:
            one.wait_for_more()
        for client in [tunnel.client() for _ in range(4)]:
            for payload in numbered(10):
                assert client.ask(payload) == payload, tunnel.counters()
        for one in crowding:
            one.wait_for_more()
    finally:
        for one in crowding:
            one.stop()
    assert relay.most_open <= most


def test_client_that_keeps_its_window_full_is_passed_over_when_others_wait(start_pool, crowd):
    tunnel = start_pool(1)
    greedy, other = tunnel.client(), tunnel.client()
    send_all(greedy, [b"greedy"] * IN_FLIGHT)
    waiting = crowd.next_questions(IN_FLIGHT)
    other.send(b"other")
    tunnel.wait_for_received("out", IN_FLIGHT + 1)
    # Each answer makes room for one more, and there is always one more.
    for received in range(IN_FLIGHT + 2, 200):
        greedy.send(b"greedy")
        tunnel.wait_for_received("out", received)
        connection, asked = waiting.pop(0)
        connection.reply(asked, b"answer")
        assert greedy.receive() == b"answer"
        tunnel.counters()
        while (next_one := crowd.look()) is not None:
            waiting.append(next_one)
        if not waiting:  # all is answered, and the WebSocket rests before it is handed on
            waiting.append(crowd.next_question())
        if any(asked.payload == b"other" for _, asked in waiting):
            return
    raise AssertionError("the other client's question never went out")


def test_client_behind_lost_replies_is_served_when_they_are_overdue(
    start_gateway, start_tunnel, start_relay, start_echo
):
    service = start_echo(lambda payload: payload if payload == b"answer me" else None)
    relay = start_relay(start_gateway(*remote(service)))
    options = ("--max-connections", "2", "--reply-timeout", "300ms")
    tunnel = start_tunnel(relay, *POOL, *options).wait_connected()
    for _ in range(2):
        tunnel.client().send(b"never answered")
    tunnel.wait_for_received("out", 2)
    assert tunnel.client().ask(b"answer me") == b"answer me"
    assert relay.most_open <= 2


def test_websockets_that_are_overdue_together_are_replaced_together(
    start_gateway, start_tunnel, start_echo
):
    service = start_echo(lambda payload: None if payload == b"never answered" else payload)
    # Slow answers, so that a few fresh WebSockets cannot serve everybody in turn.
    gateway = start_gateway(*remote(service), "--delay", "1000")
    # The others wait 3 s of the 5 that --queue-age gives them, and then all have their turn.
    tunnel = start_tunnel(gateway, *POOL, "--reply-timeout", "3s").wait_connected()
    most = 64  # the default limit
    for _ in range(most):
        tunnel.client().send(b"never answered")
    tunnel.wait_for_counters(
        lambda counters: counters["datagrams_total"]["out"] == most, "a question on each WebSocket"
    )
    others = [tunnel.client() for _ in range(most)]
    for number, client in enumerate(others):
        client.send(b"%d" % number)
    for number, client in enumerate(others):
        assert client.receive() == b"%d" % number, tunnel.counters()
    assert drop_reasons(tunnel.counters(), "out") == {}


# Renewal by hand


@pytest.mark.parametrize("sources", [16, SOURCES])
def test_reloads_under_load_lose_and_misroute_nothing(
    start_gateway, start_tunnel, directory, sources
):
    tunnel = start_tunnel(start_gateway(*remote(directory)), *POOL).wait_connected()
    stopping = threading.Event()

    def reload_again_and_again():
        while not stopping.wait(0.003):
            tunnel.send_signal(signal.SIGHUP)

    reloads = threading.Thread(target=reload_again_and_again, daemon=True)
    reloads.start()
    try:
        found = Sources(server(tunnel), sources).ask(ZONE)
    finally:
        stopping.set()
        reloads.join(DEADLINE)
    counters = tunnel.counters()
    assert (found.right, found.foreign, found.wrong) == (len(ZONE), [], []), f"{found}; {counters}"
    assert found.tries == len(ZONE), f"{found}; {counters}"
    assert counters["renewals_total"]["reload"] > 0


def test_pool_through_tls(start_gateway, start_tunnel, directory, certificates):
    certificate = certificates["good"]
    gateway = start_gateway(
        *remote(directory), "--tls-cert", certificate.chain, "--tls-key", certificate.key
    )
    tunnel = start_tunnel(gateway, *POOL, "--tls", "--tls-ca-file", certificates.ca_file)
    found = Sources(server(tunnel.wait_connected()), SOURCES).ask(PART)
    assert (found.right, found.foreign, found.wrong) == (len(PART), [], []), str(found)


def test_pool_without_a_window_for_a_gateway_that_pairs_by_content(
    start_gateway, start_tunnel, directory
):
    gateway = start_gateway(*remote(directory), "--pairing", "exact", "--delay", "1")
    tunnel = start_tunnel(gateway, *POOL, "--window", "0").wait_connected()
    found = Sources(server(tunnel), SOURCES).ask(PART)
    assert (found.right, found.foreign, found.wrong) == (len(PART), [], []), str(found)
    assert tunnel.counters()["label_credits_total"] == 0


# A remote that never answers


@pytest.fixture
def sink():
    sink = UdpSink()
    yield sink
    sink.close()


@pytest.mark.parametrize("mode", ["shared", "pool"])
@pytest.mark.parametrize("clients", [1, 50])
def test_remote_that_never_answers_stalls_nothing_and_what_is_dropped_is_counted(
    start_gateway, start_tunnel, sink, mode, clients
):
    gateway = start_gateway(*remote(sink))
    options = ("--connections", mode, "--queue-size", "256", "--queue-age", "1s")
    tunnel = start_tunnel(gateway, *options).wait_connected()
    senders = [tunnel.client() for _ in range(clients)]
    sent = 0
    for burst in range(3):
        # More than can go at once, in steps, so that the kernel's own buffer is never the limit.
        for _ in range(10):
            for payload in numbered(100, sent):
                senders[int(payload) % clients].send(payload)
            sent += 100
            tunnel.wait_for_received("out", sent)
        counters = tunnel.wait_for_counters(
            lambda counters: counters["queue_datagrams"] == 0, "an empty queue"
        )
        assert set(drop_reasons(counters, "out")) <= {"queue_full", "queue_age"}
        passed_on = counters["datagrams_total"]["out"]
        assert passed_on + sum(drop_reasons(counters, "out").values()) == sent
        # What was passed on has arrived, each once; and the tunnel is not at its end.
        arrived = sink.wait_for(passed_on)
        assert (len(arrived), len(set(arrived))) == (passed_on, passed_on)
        senders[0].send(b"still there? %d" % burst)
        sent += 1
        assert sink.wait_for(passed_on + 1)[-1] == b"still there? %d" % burst
    seen = gateway.counters()
    assert seen["datagrams_sent"] == len(sink.payloads)
    assert (seen["stalled_total"], seen["websockets_leaked"]) == (0, 0)
    assert seen["labels_outstanding_max"] <= 31
    assert tunnel.stop() == 0
    gateway.wait_for_counters(
        lambda counters: counters["websockets_open"] == counters["udp_sockets_open"] == 0,
        "no socket of the tool left in the gateway",
    )
