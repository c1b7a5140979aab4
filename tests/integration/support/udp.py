"""Local UDP clients, a UDP echo server, and the choice of ports."""

import random
import select
import socket
import threading

from support.waiting import DEADLINE

# Below Linux's range for outgoing connections, so that nothing else is given it meanwhile.
_FIXED_PORTS = range(10000, 32000)


def unused_port(kind=socket.SOCK_DGRAM, host="127.0.0.1"):
    """A free port for a program that can't be told to let the kernel choose."""
    for _ in range(100):
        port = random.choice(_FIXED_PORTS)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, kind) as probe:
            try:
                probe.bind((host, port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port found")


class UdpClient:
    """A local client on a port of its own. Takes replies from the tunnel's address only."""

    def __init__(self, host, port):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.connect((host, port))
        self.address, self.port = self._socket.getsockname()[:2]

    def send(self, payload):
        self._socket.send(payload)

    def receive(self, seconds=DEADLINE):
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(65536)
        except TimeoutError:
            raise AssertionError(
                f"no reply at {self.address}:{self.port} in {seconds:g} s"
            ) from None

    def ask(self, payload, seconds=DEADLINE):
        self.send(payload)
        return self.receive(seconds)

    def has_something(self):
        """Whether a datagram waits now; for use once the tool is known to have acted."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self):
        self._socket.close()


class UdpEchoServer:
    """Sends each datagram back, with `reply(payload)` if given (None: no answer).

    `sources` has the payload and the source port of each that came.
    """

    def __init__(self, reply=lambda payload: payload, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.host, self.port = self._socket.getsockname()[:2]
        self.sources = []
        self._reply = reply
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._stopping:
            payload, source = self._socket.recvfrom(65536)
            if not self._stopping:
                self.sources.append((payload, source[1]))
            answer = self._reply(payload)
            if answer is not None and not self._stopping:
                self._socket.sendto(answer, source)

    def push(self, payload, port):
        """A datagram of its own accord."""
        self._socket.sendto(payload, (self.host, port))

    def ports(self):
        """The source ports seen so far."""
        return {port for _, port in list(self.sources)}

    def close(self):
        self._stopping = True
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self.host, self.port))
        self._thread.join(DEADLINE)
        self._socket.close()
