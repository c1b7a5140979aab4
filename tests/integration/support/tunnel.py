"""The tool under test: started with options, watched through its log and its counters."""

import json
import os
import shlex
import signal

from support.process import Process
from support.udp import UdpClient
from support.waiting import DEADLINE, SLOWDOWN, wait_until

TARGET = r"otoroshictl::tunnels::udp"

# Promised are 2 s (product.md, Signals).
STOP_DEADLINE = 4 * SLOWDOWN

# A retry that does not make a test wait. Tests about the delay itself give their own.
_QUICK_RETRY = "20ms"


def tool_command():
    """The words before the tool's own arguments, for example valgrind and its options."""
    runner = shlex.split(os.environ.get("OTOROSHICTL_TEST_RUNNER", ""))
    return [*runner, os.environ["OTOROSHICTL_BIN"]]


def clean_environment(**variables):
    """The test's environment less whatever the tool would read of the developer's."""
    names = ("OTOROSHICTL", "SSL_CERT_", "NO_COLOR", "CREDENTIALS_DIRECTORY")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(names) and not name.upper().endswith("_PROXY")
    }
    return {**kept, "LC_ALL": "C.UTF-8", **variables}


def option_words(host, options):
    """A complete command line: what every test needs is added where `options` lacks it."""
    words = [str(word) for word in options]
    names = {word.split("=", 1)[0] for word in words}
    if host is not None:
        words = ["--host", host, *words]
    if "--access-type" not in names:
        words += ["--access-type", "public"]
    if "--local-port" not in names:
        words += ["--local-port", "0"]
    if "--reconnect-delay" not in names:
        words += ["--reconnect-delay", _QUICK_RETRY]
    return words


def without_prefix(counters):
    """Under short names: the prefix of every metric says nothing new in a test."""
    return {name.removeprefix("otoroshictl_"): value for name, value in counters.items()}


def dropped(counters, direction):
    return sum(counters["dropped_total"][direction].values())


def drop_reasons(counters, direction):
    """The reasons that have been counted at all."""
    return {reason: n for reason, n in counters["dropped_total"][direction].items() if n}


def assert_balanced(counters):
    """In each direction: received = passed on + dropped + queued."""
    queued = {"out": counters["queue_datagrams"], "in": 0}
    for direction in ("out", "in"):
        received = counters["received_total"][direction]
        accounted = (
            counters["datagrams_total"][direction]
            + dropped(counters, direction)
            + queued[direction]
        )
        assert received == accounted, f"{direction}: the books don't balance: {counters}"


class Tunnel(Process):
    """`otoroshictl udp-tunnel`. `gateway` is anything that has an `authority`."""

    def __init__(self, gateway, *options, environment=None):
        host = gateway.authority if gateway is not None else None
        super().__init__(
            "otoroshictl",
            [*tool_command(), "udp-tunnel", *option_words(host, options)],
            environment=clean_environment(**(environment or {})),
        )
        self._clients = []
        self._tells_counters = not {"-q", "--quiet"} & set(options)
        self.host = self.port = None

    def wait_ready(self):
        """Until the local socket is bound and signals are handled."""
        bound = self.wait_for_log(r"UDP tunnel listening on (\S+):(\d+) ")
        self.host, self.port = bound[1].strip("[]"), int(bound[2])
        self.wait_for_log(r"UDP tunnel ready, waiting for datagrams \.\.\.")
        return self

    def wait_connected(self, since=0):
        self.wait_for_log(r"WebSocket tunnel connected", since=since)
        return self

    def wait_for_error(self, pattern=r"", since=0, seconds=DEADLINE):
        """The text of the first ERROR line that has this pattern."""
        match = self.wait_for_log(rf"^\[ERROR {TARGET}\] (.*{pattern}.*)", seconds, since)
        return match[1]

    def counters(self):
        """What SIGUSR1 brings to the log, now."""
        since = self.mark()
        self.send_signal(signal.SIGUSR1)
        line = self.wait_for_log(rf"^\[INFO {TARGET}\] Counters: (\{{.*\}})$", since=since)
        return without_prefix(json.loads(line[1]))

    def wait_for_counters(self, condition, what, seconds=DEADLINE):
        """The first counters that satisfy `condition`; they must balance, like any."""

        def look():
            counters = self.counters()
            assert_balanced(counters)
            return counters if condition(counters) else None

        return wait_until(look, what, seconds)

    def wait_for_received(self, direction, count):
        return self.wait_for_counters(
            lambda counters: counters["received_total"][direction] >= count,
            f"{count} datagrams received ({direction})",
        )

    def wait_for_dropped(self, direction, count):
        return self.wait_for_counters(
            lambda counters: dropped(counters, direction) >= count,
            f"{count} datagrams dropped ({direction})",
        )

    def wait_for_connections(self, count):
        """Until this many have been opened since the start."""
        return self.wait_for_counters(
            lambda counters: counters["connects_total"]["ok"] >= count, f"{count} connections"
        )

    def client(self, host=None):
        """A new local client; `host` where the tunnel is bound to a wildcard."""
        client = UdpClient(host or self.host, self.port)
        self._clients.append(client)
        return client

    def stop(self, number=signal.SIGTERM, seconds=STOP_DEADLINE):
        return super().stop(number, seconds)

    def finish(self):
        """What every test ends with: the books balance, the stop is clean, nothing is left."""
        try:
            if self.running:
                if self._tells_counters:
                    assert_balanced(self.counters())
                status = self.stop()
                assert status == 0, f"the tool ended with status {status} when asked to stop"
            self.assert_no_sanitizer_report()
        finally:
            self.kill()
            for client in self._clients:
                client.close()
