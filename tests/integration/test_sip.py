"""SIP: sipp makes a hundred calls; a request may have two answers, and another none."""

import pytest

from support.sip import SippServer, make_calls

CALLS, RATE = 100, 50


@pytest.fixture
def server(processes):
    server = SippServer()
    processes.append(server)
    server.wait_ready()
    return server


@pytest.fixture
def tunnel(start_gateway, start_tunnel, server):
    gateway = start_gateway("--remote", f"{server.host}:{server.port}")
    return start_tunnel(gateway, "--connections", "per-client")


def test_peers_understand_each_other_without_a_tunnel(server, tmp_path):
    assert make_calls(server, CALLS, RATE, tmp_path) == (CALLS, 0)


def test_every_call_succeeds(tunnel, tmp_path):
    assert make_calls(tunnel, CALLS, RATE, tmp_path) == (CALLS, 0)
    assert tunnel.counters()["connects_total"]["ok"] == 1
