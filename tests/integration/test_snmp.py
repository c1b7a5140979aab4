"""snmpget asks a real SNMP agent behind the gateway."""

import pytest

from support.services import Snmpd, run, snmp_environment
from support.waiting import DEADLINE

SYSTEM_NAME = "1.3.6.1.2.1.1.5.0"
SYSTEM_TREE = "1.3.6.1.2.1.1"


@pytest.fixture
def ask(start_gateway, start_tunnel, snmpd, tmp_path):
    """ask(command, *words): a net-snmp client through the tunnel."""
    tunnel = start_tunnel(
        start_gateway("--session", "snmp-token"),
        *("--remote-host", snmpd.host, "--remote-port", snmpd.port),
        *("--access-type", "session", "--session-token", "snmp-token"),
    ).wait_connected()
    agent = f"udp:{tunnel.host}:{tunnel.port}"
    how = ["-v2c", "-c", "public", "-Oqv", "-t", f"{DEADLINE:.0f}", "-r", "0", agent]

    def ask_agent(command, *words):
        answer = run(command, *how, *words, environment=snmp_environment(tmp_path))
        return [line.strip('"') for line in answer.splitlines()]

    return ask_agent


def test_value_is_read(ask):
    assert ask("snmpget", SYSTEM_NAME) == [Snmpd.SYSTEM_NAME]


def test_tree_is_walked_request_by_request(ask):
    assert Snmpd.SYSTEM_NAME in ask("snmpwalk", SYSTEM_TREE)
