"""mosh: a terminal over UDP whose server sends on its own, to where its client last was."""

import pytest

from support.mosh import MoshClient, MoshServer


@pytest.fixture
def server(processes):
    server = MoshServer()
    processes.append(server)
    return server


@pytest.fixture
def connect(processes, server):
    """connect(where): mosh-client, on its way to the server."""

    def start(where):
        processes.append(MoshClient(server, where))
        return processes[-1]

    return start


@pytest.fixture
def tunnel(start_gateway, start_tunnel, server):
    gateway = start_gateway("--remote", f"{server.host}:{server.port}")
    return start_tunnel(gateway, "--connections", "per-client")


def work(client):
    # What is waited for was never typed, and has no blank: mosh sends what changes on the screen.
    client.type("echo six-times-seven-is-$((6 * 7))\n")
    client.wait_for_screen("six-times-seven-is-42")
    client.type("seq 1 20000; echo done:$((2 * 5))\n")
    client.wait_for_screen("done:10")
    client.type("exit\n")
    client.wait_for_screen("mosh is exiting")
    assert client.wait() == 0


def test_peers_understand_each_other_without_a_tunnel(server, connect):
    work(connect(server))


def test_shell_is_used_to_its_end(tunnel, connect):
    work(connect(tunnel))
    assert tunnel.counters()["connects_total"]["ok"] == 1
