"""Child processes whose output is read as it comes and which never outlive the test."""

import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import threading
import time

from support.waiting import DEADLINE, wait_until

# exec'ed before the program: the kernel ends the child should pytest itself be killed.
_DIES_WITH_PARENT = ["setpriv", "--pdeathsig", "TERM", "--"]

_SANITIZER_REPORT = re.compile(
    r"AddressSanitizer|LeakSanitizer|runtime error:|SUMMARY: .*Sanitizer"
)


class Process:
    """One child. Its standard error (with `merge`, standard output too) is kept line by line.

    With `piped`, standard input and output are for the test: `stdin` and `stdout`, unbuffered.
    """

    def __init__(
        self, name, command, environment=None, merge=False, directory=None, piped=False
    ):
        self.name = name
        self.lines = []
        self._news = threading.Condition()
        self._output_ended = False
        self._child = subprocess.Popen(
            _DIES_WITH_PARENT + [str(word) for word in command],
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE if merge or piped else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            bufsize=0 if piped else -1,
            env=environment,
            cwd=directory,
        )
        self.stdin, self.stdout = self._child.stdin, self._child.stdout
        stream = self._child.stdout if merge else self._child.stderr
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream):
        for line in iter(stream.readline, b""):
            with self._news:
                self.lines.append(line.decode("utf-8", "backslashreplace").rstrip("\n"))
                self._news.notify_all()
        stream.close()
        with self._news:
            self._output_ended = True
            self._news.notify_all()

    @property
    def pid(self):
        return self._child.pid

    @property
    def running(self):
        return self._child.poll() is None

    @property
    def log(self):
        with self._news:
            return "\n".join(self.lines)

    def mark(self):
        """The place in the log from which wait_for_log(since=) is to look."""
        with self._news:
            return len(self.lines)

    def wait_for_log(self, pattern, seconds=DEADLINE, since=0):
        """The first match of the regular expression in a line from `since` on."""
        end = time.monotonic() + seconds
        looked = since
        with self._news:
            while True:
                while looked < len(self.lines):
                    match = re.search(pattern, self.lines[looked])
                    if match:
                        return match
                    looked += 1
                if self._output_ended:
                    raise AssertionError(f"{self.name} ended before it logged {pattern!r}")
                if not self._news.wait(end - time.monotonic()):
                    raise AssertionError(
                        f"{self.name} did not log {pattern!r} within {seconds:g} s; "
                        f"last line: {self.lines[-1] if self.lines else '(none)'}"
                    )

    def send_signal(self, number):
        self._child.send_signal(number)

    def wait(self, seconds=DEADLINE):
        """The exit status; a negative number is a signal, as subprocess has it."""
        try:
            status = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {seconds:g} s") from None
        self._reader.join(DEADLINE)
        return status

    def stop(self, number=signal.SIGTERM, seconds=DEADLINE):
        """Ends the child and returns its exit status. Legal for one that has ended already."""
        if self.running:
            self.send_signal(number)
        return self.wait(seconds)

    def kill(self):
        """Ends the child whatever state it is in."""
        if self.running:
            self._child.kill()
        self._child.wait()
        self._reader.join(DEADLINE)

    def descriptors(self):
        """How many files and sockets the process has open."""
        return len(list(pathlib.Path(f"/proc/{self.pid}/fd").iterdir()))

    def wait_for_descriptors(self, count):
        """Until no more than this many are open: what has just ended may take a moment to go."""
        wait_until(lambda: self.descriptors() <= count, f"{count} descriptors, as before")

    def assert_no_sanitizer_report(self):
        found = _SANITIZER_REPORT.search(self.log)
        assert not found, f"{self.name} was reported by a sanitizer: {found.group()}"


def run_on_terminal(command, environment=None):
    """Exit status and output of a program with a terminal on which nobody types."""
    terminal, for_child = pty.openpty()
    child = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *map(str, command)],
        stdin=for_child,
        stdout=for_child,
        stderr=for_child,
        env=environment,
    )
    os.close(for_child)
    output = b""
    try:
        end = time.monotonic() + DEADLINE
        while select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            try:
                output += os.read(terminal, 65536)
            except OSError:  # EIO: the last one to have it open has gone
                return child.wait(DEADLINE), output.decode()
        raise AssertionError(f"no end within {DEADLINE:g} s; so far: {output!r}")
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
