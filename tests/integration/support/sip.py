"""sipp, the SIP traffic generator: one end answers calls, the other makes them."""

import re
import subprocess

from support.services import HOST, Service, udp_port_is_bound
from support.udp import unused_port
from support.waiting import DEADLINE, wait_until

# Nothing is sent twice, so that a message that goes astray fails its call.
_COMMON = ["-i", HOST, "-nostdin", "-nr"]


class SippServer(Service):
    """Answers every call: 180, 200, and 200 to its end."""

    def __init__(self):
        port = unused_port()
        super().__init__("sipp", ["sipp", "-sn", "uas", "-p", port, *_COMMON], port)

    def wait_ready(self):
        wait_until(lambda: udp_port_is_bound(self.port), f"sipp on UDP port {self.port}")


def make_calls(where, count, rate, directory):
    """Makes so many calls, `rate` a second, from one port; how many succeeded and failed."""
    done = subprocess.run(
        [
            *("setpriv", "--pdeathsig", "TERM", "--", "sipp", "-sn", "uac", *_COMMON),
            *("-p", str(unused_port()), "-m", str(count), "-r", str(rate)),
            *("-timeout", f"{2 * DEADLINE:.0f}s", "-timeout_error"),
            f"{where.host}:{where.port}",
        ],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=4 * DEADLINE,
        cwd=directory,
    )
    told = {
        name: re.findall(rf"{name} call +\| +\d+ +\| +(\d+)", done.stdout)[-1:]
        for name in ("Successful", "Failed")
    }
    assert all(told.values()), f"sipp: {done.returncode}\n{done.stdout[-2000:]}{done.stderr}"
    return int(told["Successful"][0]), int(told["Failed"][0])
