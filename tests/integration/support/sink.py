"""A UDP service that takes everything and never answers."""

import socket
import threading

from support.waiting import DEADLINE, wait_until

# Far more than any test sends before this thread has its turn. Root gets all of it.
_BUFFER_BYTES = 8 << 20
_SO_RCVBUFFORCE = 33
_STOP = b""  # the tool carries no empty datagram


class UdpSink:
    """What has arrived is in `payloads`, in its order."""

    def __init__(self, host="127.0.0.1"):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:
            pass
        self._socket.bind((host, 0))
        self.host, self.port = self._socket.getsockname()
        self.payloads = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while payload := self._socket.recv(65536):
            self.payloads.append(payload)

    def wait_for(self, count):
        wait_until(lambda: len(self.payloads) >= count, f"{count} datagrams at the service")
        return self.payloads

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(_STOP, (self.host, self.port))
        self._thread.join(DEADLINE)
        self._socket.close()
