"""The command line: what is accepted, what is refused and how, and what the help says."""

import os
import pathlib
import re
import socket
import subprocess

import pytest

from support.tunnel import clean_environment, option_words, tool_command
from support.waiting import DEADLINE

USAGE, BIND = 2, 3
SECRET = "Zx9-canary-secret"

# Name, placeholder and default of each option on the original tool's page.
ORIGINAL_OPTIONS = [
    ("--host <HOST>", None),
    ("--tls", None),
    ("--local-host <LOCAL_HOST>", "127.0.0.1"),
    ("--local-port <LOCAL_PORT>", "1053"),
    ("--remote-host <REMOTE_HOST>", None),
    ("--remote-port <REMOTE_PORT>", None),
    ("--access-type <ACCESS_TYPE>", "apikey"),
    ("--apikey-client-id <APIKEY_CLIENT_ID>", None),
    ("--apikey-client-secret <APIKEY_CLIENT_SECRET>", None),
    ("--bearer-token <BEARER_TOKEN>", None),
    ("--session-token <SESSION_TOKEN>", None),
    ("-h, --help", None),
]
FURTHER_OPTIONS = [
    ("--tls-ca-file", None),
    ("--tls-cert-file", None),
    ("--tls-key-file", None),
    ("--tls-server-name", None),
    ("--tls-insecure", None),
    ("--connect-timeout", "5s"),
    ("--keepalive", "15s"),
    ("--reconnect-delay", "2s"),
    ("--reconnect-max-delay", None),
    ("--window", None),
    ("--client-timeout", "60s"),
    ("--reply-timeout", "5s"),
    ("--queue-size", "1024"),
    ("--queue-age", "5s"),
    ("-v, --verbose", None),
    ("-q, --quiet", None),
]


def run_tool(*words, **variables):
    return subprocess.run(
        [*tool_command(), *map(str, words)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=DEADLINE,
        env=clean_environment(**variables),
    )


def run_tunnel(*options, host="gateway.test", **variables):
    return run_tool("udp-tunnel", *option_words(host, options), **variables)


def assert_refused(done, *named):
    """Exit status 2, each of the words in one message, and the usage line after it."""
    assert done.returncode == USAGE, done.stderr
    assert done.stdout == ""
    for word in named:
        assert word in done.stderr
    assert "Usage: otoroshictl" in done.stderr


# Refused

NUMBERS = ["80x", "+80", "0x50", "", "65536", "-1", " 80", "80 ", "8 0", "1e3", "٣"]


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize("option", ["--local-port", "--remote-port"])
def test_port_that_is_no_strict_number_is_refused(option, value):
    assert_refused(run_tunnel(f"{option}={value}"), option)


@pytest.mark.parametrize(
    "option, value",
    [
        ("--window", "1025"),
        ("--window", "-1"),
        ("--window", "x"),
        ("--window", ""),
        ("--queue-size", "-1"),
        ("--queue-size", "4k"),
        ("--connect-timeout", ""),
        ("--connect-timeout", "5x"),
        ("--connect-timeout", "ms"),
        ("--reconnect-delay", "-1s"),
        ("--reconnect-delay", "+1s"),
        ("--reconnect-max-delay", "1d"),
        ("--keepalive", "2 s"),
        ("--client-timeout", "0x10"),
        ("--reply-timeout", "1s2s"),
        ("--queue-age", "99999999999999999999h"),
        ("--access-type", "basic"),
        ("--access-type", ""),
    ],
)
def test_bad_value_is_refused(option, value):
    assert_refused(run_tunnel(f"{option}={value}"), option)


@pytest.mark.parametrize(
    "host",
    ["", ":80", "gateway:", "gateway:80x", "gateway:65536", "gateway:0", "[::1", "[::1]80", "a b"],
)
def test_bad_host_is_refused(host):
    assert_refused(run_tunnel(host=host), "--host")


@pytest.mark.parametrize(
    "option",
    [
        "--remote-host",
        "--local-host",
        "--tls-server-name",
        "--apikey-client-id",
        "--apikey-client-secret",
        "--bearer-token",
        "--session-token",
    ],
)
@pytest.mark.parametrize("character", ["\r", "\n", "\t", "\x01", "\x7f", "\x1b"], ids=ascii)
def test_control_character_in_a_value_is_refused(option, character):
    assert_refused(run_tunnel("--tls", f"{option}=a{character}b"), option)


def test_control_character_in_a_refused_value_does_not_reach_the_terminal():
    done = run_tunnel("--remote-host", "a\x1b[2Jb")
    assert "\x1b" not in done.stderr


def test_host_is_required():
    assert_refused(run_tunnel(host=None), "--host")


@pytest.mark.parametrize(
    "options, missing",
    [
        (["--access-type", "apikey"], "--apikey-client-id"),
        (["--access-type", "apikey", "--apikey-client-id", "id"], "--apikey-client-secret"),
        (["--access-type", "apikey", "--apikey-client-secret", "s"], "--apikey-client-id"),
        (["--access-type", "bearer"], "--bearer-token"),
        (["--access-type", "jwt"], "--bearer-token"),
        (["--access-type", "session"], "--session-token"),
    ],
)
def test_missing_credential_is_named(options, missing):
    assert_refused(run_tunnel(*options), missing)


def test_access_type_is_apikey_by_default():
    assert_refused(run_tool("udp-tunnel", "--host", "gateway.test"), "--apikey-client-id")


@pytest.mark.parametrize(
    "options",
    [
        ["--tls-ca-file", "/etc/hosts"],
        ["--tls-cert-file", "/etc/hosts", "--tls-key-file", "/etc/hosts"],
        ["--tls-server-name", "gateway.test"],
        ["--tls-insecure"],
    ],
    ids=lambda options: options[0],
)
def test_tls_option_without_tls_is_refused(options):
    done = run_tunnel(*options)
    assert_refused(done, options[0])
    assert re.search(r"--tls(?![-\w])", done.stderr), "the missing --tls is to be named"


@pytest.mark.parametrize(
    "content", [None, "", "no certificate\n"], ids=["missing", "empty", "text"]
)
def test_unusable_ca_file_is_refused_by_its_name(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    done = run_tunnel("--tls", "--tls-ca-file", file)
    assert done.returncode == USAGE, done.stderr
    assert str(file) in done.stderr


def test_client_certificate_that_cannot_be_read_is_refused_by_its_name(tmp_path, certificates):
    missing = tmp_path / "missing.pem"
    done = run_tunnel(
        "--tls", "--tls-cert-file", missing, "--tls-key-file", certificates["client"].key
    )
    assert done.returncode == USAGE, done.stderr
    assert str(missing) in done.stderr


def test_key_of_another_certificate_is_refused(certificates):
    done = run_tunnel(
        *("--tls", "--tls-cert-file", certificates["client"].chain),
        *("--tls-key-file", certificates["good"].key),
    )
    assert done.returncode == USAGE, done.stderr


@pytest.mark.parametrize(
    "option, words",
    [
        ("--local-host", ["--local-host", "127.0.0.1", "--local-host", "127.0.0.1"]),
        ("--remote-port", ["--remote-port", "53", "--remote-port=54"]),
        ("--bearer-token", ["--bearer-token", "a", "--bearer-token", "b"]),
        ("--tls", ["--tls", "--tls"]),
        ("--verbose", ["-v", "--verbose"]),
    ],
)
def test_option_given_twice_is_refused(option, words):
    assert_refused(run_tunnel(*words), option)


@pytest.mark.parametrize(
    "mistyped, meant",
    [
        ("--hots", "--host"),
        ("--acces-type", "--access-type"),
        ("--apikey-clientid", "--apikey-client-id"),
        ("--tsl", "--tls"),
        ("--reconect-delay=2s", "--reconnect-delay"),
    ],
)
def test_unknown_option_is_answered_with_the_nearest(mistyped, meant):
    done = run_tunnel(mistyped)
    assert_refused(done, mistyped.split("=")[0])
    assert re.search(rf"(?i)did you mean.*{meant}(?![-\w])", done.stderr)


def test_unknown_option_far_from_any_has_no_suggestion():
    done = run_tunnel("--zzzzzzzzzzzz")
    assert_refused(done, "--zzzzzzzzzzzz")
    assert "did you mean" not in done.stderr.lower()


def test_unknown_command_is_answered_with_the_nearest():
    done = run_tool("udp-tunel", "--host", "gateway.test")
    assert_refused(done, "udp-tunel")
    assert re.search(r"(?i)did you mean.*udp-tunnel", done.stderr)


@pytest.mark.parametrize("option", ["--host", "--local-port", "--bearer-token"])
def test_option_without_its_value_is_refused(option):
    assert_refused(run_tool("udp-tunnel", option), option)


def test_value_for_a_flag_is_refused():
    assert_refused(run_tunnel("--tls=yes"), "--tls")


def test_word_that_belongs_to_no_option_is_refused():
    assert_refused(run_tunnel("stray"), "stray")


@pytest.mark.parametrize(
    "options",
    [
        ["--access-type", "bearer", "--bearer-token", SECRET * 1000],
        ["--access-type", "session", "--session-token", SECRET * 1000],
        ["--remote-host", "h" * 17000],
    ],
    ids=["bearer", "session", "remote host"],
)
def test_request_head_above_its_limit_is_refused_at_start(options):
    done = run_tunnel(*options)
    assert done.returncode == USAGE, done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--bearer-token", SECRET, "--local-port", "x"],
        ["--apikey-client-secret", SECRET, "--access-type", "session"],
        [f"--session-token={SECRET}\n"],
        [f"--bearer-tokn={SECRET}"],
    ],
    ids=["other option", "missing credential", "control character", "mistyped"],
)
def test_refusal_does_not_show_a_secret(options):
    done = run_tunnel(*options)
    assert done.returncode == USAGE
    assert SECRET not in done.stderr


# The local address


def test_port_in_use_ends_with_its_own_status():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        done = run_tunnel("--local-port", port)
    assert done.returncode == BIND, done.stderr
    assert "127.0.0.1" in done.stderr and str(port) in done.stderr
    assert "in use" in done.stderr


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_address_of_another_machine_ends_with_its_own_status(address):
    done = run_tunnel("--local-host", address)
    assert done.returncode == BIND, done.stderr
    assert address in done.stderr


# Accepted


@pytest.mark.parametrize(
    "options",
    [
        ["--local-port=0"],
        ["--local-host", "localhost"],
        ["--local-host", "::1"],
        ["--local-host", "0.0.0.0"],
        ["--remote-port", "1"],
        ["--remote-port", "65535"],
        ["--window", "0"],
        ["--window", "1"],
        ["--window", "1024"],
        ["--connect-timeout", "250ms"],
        ["--connect-timeout", "2"],
        ["--keepalive", "0"],
        ["--client-timeout", "5m"],
        ["--reply-timeout", "1h"],
        ["--queue-size", "1"],
        ["--queue-age", "2s"],
        ["--reconnect-delay", "1s", "--reconnect-max-delay", "1m"],
        ["--access-type", "bearer", "--bearer-token", "t"],
        ["--access-type", "jwt", "--bearer-token", "t"],
        ["--access-type", "session", "--session-token", "t"],
        ["--access-type", "public", "--bearer-token", "not needed"],
        ["--apikey-client-id", "i", "--apikey-client-secret", "s", "--access-type", "apikey"],
        ["--host", "second.test:9999"],
        ["--host=[::1]:9999"],
        ["--tls"],
        ["--verbose"],
        ["-v"],
    ],
    ids=" ".join,
)
def test_good_command_line_starts_the_tunnel(start_tunnel, closed_port, options):
    start_tunnel(closed_port, *options)


def test_alias_starts_the_same_command():
    # A value that is refused by name shows that the words were read as a tunnel's.
    assert_refused(run_tool("ut", "--host", "gateway.test", "--local-port", "x"), "--local-port")


def test_command_line_of_the_original_page_is_understood(start_tunnel, closed_port):
    tunnel = start_tunnel(
        closed_port,
        *("--tls", "--remote-host", "dns.internal.com", "--remote-port", "53"),
        *("--local-host", "0.0.0.0", "--access-type", "apikey"),
        *("--apikey-client-id", "my-client-id", "--apikey-client-secret", "my-client-secret"),
    )
    assert tunnel.host == "0.0.0.0"


# The environment


def test_variable_stands_in_for_an_option():
    done = run_tunnel(host=None, OTOROSHICTL_HOST="gateway:80x")
    assert_refused(done, "OTOROSHICTL_HOST")


def test_command_line_wins_over_the_environment(start_tunnel, closed_port):
    tunnel = start_tunnel(
        closed_port, "--remote-host", "from.words", OTOROSHICTL_REMOTE_HOST="from.environment"
    )
    tunnel.wait_for_log(r"→ from\.words via")


def test_environment_wins_over_the_default(start_tunnel, closed_port):
    tunnel = start_tunnel(closed_port, OTOROSHICTL_LOCAL_HOST="::1")
    assert tunnel.host == "::1"


def test_bad_value_of_a_variable_is_refused_by_the_variables_name():
    assert_refused(run_tunnel(OTOROSHICTL_WINDOW="many"), "OTOROSHICTL_WINDOW")


def test_credentials_are_taken_from_the_environment(start_tunnel, peer):
    start_tunnel(
        peer,
        *("--access-type", "apikey"),
        OTOROSHICTL_APIKEY_CLIENT_ID="id",
        OTOROSHICTL_APIKEY_CLIENT_SECRET="secret",
    )
    assert peer.accept_request().request.one("Authorization") == "Basic aWQ6c2VjcmV0"


# Help and version


def help_line(text, option):
    """The one line of the help that begins with this option."""
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if re.match(rf"(-\w, )?{re.escape(option)}(?![-\w])", line)]
    assert len(found) == 1, f"{option}: one line was expected, not {found}"
    return found[0]


@pytest.fixture(scope="module")
def tunnel_help():
    done = run_tool("udp-tunnel", "-h")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("option, default", ORIGINAL_OPTIONS + FURTHER_OPTIONS)
def test_help_has_a_line_for_each_option_with_its_default(tunnel_help, option, default):
    line = help_line(tunnel_help, option)
    description = line.removeprefix(option).strip()
    assert len(description) >= len("Print help"), "the option is to be explained"
    if default is not None:
        assert f"[default: {default}]" in line


def test_help_begins_like_the_original(tunnel_help):
    lines = tunnel_help.splitlines()
    assert lines[0] == "Tunnel UDP traffic through an otoroshi cluster"
    assert "Usage: otoroshictl udp-tunnel [OPTIONS] --host <HOST>" in lines
    assert "Options:" in lines


@pytest.mark.parametrize(
    "words",
    [("udp-tunnel", "--help"), ("ut", "-h"), ("help", "udp-tunnel"), ("help", "ut")],
    ids=" ".join,
)
def test_help_of_a_command_is_the_same_however_asked_for(tunnel_help, words):
    done = run_tool(*words)
    assert (done.returncode, done.stdout) == (0, tunnel_help)


def test_help_is_given_whatever_else_is_on_the_line(tunnel_help):
    done = run_tool("udp-tunnel", "--local-port", "1053", "--help")
    assert (done.returncode, done.stdout) == (0, tunnel_help)


@pytest.mark.parametrize("words", [("help",), ("-h",), ("--help",)], ids=" ".join)
def test_help_of_the_tool_names_its_commands(words):
    done = run_tool(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "udp-tunnel" in done.stdout


def test_help_of_an_unknown_command_is_refused():
    assert_refused(run_tool("help", "udp-tunel"), "udp-tunel")


def test_no_command_prints_the_help_on_standard_error():
    done = run_tool()
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr == run_tool("--help").stdout


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_names_the_libraries_it_runs_with(option):
    done = run_tool(option)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^otoroshictl \d+\.\d+\.\d+", done.stdout)
    assert re.search(r"(?i)libwebsockets[ /]v?4\.\d+", done.stdout)
    assert re.search(r"(?i)openssl[ /]3\.\d+", done.stdout)


# Secrets


@pytest.mark.skipif(
    "OTOROSHICTL_TEST_RUNNER" in os.environ, reason="the list is then the runner's, say valgrind's"
)
@pytest.mark.parametrize("joined", [False, True], ids=["two words", "one word"])
@pytest.mark.parametrize(
    "access, option",
    [
        ("apikey", "--apikey-client-secret"),
        ("bearer", "--bearer-token"),
        ("session", "--session-token"),
    ],
)
def test_secret_is_wiped_from_the_argument_list(start_tunnel, closed_port, access, option, joined):
    words = [f"{option}={SECRET}"] if joined else [option, SECRET]
    tunnel = start_tunnel(
        closed_port, "--access-type", access, "--apikey-client-id", "visible-id", *words
    )
    arguments = pathlib.Path(f"/proc/{tunnel.pid}/cmdline").read_bytes()
    assert SECRET.encode() not in arguments
    assert b"visible-id" in arguments, "only secrets are to be wiped"
