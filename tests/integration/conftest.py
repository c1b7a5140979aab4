"""What the tests ask for by name. Each fixture owns the processes and sockets it starts."""

import os

import pytest

from support.certificates import Certificates
from support.dev_gateway import DevGateway
from support.hostile_peer import ClosedPort, FullBacklog, HostilePeer
from support.services import Dnsmasq, Rsyslog, Snmpd
from support.tunnel import Tunnel
from support.udp import UdpEchoServer

_PROCESSES = pytest.StashKey[list]()


def pytest_configure():
    missing = [n for n in ("OTOROSHICTL_BIN", "OTOROSHI_DEV_GATEWAY") if n not in os.environ]
    if missing:
        raise pytest.UsageError(f"{' and '.join(missing)} must name the programs; ctest sets them")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what every process of the test has logged."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for process in item.stash.get(_PROCESSES, []):
            report.sections.append((f"log of {process.name} ({process.pid})", process.log))


@pytest.fixture
def processes(request):
    """Ends, last first, what the test has started; every one is tried before a failure is told."""
    started = request.node.stash.setdefault(_PROCESSES, [])
    yield started
    failures = []
    for process in reversed(started):
        try:
            process.finish()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def launch_tunnel(processes):
    """launch_tunnel(gateway, *options): starts the tool and waits for nothing."""

    def launch(gateway, *options, **variables):
        tunnel = Tunnel(gateway, *options, environment=variables)
        processes.append(tunnel)
        return tunnel

    return launch


@pytest.fixture
def start_tunnel(launch_tunnel):
    """start_tunnel(gateway, *options): the tool with its local socket bound."""
    return lambda gateway, *options, **variables: launch_tunnel(
        gateway, *options, **variables
    ).wait_ready()


@pytest.fixture
def start_gateway(processes):
    """start_gateway(*options): otoroshi-dev-gateway, listening."""

    def start(*options, **where):
        gateway = DevGateway(*options, **where)
        processes.append(gateway)
        return gateway.wait_ready()

    return start


# Closed before the tool is stopped (it depends on `processes`), so that stopping need not wait
# for a peer that says nothing any more.
@pytest.fixture
def start_peer(processes):
    """start_peer(...): a HostilePeer."""
    peers = []

    def start(*arguments, **named):
        peers.append(HostilePeer(*arguments, **named))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


@pytest.fixture
def peer(start_peer):
    return start_peer()


@pytest.fixture
def tunnel(start_tunnel, peer):
    """The tool with nothing but defaults, and the peer as its gateway."""
    return start_tunnel(peer)


@pytest.fixture
def connection(tunnel, peer):
    """The peer's end of the WebSocket of `tunnel`, which is up."""
    connection = peer.accept()
    tunnel.wait_connected()
    return connection


@pytest.fixture
def start_held(start_tunnel, peer):
    """start_held(*options): a tunnel whose first connection waits for the test to upgrade it."""

    def start(*options):
        # The attempt itself must not end meanwhile.
        tunnel = start_tunnel(peer, "--connect-timeout", "1h", *options)
        return tunnel, peer.accept_request()

    return start


@pytest.fixture
def closed_port():
    port = ClosedPort()
    yield port
    port.close()


@pytest.fixture
def full_backlog():
    backlog = FullBacklog()
    yield backlog
    backlog.close()


@pytest.fixture
def start_echo():
    """start_echo(...): a UDP service that answers with what it was sent."""
    servers = []

    def start(*arguments, **named):
        servers.append(UdpEchoServer(*arguments, **named))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def echo(start_echo):
    return start_echo()


@pytest.fixture
def dnsmasq(processes, tmp_path):
    return _started(processes, Dnsmasq(tmp_path))


@pytest.fixture
def rsyslog(processes, tmp_path):
    return _started(processes, Rsyslog(tmp_path))


@pytest.fixture
def snmpd(processes, tmp_path):
    return _started(processes, Snmpd(tmp_path))


def _started(processes, service):
    processes.append(service)
    service.wait_ready()
    return service


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Certificates by the fault they have, all for the names of this machine's loopback."""
    return Certificates(tmp_path_factory.mktemp("certificates"))
