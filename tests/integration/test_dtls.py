"""DTLS between openssl's own server and client: a handshake, then state by source port."""

import pytest

from support.dtls import DtlsClient, DtlsEchoServer
from support.traffic import MEGABYTE, file_content


@pytest.fixture
def dtls_server(processes, certificates):
    server = DtlsEchoServer(certificates["good"])
    processes.append(server)
    server.wait_ready()
    return server


@pytest.fixture
def connect(processes, certificates):
    """connect(where): s_client, its handshake done."""

    def start(where):
        client = DtlsClient(where, certificates.ca_file)
        processes.append(client)
        return client.wait_for_handshake()

    return start


@pytest.fixture
def tunnel(start_gateway, start_tunnel, dtls_server):
    gateway = start_gateway("--remote", f"{dtls_server.host}:{dtls_server.port}")
    return start_tunnel(gateway, "--connections", "per-client")


def test_peers_understand_each_other_without_a_tunnel(dtls_server, connect):
    content = file_content(MEGABYTE)
    assert connect(dtls_server).echo(content) == content


def test_megabyte_is_echoed_byte_for_byte(tunnel, connect):
    content = file_content(MEGABYTE)
    assert connect(tunnel).echo(content) == content
    assert tunnel.counters()["connects_total"]["ok"] == 1
