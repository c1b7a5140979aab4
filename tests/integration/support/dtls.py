"""openssl's own DTLS server and client. Their standard input and output carry the plain text."""

import threading

from support.process import Process
from support.services import HOST, udp_port_is_bound
from support.udp import unused_port
from support.waiting import DEADLINE, wait_until

_LINE = 1000
# DTLS sends nothing twice but its handshake, so only this much is under way at a time.
_UNDER_WAY = 4 * _LINE


class DtlsEchoServer(Process):
    """`openssl s_server`; what it decrypts is sent back. One client at a time."""

    def __init__(self, certificate):
        self.host, self.port = HOST, unused_port()
        super().__init__(
            "openssl s_server",
            [
                # With a cookie exchange, and a socket that then takes this client's port only.
                *("openssl", "s_server", "-dtls1_2", "-listen", "-quiet"),
                *("-cert", certificate.chain, "-key", certificate.key),
                *("-accept", f"{self.host}:{self.port}"),
            ],
            piped=True,
        )
        self._echo = threading.Thread(target=self._send_back, daemon=True)
        self._echo.start()

    def _send_back(self):
        try:
            while data := self.stdout.read(65536):
                self.stdin.write(data)
        except (BrokenPipeError, ValueError):
            pass  # stopped in the middle

    def wait_ready(self):
        wait_until(lambda: udp_port_is_bound(self.port), f"s_server on UDP port {self.port}")

    def finish(self):
        self.kill()
        self._echo.join(DEADLINE)


class DtlsClient(Process):
    """`openssl s_client` towards anything that has `host` and `port`; verifies the server."""

    def __init__(self, server, ca_file):
        super().__init__(
            "openssl s_client",
            [
                *("openssl", "s_client", "-dtls1_2", "-brief", "-nocommands", "-ign_eof"),
                *("-CAfile", ca_file, "-verify_return_error", "-verify_ip", HOST),
                *("-connect", f"{server.host}:{server.port}"),
            ],
            piped=True,
        )
        self._lines = {}

    def wait_for_handshake(self):
        self.wait_for_log(r"^Protocol version: DTLSv1\.2")
        self.wait_for_log(r"^Verification: OK")
        return self

    def echo(self, data):
        """Sends `data` in lines and returns as many bytes as came back, or those until the end."""
        alarm = threading.Timer(4 * DEADLINE, self.kill)
        alarm.start()
        sent, came = 0, bytearray()
        try:
            while len(came) < len(data):
                while sent < len(data) and sent - len(came) < _UNDER_WAY:
                    sent += self.stdin.write(data[sent : sent + _LINE])
                more = self.stdout.read(65536)
                if not more:
                    break
                came += more
        finally:
            alarm.cancel()
        return bytes(came)

    def finish(self):
        self.kill()
