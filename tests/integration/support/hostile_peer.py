"""A gateway that does whatever a test says, on plain blocking sockets.

There is no thread: the test itself is the peer's script, so the order of events is the order of
its lines. The kernel takes connections meanwhile. Everything that arrives is kept as it came.
"""

import base64
import dataclasses
import json
import re
import select
import socket
import ssl
import struct
import time

from support import websocket
from support.waiting import DEADLINE

_DATAGRAM = re.compile(
    rb'\{"address":"([0-9a-f.:]+)","port":([1-9][0-9]*),"data":"([A-Za-z0-9+/]*={0,2})"\}'
)


def reply_text(client, payload):
    """A reply as Otoroshi writes it: port, address, data."""
    data = base64.b64encode(payload).decode()
    return f'{{"port":{client.port},"address":"{client.address}","data":"{data}"}}'.encode()


class Datagram:
    """What one frame of the tool carries; its exact form is checked."""

    def __init__(self, frame):
        assert (frame.opcode, frame.fin, frame.rsv) == (websocket.BINARY, True, 0), str(frame)
        match = _DATAGRAM.fullmatch(frame.payload)
        assert match, f"not a datagram's exact form: {frame.payload[:200]!r}"
        self.frame = frame
        self.address = match[1].decode()
        self.port = int(match[2])
        self.payload = base64.b64decode(match[3], validate=True)


class Request:
    """The head of an HTTP request, exactly as received."""

    def __init__(self, head):
        self.head = head
        lines = head.decode("ascii").split("\r\n")
        self.line = lines[0]
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:-2]]

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name):
        values = self.all(name)
        assert len(values) == 1, f"{name}: one header was expected, not {values}"
        return values[0]

    @property
    def target(self):
        return self.line.split(" ")[1]


class PeerConnection:
    """One accepted connection, driven line by line by a test."""

    def __init__(self, sock):
        self._socket = sock
        self._unread = b""
        self.request = None
        self.frames = []

    def start_tls(self, context):
        """The server's side of the TLS handshake; raises ssl.SSLError where the client refuses."""
        self._socket.settimeout(DEADLINE)
        # In two steps, so that a failure leaves the connection open: closing it at once, with
        # bytes unread, would be a RST that can overtake the alert.
        self._socket = context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._socket.do_handshake()

    def client_certificate(self):
        return self._socket.getpeercert()

    # Bytes

    def send(self, data):
        self._socket.settimeout(DEADLINE)
        self._socket.sendall(data)

    def send_while_open(self, data):
        """For data at which the tool may hang up before it has all of it."""
        try:
            self.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send_bytewise(self, data):
        """One write, and so one TCP segment, for each byte."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            self.send(bytes([byte]))

    def _receive(self, end):
        """Adds to `_unread`. False at the end of the stream, be it FIN or RST."""
        left = end - time.monotonic()
        if left <= 0:
            raise AssertionError(f"the tool sent nothing more; unread: {self._unread[:200]!r}")
        self._socket.settimeout(left)
        try:
            more = self._socket.recv(1 << 18)
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        self._unread += more
        return bool(more)

    def _take(self, parse, what, seconds):
        end = time.monotonic() + seconds
        while True:
            parsed = parse(self._unread)
            if parsed:
                value, used = parsed
                self._unread = self._unread[used:]
                return value
            assert self._receive(end), f"the connection ended before {what}"

    def has_something(self):
        """Whether bytes, or the end, wait now. Not for TLS."""
        return bool(self._unread or select.select([self._socket], [], [], 0)[0])

    def wait_for_end(self, seconds=DEADLINE):
        """Reads to the end of the stream; returns the bytes that still came."""
        end = time.monotonic() + seconds
        while self._receive(end):
            pass
        rest, self._unread = self._unread, b""
        return rest

    # HTTP

    def read_request(self, seconds=DEADLINE):
        def parse(data):
            end = data.find(b"\r\n\r\n") + 4
            return (data[:end], end) if end > 3 else None

        self.request = Request(self._take(parse, "a whole request", seconds))
        return self.request

    def upgrade_answer(self, *headers, status="101 Switching Protocols"):
        key = self.request.one("Sec-WebSocket-Key")
        lines = [
            f"HTTP/1.1 {status}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {websocket.accept_value(key)}",
            *headers,
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def upgrade(self, *headers):
        self.send(self.upgrade_answer(*headers))

    def refuse(self, status, *headers):
        """Any other HTTP answer, complete, then the end of the connection."""
        lines = [f"HTTP/1.1 {status}", "Content-Length: 0", "Connection: close", *headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.close()

    # WebSocket

    def send_frame(self, opcode, payload=b"", **how):
        self.send(websocket.frame(opcode, payload, **how))

    def send_close(self, code, reason=b""):
        self.send_frame(websocket.CLOSE, websocket.close_payload(code, reason))

    def reply(self, client, payload):
        """A datagram for `client`: anything that has `address` and `port`."""
        self.send_frame(websocket.BINARY, reply_text(client, payload))

    def read_any_frame(self, seconds=DEADLINE):
        """A frame of any kind. Pings are for WebSockets that have one client only."""
        frame = self._take(websocket.parse_frame, "a whole frame", seconds)
        self.frames.append(frame)
        assert frame.mask, "a client's frame must be masked (RFC 6455, section 5.1)"
        return frame

    def read_frame(self, seconds=DEADLINE):
        frame = self.read_any_frame(seconds)
        # A ping would use up one of Otoroshi's labels (gateway.md) and misroute later replies.
        assert frame.opcode != websocket.PING, "the tool sent a ping on a shared WebSocket"
        return frame

    def read_datagram(self, seconds=DEADLINE):
        return Datagram(self.read_frame(seconds))

    def read_datagrams(self, count):
        return [self.read_datagram() for _ in range(count)]

    def read_until_close(self):
        """The frames up to a close frame, and the close frame."""
        frames = []
        while True:
            frame = self.read_frame()
            if frame.opcode == websocket.CLOSE:
                return frames, frame
            frames.append(frame)

    # Ends

    def close(self):
        self._socket.close()

    def reset(self):
        """Ends the connection with RST instead of FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class HostilePeer:
    """A listening socket whose connections the test takes when it wants to."""

    def __init__(self, host="127.0.0.1", port=0, tls=None, backlog=64):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.tls = tls
        self._listener = socket.create_server((host, port), family=family, backlog=backlog)
        self._connections = []
        self.host, self.port = self._listener.getsockname()[:2]

    @property
    def authority(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def has_connection(self):
        """Whether a connection waits now that the test has not taken."""
        return bool(select.select([self._listener], [], [], 0)[0])

    def accept_tcp(self, seconds=DEADLINE):
        """The next connection, without a word said on it."""
        self._listener.settimeout(seconds)
        try:
            sock, _ = self._listener.accept()
        except TimeoutError:
            raise AssertionError(f"no connection came within {seconds:g} s") from None
        connection = PeerConnection(sock)
        self._connections.append(connection)
        return connection

    def accept_request(self, seconds=DEADLINE):
        """The next connection, its request read and not answered."""
        connection = self.accept_tcp(seconds)
        if self.tls:
            connection.start_tls(self.tls)
        connection.read_request()
        return connection

    def accept(self, seconds=DEADLINE):
        """The next connection, upgraded to a WebSocket."""
        connection = self.accept_request(seconds)
        connection.upgrade()
        return connection

    def close(self):
        for connection in self._connections:
            connection.close()
        self._listener.close()


@dataclasses.dataclass(frozen=True)
class NamedGateway:
    """A gateway by the words of --host, whoever may listen there."""

    authority: str


def json_frame(**members):
    """A JSON text with these members in this order."""
    return json.dumps(members, separators=(",", ":")).encode()


class FullBacklog:
    """A listening port whose queue is full: the kernel answers no further SYN."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.host, self.port = self._listener.getsockname()
        self.authority = f"{self.host}:{self.port}"
        self._fillers = []
        while self._connect_is_answered():
            pass

    def _connect_is_answered(self):
        filler = socket.socket()
        filler.setblocking(False)
        self._fillers.append(filler)
        filler.connect_ex((self.host, self.port))
        # On the loopback interface an answer is there at once; a second is plenty.
        return bool(select.select([], [filler], [], 1)[1])

    def close(self):
        for filler in self._fillers:
            filler.close()
        self._listener.close()


class ClosedPort:
    """A port that stays taken and on which nobody listens: connecting is refused."""

    def __init__(self):
        self._holder = socket.socket()
        self._holder.bind(("127.0.0.1", 0))
        self.host, self.port = self._holder.getsockname()
        self.authority = f"{self.host}:{self.port}"

    def close(self):
        self._holder.close()


def server_context(certificate, minimum=ssl.TLSVersion.TLSv1_2, maximum=None, client_ca=None):
    """A TLS server's settings. `certificate` has `.chain` and `.key`, paths of PEM files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if minimum < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")  # what OpenSSL 3 asks before it speaks TLS 1.1
    context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    context.load_cert_chain(certificate.chain, certificate.key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
