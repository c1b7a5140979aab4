"""mosh's own server and client, without ssh: the client runs on a terminal of its own."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from support.process import Process
from support.services import HOST
from support.udp import unused_port
from support.waiting import DEADLINE

_SHELL = ["bash", "--norc", "--noprofile"]


class MoshServer:
    """`mosh-server new`, which goes to the background at once and ends with its shell."""

    def __init__(self):
        self.host, self.port = HOST, unused_port()
        done = subprocess.run(
            ["mosh-server", "new", "-i", self.host, "-p", str(self.port), "--", *_SHELL],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            # Should pytest be killed, it is not there for ever.
            env={**_environment(), "MOSH_SERVER_NETWORK_TMOUT": f"{4 * DEADLINE:.0f}"},
        )
        told = re.search(r"^MOSH CONNECT \d+ (\S+)$", done.stdout, re.MULTILINE)
        detached = re.search(r"detached, pid = (\d+)", done.stderr)
        assert told and detached, f"mosh-server: {done.stdout}{done.stderr}"
        self.name, self.log = "mosh-server", done.stdout + done.stderr
        self.key, self.pid = told[1], int(detached[1])

    def finish(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)


class MoshClient(Process):
    """`mosh-client` towards `where`, on a screen of 24 lines."""

    def __init__(self, server, where):
        self._terminal, self._for_child = pty.openpty()
        fcntl.ioctl(self._for_child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        name = os.ttyname(self._for_child)
        super().__init__(
            "mosh-client",
            [
                # The terminal that a session's first process opens becomes its own.
                *("setsid", "sh", "-c", 'exec mosh-client "$1" "$2" <"$0" >"$0" 2>&1'),
                *(name, where.host, str(where.port)),
            ],
            environment={**_environment(), "MOSH_KEY": server.key, "TERM": "xterm"},
        )
        self.screen = b""

    def type(self, text):
        os.write(self._terminal, text.encode())

    def wait_for_screen(self, text, seconds=DEADLINE):
        """Until the terminal has been sent this text."""
        end = time.monotonic() + seconds
        while text.encode() not in self.screen:
            ready = select.select([self._terminal], [], [], max(0, end - time.monotonic()))[0]
            assert ready, f"{text!r} did not come to the screen; last: {self.screen[-500:]!r}"
            self.screen += os.read(self._terminal, 65536)

    def finish(self):
        self.kill()
        os.close(self._terminal)
        os.close(self._for_child)


def _environment():
    return {**os.environ, "LC_ALL": "C.UTF-8"}
