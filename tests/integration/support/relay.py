"""A TCP relay before a gateway, which knows at all times how many connections the tool has."""

import selectors
import socket
import threading

from support.waiting import DEADLINE

_PIECE = 1 << 16


def _finish(sock):
    """Tells the end of the bytes; one who has gone already need not be told."""
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class CountingRelay:
    """Passes bytes on both ways. `most_open` is the largest number of connections at a time.

    A connection is open from when the kernel has taken it until either side has ended it. A close
    frame alone is no end: until the gateway has answered it, the WebSocket takes a place there.
    """

    def __init__(self, gateway):
        self._gateway = (gateway.host, gateway.port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()
        self.authority = f"{self.host}:{self.port}"
        self.opened = self.open_now = self.most_open = 0
        self._other = {}  # each socket's counterpart
        self._clients = set()  # the sockets towards the tool
        self._waker, self._waked = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._waked, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            ready = [key.fileobj for key, _ in self._selector.select()]
            if self._waked in ready:
                return
            # Ends first: one that was closed before another was opened does not count with it.
            for sock in ready:
                if sock is not self._listener:
                    self._pass_on(sock)
            if self._listener in ready:
                self._accept_all()

    def _accept_all(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            for sock in list(self._other):
                self._pass_on(sock)
            gateway = socket.create_connection(self._gateway, DEADLINE)
            self._other.update({client: gateway, gateway: client})
            self._clients.add(client)
            for sock in (client, gateway):
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._selector.register(sock, selectors.EVENT_READ)
            self.opened += 1
            self.open_now = len(self._clients)
            self.most_open = max(self.most_open, self.open_now)

    def _pass_on(self, sock):
        """Everything that is there, and the end if it is."""
        if sock not in self._other:
            return
        try:
            while piece := sock.recv(_PIECE, socket.MSG_DONTWAIT):
                self._other[sock].sendall(piece)
        except BlockingIOError:
            return
        except ConnectionError:
            pass
        self._end(sock)

    def _end(self, sock):
        """One direction has ended; the other one ends by itself."""
        other = self._other.pop(sock)
        self._selector.unregister(sock)
        self._clients -= {sock, other}
        self.open_now = len(self._clients)
        if other in self._other:
            _finish(other)
        else:
            sock.close()
            other.close()

    def close(self):
        self._waker.send(b"x")
        self._thread.join(DEADLINE)
        for sock in [*self._other, *self._other.values(), self._listener, self._waker, self._waked]:
            sock.close()
        self._selector.close()
