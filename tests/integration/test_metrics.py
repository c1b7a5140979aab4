"""--metrics-listen: what the pages say, who is answered, and that no client of it is in the way."""

import json
import pathlib
import resource
import signal
import socket
import struct

import pytest

from support.status_page import PATHS, StatusPage, read_to_end
from support.traffic import numbered, read_payloads, send_all
from support.tunnel import without_prefix
from support.udp import unused_port
from support.waiting import wait_until

ANY_PORT = "127.0.0.1:0"
NEVER = "1h"

OUT_REASONS = {
    "oversize", "empty", "bad_source", "queue_full", "queue_age", "shutdown", "no_memory",
}  # fmt: skip
IN_REASONS = {
    "not_json", "not_an_object", "trailing_bytes", "duplicate_key", "missing_key", "wrong_type",
    "bad_address", "bad_port", "bad_base64", "oversize", "text_frame", "unknown_client",
    "protocol", "too_large", "one_way", "credit_returned", "send_failed",
}  # fmt: skip


@pytest.fixture
def start_page(start_tunnel):
    """start_page(gateway, *options): a tunnel that is ready, and its pages."""

    def start(gateway, *options, listen=ANY_PORT):
        tunnel = start_tunnel(gateway, "--metrics-listen", listen, *options)
        return tunnel, StatusPage(tunnel)

    return start


@pytest.fixture
def reflecting(start_gateway, start_page):
    """A tunnel whose gateway answers every datagram with itself, and the tunnel's pages."""
    tunnel, page = start_page(start_gateway("--reflect"))
    tunnel.wait_connected()
    return tunnel, page


@pytest.fixture
def held(start_page, peer):
    """A tunnel whose first connection waits for its upgrade, its pages, and that connection."""
    tunnel, page = start_page(peer, "--connect-timeout", NEVER)
    return tunnel, page, peer.accept_request()


def assert_carries(tunnel, payload=b"question"):
    assert tunnel.client().ask(payload) == payload


# Off unless asked for


def listening_inodes():
    rows = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in pathlib.Path(table).read_text().splitlines()[1:]
    ]
    return {row[9] for row in rows if row[3] == "0A"}


def open_files(tunnel):
    for file in pathlib.Path(f"/proc/{tunnel.pid}/fd").iterdir():
        try:
            yield str(file.readlink())
        except FileNotFoundError:
            pass  # closed meanwhile


def listens(tunnel):
    listening = {f"socket:[{inode}]" for inode in listening_inodes()}
    return any(name in listening for name in open_files(tunnel))


def has_loaded_library(tunnel):
    return "microhttpd" in pathlib.Path(f"/proc/{tunnel.pid}/maps").read_text()


def test_nothing_is_opened_or_loaded_unless_asked_for(tunnel):
    assert not listens(tunnel)
    assert not has_loaded_library(tunnel)
    assert "Status page" not in tunnel.log


def test_it_can_be_asked_for_by_the_environment(start_tunnel, peer):
    tunnel = start_tunnel(peer, OTOROSHICTL_METRICS_LISTEN=ANY_PORT)
    assert listens(tunnel) and has_loaded_library(tunnel)
    assert StatusPage(tunnel).get("/healthz").text == "ok\n"


def test_no_thread_is_added(held):
    tunnel, page, _ = held
    page.get("/metrics")
    assert len(list(pathlib.Path(f"/proc/{tunnel.pid}/task").iterdir())) == 1


# The address


@pytest.mark.parametrize(
    "listen, url",
    [("127.0.0.1:0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:"), ("[::]:0", "http://[::]:")],
)
def test_address_that_is_bound_is_logged(start_page, peer, listen, url):
    _, page = start_page(peer, listen=listen)
    assert page.url.startswith(url)
    assert page.port != 0
    assert page.get("/healthz").status == 200


def test_port_asked_for_is_bound_and_free_again_after_the_stop(start_page, closed_port):
    port = unused_port(socket.SOCK_STREAM)
    for _ in range(2):
        tunnel, page = start_page(closed_port, listen=f"127.0.0.1:{port}")
        assert page.port == port
        # The server's end closes first, and so stays in TIME_WAIT.
        assert page.get("/healthz").status == 200
        assert tunnel.stop() == 0


def test_name_is_looked_up(start_page, peer):
    _, page = start_page(peer, listen="localhost:0")
    assert page.get("/healthz").status == 200


def test_port_in_use_ends_with_3_before_anything_else_begins(launch_tunnel, peer):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        tunnel = launch_tunnel(peer, "--metrics-listen", f"127.0.0.1:{port}")
        assert tunnel.wait() == 3
    tunnel.wait_for_error(
        f"Cannot listen on TCP 127.0.0.1 port {port}: Address already in use; "
        "choose another with --metrics-listen"
    )
    assert not peer.has_connection()


@pytest.mark.parametrize("address", ["192.0.2.1", "[2001:db8::1]", "nowhere.invalid"])
def test_address_that_is_not_ours_ends_with_3(launch_tunnel, peer, address):
    tunnel = launch_tunnel(peer, "--metrics-listen", f"{address}:9100")
    assert tunnel.wait() == 3
    tunnel.wait_for_error(f"Cannot listen on TCP {address.strip('[]')} port 9100: ")


@pytest.mark.parametrize(
    "value",
    ["", "9100", ":9100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:0x10",
     "127.0.0.1:+1", "::1:9100", "[::1]", "http://127.0.0.1:9100/", "*:9100"],
)  # fmt: skip
def test_bad_value_ends_with_2(launch_tunnel, peer, value):
    tunnel = launch_tunnel(peer, "--metrics-listen", value)
    assert tunnel.wait() == 2
    assert f"invalid value '{value}' for '--metrics-listen <METRICS_LISTEN>'" in tunnel.log


def test_local_port_in_use_still_ends_with_3(start_page, launch_tunnel, closed_port):
    first, _ = start_page(closed_port)
    second = launch_tunnel(closed_port, "--metrics-listen", ANY_PORT, "--local-port", first.port)
    assert second.wait() == 3
    second.wait_for_error("Cannot listen on UDP")


# /metrics


def test_metrics_have_their_names_and_types(reflecting):
    _, page = reflecting
    types = {name: family.type for name, family in page.families().items()}
    assert types == {
        "otoroshictl_received": "counter",
        "otoroshictl_datagrams": "counter",
        "otoroshictl_bytes": "counter",
        "otoroshictl_dropped": "counter",
        "otoroshictl_receive_overflow": "counter",
        "otoroshictl_surplus_replies": "counter",
        "otoroshictl_label_credits": "counter",
        "otoroshictl_clients": "gauge",
        "otoroshictl_queue_datagrams": "gauge",
        "otoroshictl_unanswered_datagrams": "gauge",
        "otoroshictl_up": "gauge",
        "otoroshictl_connections": "gauge",
        "otoroshictl_connects": "counter",
        "otoroshictl_renewals": "counter",
        "otoroshictl_ping_seconds": "histogram",
        "otoroshictl_build_info": "gauge",
        "process_start_time_seconds": "gauge",
        "process_cpu_seconds": "counter",
        "process_resident_memory_bytes": "gauge",
    }


def test_every_row_of_a_label_is_there_before_it_counts(held):
    _, page, _ = held
    samples = page.samples()

    def labels(name):
        return {key[1:] for key in samples if key[0] == name}

    assert labels("dropped_total") == {("out", reason) for reason in OUT_REASONS} | {
        ("in", reason) for reason in IN_REASONS
    }
    assert labels("connections") == {("connecting",), ("active",), ("idle",), ("draining",)}
    assert labels("connects_total") == {("ok",), ("failed",)}
    assert labels("renewals_total") == {("reply_timeout",), ("window",), ("one_way",), ("reload",)}


def test_metrics_tell_what_was_carried(start_page, peer):
    tunnel, page = start_page(peer)
    connection = peer.accept()
    client = tunnel.client()
    client.send(b"12345678")
    connection.reply(connection.read_datagram(), b"answer")
    client.receive()
    send_all(client, [b"", b"123"])
    connection.read_datagram()
    samples = page.samples()
    assert samples["received_total", "out"] == 3
    assert samples["received_total", "in"] == samples["datagrams_total", "in"] == 1
    assert samples["datagrams_total", "out"] == 2
    assert samples["bytes_total", "out"] == 11
    assert samples["bytes_total", "in"] == len(b"answer")
    assert samples["dropped_total", "out", "empty"] == 1
    assert samples["clients",] == samples["up",] == 1
    assert samples["unanswered_datagrams",] == 1
    assert samples["connects_total", "ok"] == 1


def test_build_info_has_the_versions_that_run(held):
    _, page, _ = held
    (build,) = page.families()["otoroshictl_build_info"].samples
    assert build.value == 1
    assert set(build.labels) == {"version", "libwebsockets", "openssl"}
    assert all(version[0].isdigit() for version in build.labels.values())


def test_pings_are_a_cumulative_histogram(start_gateway, start_page):
    tunnel, page = start_page(
        start_gateway("--reflect"), "--connections", "per-client", "--ping-interval", "20ms"
    )
    assert_carries(tunnel)
    wait_until(lambda: page.samples()["ping_seconds_count",] >= 1, "an answered ping")
    samples = page.families()["otoroshictl_ping_seconds"].samples
    buckets = [s.value for s in samples if s.name.endswith("_bucket")]
    count = next(s.value for s in samples if s.name.endswith("_count"))
    assert buckets == sorted(buckets)
    assert buckets[-1] == count
    assert next(s.value for s in samples if s.name.endswith("_sum")) > 0


def assert_samples_balance(samples):
    for direction in ("out", "in"):
        dropped = sum(
            value for key, value in samples.items() if key[:2] == ("dropped_total", direction)
        )
        queued = samples["queue_datagrams",] if direction == "out" else 0
        assert samples["received_total", direction] == (
            samples["datagrams_total", direction] + dropped + queued
        )


@pytest.mark.parametrize("mode", ["shared", "pool", "per-client"])
def test_sums_hold_exactly_at_any_moment_under_traffic(start_gateway, start_page, mode):
    tunnel, page = start_page(
        start_gateway("--reflect"), "--connections", mode, "--queue-size", "8"
    )
    clients = [tunnel.client() for _ in range(4)]
    sent = 0
    for turn in range(100):
        for number, client in enumerate(clients):
            burst = [b"", *numbered(number + turn % 20)]
            send_all(client, burst)
            sent += len(burst)
        assert_samples_balance(page.samples())
        page.status()
    tunnel.wait_for_counters(
        lambda counters: counters["received_total"]["out"] + counters["receive_overflow_total"]
        == sent,
        "all that was sent",
    )
    samples = page.samples()
    assert samples["dropped_total", "out", "empty"] > 0
    assert samples["received_total", "in"] > 0


def test_sums_hold_while_replies_are_dropped(start_page, peer):
    tunnel, page = start_page(peer)
    connection = peer.accept()
    client = tunnel.client()
    for _ in range(20):
        client.send(b"question")
        asked = connection.read_datagram()
        for reply in (b"{}", b"no JSON"):
            connection.send_frame(2, reply)
        connection.reply(asked, b"answer")
        assert_samples_balance(page.samples())
        client.receive()
    samples = page.samples()
    assert_samples_balance(samples)
    assert samples["dropped_total", "in", "not_json"] == 20
    assert samples["dropped_total", "in", "missing_key"] == 20


# /status.json


def test_status_tells_what_runs_between_what(start_page, peer):
    tunnel, page = start_page(
        peer, "--remote-host", 'dns"x', "--remote-port", "53", "--connections", "pool"
    )
    peer.accept()
    tunnel.wait_connected()
    status = page.status()
    assert status["version"]
    assert status["state"] == "up"
    assert status["uptime_seconds"] >= 0
    assert status["local"] == f"127.0.0.1:{tunnel.port}"
    assert status["remote"] == 'dns"x:53'
    assert status["gateway"] == peer.authority
    assert status["connections_mode"] == "pool"


def test_status_has_the_counters_of_the_signal_under_their_full_names(reflecting):
    tunnel, page = reflecting
    assert_carries(tunnel)
    tunnel.client().send(b"")
    tunnel.wait_for_received("out", 2)
    since = tunnel.mark()
    tunnel.send_signal(signal.SIGUSR1)
    logged = json.loads(tunnel.wait_for_log(r"Counters: (\{.*\})$", since=since)[1])
    status = json.loads(page.get("/status.json").text)
    assert {name: value for name, value in status.items() if name in logged} == logged
    assert all(name.startswith("otoroshictl_") for name in logged)
    assert status["otoroshictl_dropped_total"] == {"out": {"empty": 1}, "in": {}}
    assert {"state", "version"} <= set(status) - set(logged)


def test_status_has_the_numbers_of_the_metrics(reflecting):
    tunnel, page = reflecting
    assert_carries(tunnel)
    samples, status = page.samples(), page.status()
    for name in ("clients", "queue_datagrams", "unanswered_datagrams", "surplus_replies_total"):
        assert samples[name,] == status[name]
    for name in ("received_total", "datagrams_total", "bytes_total", "connects_total",
                 "connections", "renewals_total"):  # fmt: skip
        assert {key[1]: n for key, n in samples.items() if key[0] == name} == status[name]
    buckets = {key[1]: n for key, n in samples.items() if key[0] == "ping_seconds_bucket"}
    assert {float(bound): n for bound, n in buckets.items()} == {
        float(bound): n for bound, n in status["ping_seconds"]["bucket"].items()
    }


# /healthz and /readyz


def test_healthy_though_not_ready(held):
    _, page, _ = held
    assert page.get("/healthz").text == "ok\n"
    ready = page.get("/readyz")
    assert ready.status == 503
    assert "connecting" in ready.text
    assert page.status()["state"] == "connecting"
    assert page.samples()["up",] == 0


def test_ready_while_a_websocket_is_open(held, peer):
    _, page, connection = held
    connection.upgrade()
    assert page.wait_for_ready(200) == "ready\n"
    assert page.samples()["up",] == 1
    connection.close()
    peer.accept_request()  # the next attempt, which the test leaves alone
    assert "not ready" in page.wait_for_ready(503)
    assert page.get("/healthz").status == 200


def test_not_ready_says_how_many_attempts_have_failed(start_page, closed_port):
    tunnel, page = start_page(closed_port, "--reconnect-delay", NEVER)
    tunnel.wait_for_error()
    text = page.wait_for_ready(503)
    assert closed_port.authority in text
    assert "waiting for the next attempt, 1 failed so far" in text


@pytest.mark.parametrize("mode", ["shared", "pool", "per-client"])
def test_ready_in_each_mode_once_a_datagram_was_answered(start_gateway, start_page, mode):
    tunnel, page = start_page(start_gateway("--reflect"), "--connections", mode)
    assert_carries(tunnel)
    assert page.get("/readyz").text == "ready\n"
    assert page.status()["connections_mode"] == mode


# HTTP


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_neither_kept_nor_guessed_at(reflecting, path):
    answer = reflecting[1].get(path)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    expected = {
        "/metrics": "text/plain; version=0.0.4; charset=utf-8",
        "/status.json": "application/json",
    }.get(path, "text/plain; charset=utf-8")
    assert answer.headers["Content-Type"] == expected


def test_index_names_every_page(reflecting):
    text = reflecting[1].get("/").text
    assert all(path in text for path in PATHS)


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/../metrics", "//metrics"])
def test_anything_else_is_not_found(reflecting, path):
    assert reflecting[1].get(path).status == 404


def test_query_is_no_part_of_the_path(reflecting):
    assert reflecting[1].get("/healthz?verbose=1").status == 200


@pytest.mark.parametrize("path", PATHS)
def test_head_has_the_head_alone(reflecting, path):
    _, page = reflecting
    answer = page.ask("HEAD", path)
    assert (answer.status, answer.text) == (200, "")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("body", [None, b"x" * 20_000], ids=["bare", "body"])
def test_other_methods_are_refused(reflecting, method, body):
    answer = reflecting[1].ask(method, "/metrics", body)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.1:1", "[::1]:80", "10.0.0.1"])
def test_host_that_no_web_site_can_have_is_answered(reflecting, host):
    assert reflecting[1].get("/metrics", Host=host).status == 200


@pytest.mark.parametrize("host", ["evil.test", "evil.test:9100", "localhost.evil.test", ""])
def test_host_of_a_web_site_is_refused(reflecting, host):
    for path in PATHS:
        answer = reflecting[1].get(path, Host=host)
        assert answer.status == 421
        assert "--metrics-listen" in answer.text


def test_http_1_0_without_a_host_is_answered(reflecting):
    answer = read_to_end(reflecting[1].send(b"GET /healthz HTTP/1.0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.") and answer.endswith(b"\r\n\r\nok\n")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["no host", "no path", "version", "length", "chunk"],
)
def test_wrong_http_is_refused(reflecting, request_bytes):
    tunnel, page = reflecting
    status_line = read_to_end(page.send(request_bytes)).split(b"\r\n")[0]
    assert b" 200 " not in status_line
    assert_carries(tunnel)


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100 + b"\r\n\r\n", b"\n" * 5000],
    ids=["TLS", "zeros", "empty lines"],
)
def test_what_is_no_http_harms_nobody(reflecting, data):
    tunnel, page = reflecting
    before = tunnel.descriptors()
    connection = page.send(data)
    assert page.get("/healthz").status == 200
    assert_carries(tunnel)
    connection.close()
    tunnel.wait_for_descriptors(before)


# Nothing secret


@pytest.mark.parametrize(
    "options, secret",
    [
        (["--access-type", "apikey", "--apikey-client-id", "me",
          "--apikey-client-secret", "hush-hush"], "hush-hush"),
        (["--access-type", "bearer", "--bearer-token", "hush-hush"], "hush-hush"),
        (["--access-type", "session", "--session-token", "hush-hush"], "hush-hush"),
    ],
    ids=["apikey", "bearer", "session"],
)  # fmt: skip
def test_no_page_has_a_secret(start_page, peer, options, secret):
    tunnel, page = start_page(peer, *options)
    peer.accept()
    tunnel.wait_connected()
    for path in [*PATHS, "/nothing"]:
        answer = page.get(path)
        assert secret not in answer.text + str(answer.headers)
        assert "pappsToken" not in answer.text


# Nobody is in the tunnel's way


def test_slow_client_holds_nobody_up(reflecting):
    tunnel, page = reflecting
    slow = [page.send(b"GET /metrics HTTP/1.1\r\n") for _ in range(10)]
    for number in range(20):
        for connection in slow:
            connection.send(b"X-%d: y\r\n" % number)
        assert_carries(tunnel)
        assert page.get("/healthz").status == 200
    for connection in slow:
        connection.close()


@pytest.mark.slow
def test_slow_client_is_ended_however_often_it_sends(reflecting):
    tunnel, page = reflecting
    connection = page.send(b"GET /metrics HTTP/1.1\r\nX-Endless: ")

    def has_ended():
        try:
            connection.send(b"y")
        except OSError:
            return True
        return False

    wait_until(has_ended, "the end of a request that goes on for ever")
    connection.close()
    assert_carries(tunnel)


def test_200_idle_connections_leave_room_for_the_next(reflecting):
    tunnel, page = reflecting
    before = tunnel.descriptors()
    idle = [page.connect() for _ in range(200)]
    for _ in range(3):
        assert page.get("/metrics").status == 200
        assert_carries(tunnel)
    assert tunnel.descriptors() < before + 100
    for connection in idle:
        connection.close()
    tunnel.wait_for_descriptors(before)


def test_stop_does_not_wait_for_http(reflecting):
    tunnel, page = reflecting
    open_ones = [page.connect() for _ in range(10)]
    open_ones.append(page.send(b"GET /metr"))
    assert tunnel.stop() == 0
    for connection in open_ones:
        connection.close()


def test_reset_in_the_middle_of_a_request_leaves_nothing_behind(reflecting):
    tunnel, page = reflecting
    before = tunnel.descriptors()
    for length in range(0, 40, 3):
        connection = page.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"[:length])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert_carries(tunnel)
    assert page.get("/metrics").status == 200
    tunnel.wait_for_descriptors(before)


def test_huge_header_is_refused(reflecting):
    tunnel, page = reflecting
    before = tunnel.descriptors()
    connection = page.connect()
    try:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 10_000_000)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has heard enough
    assert read_to_end(connection)[:12] in (b"HTTP/1.1 431", b"")
    assert_carries(tunnel)
    tunnel.wait_for_descriptors(before)


def test_endless_body_is_refused(reflecting):
    tunnel, page = reflecting
    connection = page.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"1000\r\n" + b"y" * 0x1000 + b"\r\n"
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            connection.sendall(chunk)
    connection.close()
    assert_carries(tunnel)


def test_cookies_of_other_ports_do_no_harm(reflecting):
    assert reflecting[1].get("/healthz", Cookie="c=" + "x" * 8000).status == 200


def test_pipelined_requests_are_answered_once(reflecting):
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = read_to_end(reflecting[1].send(request * 3))
    assert answer.count(b"HTTP/1.1 200") == 1


def test_reader_that_does_not_read_holds_nobody_up(reflecting):
    tunnel, page = reflecting
    silent = [page.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(30)]
    assert_carries(tunnel)
    assert page.get("/metrics").status == 200
    for connection in silent:
        connection.close()


def test_many_scrapes_leak_no_descriptor(reflecting):
    tunnel, page = reflecting
    page.get("/metrics")
    before = tunnel.descriptors()
    for number in range(300):
        assert page.get(PATHS[number % len(PATHS)]).status == 200
    tunnel.wait_for_descriptors(before)


def test_http_client_is_turned_away_while_there_is_no_descriptor(reflecting):
    tunnel, page = reflecting
    limits = resource.prlimit(tunnel.pid, resource.RLIMIT_NOFILE)
    # The new limit has to be below the lowest free number.
    used = {int(file.name) for file in pathlib.Path(f"/proc/{tunnel.pid}/fd").iterdir()}
    lowest_free = min(set(range(max(used) + 2)) - used)
    resource.prlimit(tunnel.pid, resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    assert read_to_end(page.connect()) == b""
    assert_carries(tunnel)
    resource.prlimit(tunnel.pid, resource.RLIMIT_NOFILE, limits)
    assert page.get("/metrics").status == 200
