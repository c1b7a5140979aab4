"""The log: the fixed lines that scripts wait for, failures in one line each, and no secrets."""

import base64
import re
import subprocess
import urllib.parse

import pytest

from support import websocket
from support.hostile_peer import NamedGateway, json_frame
from support.tunnel import TARGET, clean_environment, option_words, tool_command
from support.waiting import DEADLINE

INFO = f"[INFO {TARGET}]"
SECRET = "Zx9+canary/secret=?&"


def info_lines(tunnel):
    return [line for line in tunnel.log.splitlines() if line.startswith("[INFO ")]


def test_start_is_told_in_four_fixed_lines(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--remote-host", "dns.internal.com", "--remote-port", "53")
    peer.accept()
    tunnel.wait_connected()
    assert info_lines(tunnel) == [
        f"{INFO} UDP tunnel listening on 127.0.0.1:{tunnel.port} → dns.internal.com:53"
        f" via Otoroshi ({peer.authority})",
        f"{INFO} UDP tunnel ready, waiting for datagrams ...",
        f"{INFO} Connecting WebSocket tunnel ...",
        f"{INFO} WebSocket tunnel connected",
    ]


def test_log_goes_to_standard_error_alone(peer):
    child = subprocess.Popen(
        [*tool_command(), "udp-tunnel", *option_words(peer.authority, [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    try:
        peer.accept_tcp()  # by then the first three lines have been written
        child.terminate()
        output, log = child.communicate(timeout=DEADLINE)
    finally:
        child.kill()
        child.wait()
    assert output == b""
    assert log.startswith(f"{INFO} UDP tunnel listening on ".encode())


@pytest.mark.parametrize(
    "options, remote",
    [
        (["--remote-host", "syslog.test", "--remote-port", "514"], "syslog.test:514"),
        (["--remote-host", "syslog.test"], "syslog.test"),
        (["--remote-port", "514"], ":514"),
        ([], "(defined in otoroshi target)"),
    ],
    ids=["both", "host", "port", "none"],
)
def test_remote_is_named_as_far_as_it_is_known(start_tunnel, closed_port, options, remote):
    tunnel = start_tunnel(closed_port, *options)
    assert info_lines(tunnel)[0].endswith(f" → {remote} via Otoroshi ({closed_port.authority})")


def test_port_chosen_by_the_kernel_is_the_one_told(start_tunnel, peer):
    tunnel = start_tunnel(peer, "--local-port", "0")
    connection = peer.accept()
    tunnel.client().send(b"reaches the port of the log line")
    assert connection.read_datagram().payload == b"reaches the port of the log line"


def test_log_is_not_coloured_where_it_is_no_terminal(start_tunnel, closed_port):
    tunnel = start_tunnel(closed_port)
    tunnel.wait_for_error()
    assert "\x1b" not in tunnel.log


def test_colour_is_given_when_asked_for_always(launch_tunnel, closed_port):
    tunnel = launch_tunnel(closed_port, OTOROSHICTL_LOG_STYLE="always")
    tunnel.wait_for_log("\x1b\\[.*UDP tunnel ready")
    tunnel.kill()


def test_no_color_wins_over_a_style(start_tunnel, closed_port):
    tunnel = start_tunnel(closed_port, OTOROSHICTL_LOG_STYLE="always", NO_COLOR="1")
    assert "\x1b" not in tunnel.log


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_quiet_tells_failures_only(launch_tunnel, peer, option):
    tunnel = launch_tunnel(peer, option)
    peer.accept().close()
    tunnel.wait_for_log(r"^\[(ERROR|WARN) ")
    assert info_lines(tunnel) == []


@pytest.mark.parametrize(
    "options, variables",
    [(["-v"], {}), (["--verbose"], {}), ([], {"OTOROSHICTL": "debug"})],
    ids=["-v", "--verbose", "variable"],
)
def test_verbose_adds_debug_lines(start_tunnel, peer, options, variables):
    tunnel = start_tunnel(peer, *options, **variables)
    peer.accept_request().refuse("502 Bad Gateway")
    tunnel.wait_for_log(rf"^\[DEBUG {TARGET}\] ")


# Failures

APIKEY = [
    *("--access-type", "apikey", "--apikey-client-id", "my-id"),
    *("--apikey-client-secret", SECRET),
]
BEARER = ["--access-type", "bearer", "--bearer-token", SECRET]
SESSION = ["--access-type", "session", "--session-token", SECRET]
PUBLIC = ["--access-type", "public"]


def test_failure_names_status_gateway_cause_and_next_attempt(start_tunnel, peer):
    tunnel = start_tunnel(peer, *APIKEY, "--reconnect-delay", "2s")
    peer.accept_request().refuse("401 Unauthorized")
    assert tunnel.wait_for_error() == (
        f"WebSocket tunnel error: HTTP 401 from {peer.authority}: the API key was refused;"
        " retrying in 2s"
    )


@pytest.mark.parametrize(
    "access, status, cause",
    [
        (APIKEY, "400 Bad Request", "(?i)api key"),
        (APIKEY, "401 Unauthorized", "(?i)api key"),
        (BEARER, "401 Unauthorized", "(?i)token"),
        (SESSION, "401 Unauthorized", "(?i)session|token"),
        (PUBLIC, "401 Unauthorized", "(?i)credential|access"),
        (APIKEY, "403 Forbidden", "(?i)credential|refused"),
        (APIKEY, "404 Not Found", "(?i)route|host name"),
        (APIKEY, "429 Too Many Requests", "(?i)quota|thrott"),
        (PUBLIC, "500 Internal Server Error", "(?i)error|fail"),
        (PUBLIC, "502 Bad Gateway", "(?i)gateway"),
        (PUBLIC, "503 Service Unavailable", "(?i)available"),
        (PUBLIC, "200 OK", "(?i)upgrade|websocket|plugin|tunnel"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_http_status_is_one_error_line_with_its_cause(start_tunnel, peer, access, status, cause):
    tunnel = start_tunnel(peer, *access, "--reconnect-delay", "2s")
    peer.accept_request().refuse(status)
    told = tunnel.wait_for_error()
    assert told.startswith(f"WebSocket tunnel error: HTTP {status[:3]} from {peer.authority}: ")
    assert told.endswith("; retrying in 2s")
    assert re.search(cause, told)
    assert tunnel.log.count("ERROR") == 1


def test_session_that_has_ended_is_told_with_the_login_page(start_tunnel, peer):
    tunnel = start_tunnel(peer, *SESSION, "--reconnect-delay", "2s")
    peer.accept_request().refuse("303 See Other", "Location: https://login.test/page?redirect=x")
    told = tunnel.wait_for_error()
    assert "session" in told and "login.test" in told


def test_refused_connection_is_told(start_tunnel, closed_port):
    tunnel = start_tunnel(closed_port, "--reconnect-delay", "2s")
    told = tunnel.wait_for_error()
    assert closed_port.authority in told
    assert "refused" in told and told.endswith("; retrying in 2s")


def test_unknown_host_name_is_told(start_tunnel):
    gateway = NamedGateway("no-such-gateway.invalid:8080")
    tunnel = start_tunnel(gateway, "--reconnect-delay", "2s")
    assert "no-such-gateway.invalid" in tunnel.wait_for_error()


def test_same_failure_again_is_not_told_again(start_tunnel, closed_port):
    tunnel = start_tunnel(closed_port)
    tunnel.wait_for_counters(
        lambda counters: counters["connects_total"]["failed"] >= 5, "5 failed attempts"
    )
    assert tunnel.log.count("ERROR") == 1


def test_another_failure_in_between_is_told(start_tunnel, peer):
    tunnel = start_tunnel(peer)
    for status in ("404 Not Found", "404 Not Found", "502 Bad Gateway"):
        peer.accept_request().refuse(status)
    tunnel.wait_for_error("HTTP 502")
    assert tunnel.log.count("HTTP 404") == 1


# What must never be there


def forms(secret):
    """The secret as the wire, a URL or a careless line might show it."""
    return {
        secret,
        urllib.parse.quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"my-id:{secret}".encode()).decode(),
        urllib.parse.quote(f"my-id:{secret}", safe=""),
    }


@pytest.mark.parametrize("access", [APIKEY, BEARER, SESSION], ids=["apikey", "bearer", "session"])
def test_secret_is_at_no_level_in_the_log(start_tunnel, peer, access):
    tunnel = start_tunnel(peer, *access, "-v")
    # Otoroshi's login page is told where to come back to: the request's own address.
    refused = peer.accept_request()
    refused.refuse("303 See Other", f"Location: https://login.test/?to={refused.request.target}")
    refused = peer.accept_request()
    refused.refuse("302 Found", f"Location: http://{peer.authority}{refused.request.target}")
    peer.accept().send_close(1011)
    peer.accept()
    tunnel.wait_for_connections(2)
    for form in forms(SECRET):
        assert form not in tunnel.log


def test_payload_is_at_no_level_in_the_log(start_tunnel, peer):
    payload = b"canary-payload"
    tunnel = start_tunnel(peer, "-v")
    connection = peer.accept()
    client = tunnel.client()
    client.send(payload)
    connection.reply(connection.read_datagram(), payload)
    assert client.receive() == payload
    connection.send_frame(
        websocket.BINARY, json_frame(port="x", address=None, data="canary-payload")
    )
    connection.send_frame(websocket.TEXT, payload)
    connection.send_frame(websocket.BINARY, b"{" + payload)
    tunnel.wait_for_dropped("in", 3)
    assert "canary" not in tunnel.log
    assert base64.b64encode(payload).decode() not in tunnel.log


def test_nothing_a_peer_sends_can_forge_a_line(start_tunnel, peer):
    tunnel = start_tunnel(peer, "-v")
    forged = b"bye\n[INFO otoroshictl::tunnels::udp] forged \x1b[2J"
    peer.accept().send_close(1008, forged)
    tunnel.wait_for_log("1008")
    assert "\x1b" not in tunnel.log
    assert not any("forged" in line for line in info_lines(tunnel))
