"""One WebSocket of the hostile peer with Otoroshi's labels: a scripted gateway that counts."""

import collections
import dataclasses

from support import websocket
from support.hostile_peer import Datagram, reply_text

# One more, and Otoroshi reads no further.
MOST_LABELS = 31


@dataclasses.dataclass(frozen=True)
class Label:
    """What the gateway puts into a reply: the address and port of a frame, as they came."""

    address: str
    port: int


# What a ping, a pong or a text frame leaves.
CONTROL_LABEL = Label("localhost", 0)


class LabelledConnection:
    """Each frame of the tool leaves a label, each reply takes the oldest.

    Label credits (frames with empty data) and pings are counted and otherwise passed over, and
    pings are answered unless `answers_pings` says otherwise. No moment may have 32 labels.
    """

    def __init__(self, connection, answers_pings=True):
        self.connection = connection
        self.labels = collections.deque()
        self.credits = self.pings = 0
        self._answers_pings = answers_pings

    def _read(self):
        """The next frame, as Datagram, or as it is where it is none."""
        frame = self.connection.read_any_frame()
        if frame.opcode == websocket.CLOSE:
            return frame
        read = frame
        label = CONTROL_LABEL
        if frame.opcode == websocket.BINARY:
            read = Datagram(frame)
            label = Label(read.address, read.port)
            self.credits += not read.payload
        elif frame.opcode == websocket.PING:
            self.pings += 1
            if self._answers_pings:
                self.connection.send_frame(websocket.PONG, frame.payload)
        self.labels.append(label)
        assert len(self.labels) <= MOST_LABELS, f"{len(self.labels)} labels: Otoroshi would stall"
        return read

    def _read_until(self, wanted, what):
        while True:
            read = self._read()
            if wanted(read):
                return read
            assert not _is(read, websocket.CLOSE), f"closed before {what}: {read}"

    def read_datagram(self):
        return self._read_until(_has_payload, "a datagram")

    def read_ping(self):
        return self._read_until(lambda read: _is(read, websocket.PING), "a ping")

    def read_close(self):
        """The close frame; no datagram may come before it."""
        read = self._read_until(
            lambda read: _has_payload(read) or _is(read, websocket.CLOSE), "the end"
        )
        assert _is(read, websocket.CLOSE), f"a datagram instead of a close frame: {read.payload}"
        return read

    def read_labels(self, count):
        """Until there are this many labels."""
        while len(self.labels) < count:
            read = self._read()
            assert not _is(read, websocket.CLOSE), f"closed at {len(self.labels)} labels"

    def read_what_is_there(self):
        """The payloads that wait now."""
        payloads = []
        while self.connection.has_something():
            read = self._read()
            if _has_payload(read):
                payloads.append(read.payload)
        return payloads

    def reply(self, payload):
        """With the oldest label, whosever it is."""
        assert self.labels, "no label is left for this reply"
        self.reply_with(self.labels.popleft(), payload)

    def reply_with(self, label, payload):
        self.connection.send_frame(websocket.BINARY, reply_text(label, payload))


def _has_payload(read):
    return isinstance(read, Datagram) and bool(read.payload)


def _is(read, opcode):
    return isinstance(read, websocket.Frame) and read.opcode == opcode
