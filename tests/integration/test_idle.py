"""A tunnel that has nothing to do sleeps."""

import os
import pathlib
import time

import pytest

OBSERVED = 0.5  # seconds
# One that never sleeps uses all of it, or half where another has the processor too.
MOST = 0.1


def processor_seconds(process):
    """User and system time of all of its threads (proc(5), fields 14 and 15)."""
    stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_sleeps(tunnel):
    before = processor_seconds(tunnel)
    time.sleep(OBSERVED)  # nothing may happen, so there is nothing to wait for
    assert processor_seconds(tunnel) - before < MOST


@pytest.mark.parametrize("mode", ["shared", "pool", "per-client"])
def test_connected_tunnel_without_traffic_sleeps(start_tunnel, start_gateway, echo, mode):
    gateway = start_gateway("--remote", f"{echo.host}:{echo.port}")
    tunnel = start_tunnel(gateway, "--connections", mode)
    assert tunnel.client().ask(b"awake") == b"awake"
    assert_sleeps(tunnel)


def test_connected_tunnel_sleeps_through_tls(start_tunnel, start_gateway, certificates, echo):
    good = certificates["good"]
    gateway = start_gateway(
        *("--tls-cert", good.chain, "--tls-key", good.key),
        *("--remote", f"{echo.host}:{echo.port}"),
    )
    tunnel = start_tunnel(gateway, "--tls", "--tls-ca-file", certificates.ca_file)
    assert tunnel.client().ask(b"awake") == b"awake"
    assert_sleeps(tunnel)


def test_tunnel_sleeps_while_the_upgrade_is_not_answered(start_held):
    tunnel, _ = start_held()
    assert_sleeps(tunnel)
