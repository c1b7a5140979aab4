"""DNS questions by the thousand, from many sources at once; every answer is compared.

A source has one question in flight and asks it again when no answer comes, as a stub resolver
does. Whatever any source is given is looked at, so that an answer that belongs to another one is
seen even where a real resolver would quietly pass over it.
"""

import collections
import dataclasses
import errno
import random
import selectors
import socket
import struct
import time

from support.waiting import DEADLINE, SLOWDOWN

_HEADER = struct.Struct("!HHHHHH")
_A_IN = struct.pack("!HH", 1, 1)
_RECURSION_DESIRED = 0x0100
_RESPONSE, _RCODE_MASK = 0x8000, 0x000F
_POINTER = 0xC0

_PORTS = range(10_000, 65_536)


@dataclasses.dataclass(frozen=True)
class Record:
    """A name of the zone and the one address that is its right answer."""

    name: str
    address: str


def records(zone, count):
    """As many names, each with an address that no other one has."""
    return [
        Record(f"q{number:05d}.{zone}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        for number in range(1, count + 1)
    ]


# Messages (RFC 1035, section 4)


def encode_question(identifier, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        _HEADER.pack(identifier, _RECURSION_DESIRED, 1, 0, 0, 0) + labels + b"\0" + _A_IN
    )


@dataclasses.dataclass(frozen=True)
class Answer:
    identifier: int
    rcode: int
    name: str  # of the question that is answered
    addresses: tuple


def _read_name(message, offset):
    """The labels up to the root or a pointer, and where what follows begins."""
    labels = []
    while message[offset]:
        if message[offset] >= _POINTER:
            return labels, offset + 2
        labels.append(message[offset + 1 : offset + 1 + message[offset]].decode())
        offset += 1 + message[offset]
    return labels, offset + 1


def read_answer(message):
    identifier, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    assert flags & _RESPONSE and questions == 1, f"not an answer: {message!r}"
    labels, offset = _read_name(message, _HEADER.size)
    offset += len(_A_IN)
    addresses = []
    for _ in range(answers):
        _, offset = _read_name(message, offset)
        size = struct.unpack_from("!H", message, offset + 8)[0]
        addresses.append(socket.inet_ntoa(message[offset + 10 : offset + 10 + size]))
        offset += 10 + size
    return Answer(identifier, flags & _RCODE_MASK, ".".join(labels), tuple(addresses))


# Sources


@dataclasses.dataclass
class Findings:
    """What has come of the questions."""

    right: int = 0  # questions whose own answer came: number, name and address
    tries: int = 0  # questions sent, the repeated ones too
    again: int = 0  # further right answers to what the source itself has asked
    unanswered: list = dataclasses.field(default_factory=list)  # given up after the last try
    foreign: list = dataclasses.field(default_factory=list)  # of what the source never asked
    wrong: list = dataclasses.field(default_factory=list)  # own question, other content

    def __str__(self):
        return (
            f"{self.right} right in {self.tries} tries, {self.again} again, "
            f"{len(self.unanswered)} unanswered {self.unanswered[:3]}, "
            f"{len(self.foreign)} foreign {self.foreign[:3]}, "
            f"{len(self.wrong)} wrong {self.wrong[:3]}"
        )


class _Source:
    """One local port and what has been asked from it."""

    def __init__(self, server, ports):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._bind(server[0], ports)
        self.socket.setblocking(False)
        self.socket.connect(server)
        self.asked = {}  # name: (identifier, record)
        self.waits_for = None  # the record in question
        self.tries_left = 0

    def _bind(self, host, ports):
        for port in ports:
            try:
                self.socket.bind((host, port))
                return
            except OSError as failure:
                if failure.errno != errno.EADDRINUSE:
                    raise
        raise AssertionError("no port is left that nobody has used")

    def close(self):
        self.socket.close()


class Sources:
    """So many sources that share a list of questions.

    `fresh_ports`: each try goes out from a port of its own, as resolvers do that make it hard to
    guess. Otherwise a source keeps its port, and its late answers count as `again`.
    """

    def __init__(self, server, count, fresh_ports=False, patience=2 * SLOWDOWN, tries=5):
        self._server = server
        self._count = count
        self._fresh_ports = fresh_ports
        self._patience = patience
        self._tries = tries

    def ask(self, asked, seconds=2 * DEADLINE):
        """Has every record asked for, and returns what came of it."""
        run = _Run(self._server, self._fresh_ports, self._patience, self._tries, asked)
        try:
            return run.until_settled(self._count, time.monotonic() + seconds)
        finally:
            run.close()


class _Run:
    def __init__(self, server, fresh_ports, patience, tries, asked):
        self._server = server
        self._fresh_ports = fresh_ports
        self._patience = patience
        self._tries = tries
        self._to_ask = collections.deque(asked)
        self._open_questions = 0
        self._identifier = 0
        self._deadlines = collections.deque()  # (time, source, record, tries left): in order
        # No port twice: what comes late for one source must not meet another one there.
        self._ports = iter(random.sample(_PORTS, len(_PORTS)))
        self._selector = selectors.DefaultSelector()
        self._findings = Findings()

    def until_settled(self, count, end):
        for _ in range(min(count, len(self._to_ask))):
            self._next_question(self._new_source())
        while self._open_questions > 0:
            assert time.monotonic() < end, f"still asking after the deadline: {self._findings}"
            for key, _ in self._selector.select(self._time_to_deadline()):
                self._drain(key.data)
            self._try_again()
        return self._findings

    def close(self):
        for key in list(self._selector.get_map().values()):
            key.data.close()
        self._selector.close()

    # Asking

    def _new_source(self):
        source = _Source(self._server, self._ports)
        self._selector.register(source.socket, selectors.EVENT_READ, source)
        return source

    def _drop_source(self, source):
        self._selector.unregister(source.socket)
        source.waits_for = None
        source.close()

    def _next_question(self, source):
        if not self._to_ask:
            source.waits_for = None
            return
        if self._fresh_ports and source.asked:
            self._drop_source(source)
            source = self._new_source()
        self._open_questions += 1
        source.waits_for = self._to_ask.popleft()
        source.tries_left = self._tries
        # Not the same order as the names, so that a shifted answer has another number too.
        self._identifier = (self._identifier + 7919) & 0xFFFF
        source.asked[source.waits_for.name] = (self._identifier, source.waits_for)
        self._send(source)

    def _send(self, source):
        record = source.waits_for
        source.tries_left -= 1
        self._findings.tries += 1
        source.socket.send(encode_question(source.asked[record.name][0], record.name))
        self._deadlines.append(
            (time.monotonic() + self._patience, source, record, source.tries_left)
        )

    def _time_to_deadline(self):
        return max(0, self._deadlines[0][0] - time.monotonic()) if self._deadlines else 0

    def _try_again(self):
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, source, record, tries_left = self._deadlines.popleft()
            if source.waits_for is not record or source.tries_left != tries_left:
                continue  # answered meanwhile
            if tries_left == 0:
                self._findings.unanswered.append(record.name)
                self._open_questions -= 1
                self._next_question(source)
            elif self._fresh_ports:
                self._send_from_another_port(source)
            else:
                self._send(source)

    def _send_from_another_port(self, source):
        fresh = self._new_source()
        fresh.waits_for, fresh.tries_left = source.waits_for, source.tries_left
        fresh.asked = source.asked
        self._drop_source(source)
        self._send(fresh)

    # Listening

    def _drain(self, source):
        while source.socket.fileno() >= 0:
            try:
                message = source.socket.recv(65536)
            except BlockingIOError:
                return
            self._take(source, read_answer(message))

    def _take(self, source, answer):
        if answer.name not in source.asked:
            self._findings.foreign.append((source.waits_for, answer))
            return
        identifier, record = source.asked[answer.name]
        expected = Answer(identifier, 0, record.name, (record.address,))
        if answer != expected:
            self._findings.wrong.append((expected, answer))
        elif source.waits_for is not record:
            self._findings.again += 1
        else:
            self._findings.right += 1
            self._open_questions -= 1
            self._next_question(source)
