"""QUIC (aioquic) moves files both ways: bursts of datagrams, far more of them than answers."""

import asyncio

import pytest

from support.quic import DOWN, UP, QuicServer, transfer_all
from support.traffic import MEGABYTE, file_content

FOUR = [UP, DOWN, UP, DOWN]


@pytest.fixture
def server(certificates):
    return QuicServer(certificates["good"], file_content(MEGABYTE))


@pytest.fixture
def move(server, certificates):
    """move(where, directions): a client for each direction, all at once."""

    def run(where, directions):
        content = file_content(MEGABYTE)
        done = asyncio.run(transfer_all(server, where, certificates.ca_file, directions, content))
        for direction, came in zip(directions, done, strict=True):
            print(f"{direction.decode()}: {came.seconds:.2f} s")  # for pytest -rP
        return [came.intact for came in done]

    return run


@pytest.fixture
def tunnel(start_gateway, start_tunnel, server):
    gateway = start_gateway("--remote", f"{server.host}:{server.port}")
    yield start_tunnel(gateway, "--connections", "per-client")
    print("gateway:", gateway.counters())


@pytest.mark.parametrize("direction", [UP, DOWN], ids=["up", "down"])
def test_peers_understand_each_other_without_a_tunnel(server, move, direction):
    assert move(server, [direction]) == [True]


@pytest.mark.parametrize("direction", [UP, DOWN], ids=["up", "down"])
def test_megabyte_arrives_byte_for_byte(tunnel, move, direction):
    assert move(tunnel, [direction]) == [True]
    assert tunnel.counters()["clients"] == 1


def test_four_clients_at_once_each_move_theirs(tunnel, move):
    assert move(tunnel, FOUR) == [True] * len(FOUR)
    assert tunnel.counters()["clients"] == len(FOUR)
