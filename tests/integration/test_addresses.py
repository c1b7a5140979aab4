"""A gateway whose name has several addresses. The names stand in a hosts file that only the tool
sees, in a mount namespace of its own."""

import os
import shlex
import socket

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace needs root")


class SecondAddress:
    """A listener on [::1] with the port of a gateway on 127.0.0.1."""

    def __init__(self, port):
        self._listener = socket.socket(socket.AF_INET6)
        self._listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self._listener.bind(("::1", port))
        self._listener.listen()
        self._listener.settimeout(15)
        self.connection = None

    def answer(self, text):
        self.connection, _ = self._listener.accept()
        self.connection.settimeout(15)
        assert self.connection.recv(16384).startswith(b"GET ")
        self.connection.sendall(text)

    def close(self):
        for end in (self.connection, self._listener):
            if end is not None:
                end.close()


class Named:
    def __init__(self, port):
        self.authority = f"twofold.test:{port}"


@pytest.fixture
def twofold(tmp_path, monkeypatch):
    hosts = tmp_path / "hosts"
    hosts.write_text("::1 twofold.test\n127.0.0.1 twofold.test\n")
    before = os.environ.get("OTOROSHICTL_TEST_RUNNER", "")
    script = f'mount --bind {shlex.quote(str(hosts))} /etc/hosts && exec "$@"'
    monkeypatch.setenv(
        "OTOROSHICTL_TEST_RUNNER", f"unshare -m sh -c {shlex.quote(script)} sh {before}".strip()
    )


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 101 Swit"], ids=["silent", "half an answer"])
def test_next_address_is_tried_where_the_first_stalls(
    twofold, start_gateway, start_tunnel, begun
):
    gateway = start_gateway("--reflect")
    port = int(gateway.authority.rsplit(":", 1)[1])
    first = SecondAddress(port)
    try:
        tunnel = start_tunnel(Named(port), "--connect-timeout", "3s")
        first.answer(begun)
        tunnel.wait_connected()
        assert tunnel.client().ask(b"question") == b"question"
    finally:
        first.close()


def test_next_address_is_tried_where_the_first_refuses(twofold, start_gateway, start_tunnel):
    gateway = start_gateway("--reflect")
    port = int(gateway.authority.rsplit(":", 1)[1])
    tunnel = start_tunnel(Named(port))
    tunnel.wait_connected()
    assert tunnel.client().ask(b"question") == b"question"
