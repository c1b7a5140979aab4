"""The main job: dig gets its answers from a real DNS server behind the gateway."""

import subprocess

import pytest

from support.services import Dnsmasq, run
from support.waiting import DEADLINE

ZONE = Dnsmasq.ZONE


@pytest.fixture
def gateway(start_gateway):
    return start_gateway("--apikey", "dig-id:dig-secret")


@pytest.fixture
def start_dns_tunnel(start_tunnel, gateway, dnsmasq):
    def start(*options):
        tunnel = start_tunnel(
            gateway,
            *("--remote-host", dnsmasq.host, "--remote-port", dnsmasq.port),
            *("--access-type", "apikey", "--apikey-client-id", "dig-id"),
            *("--apikey-client-secret", "dig-secret", *options),
        )
        return tunnel.wait_connected()

    return start


def dig_command(tunnel, *words, server=None):
    # One try only, so that an answer is the answer to the one question asked.
    return [
        *("dig", f"@{server or tunnel.host}", "-p", str(tunnel.port), "+tries=1"),
        *(f"+time={DEADLINE:.0f}", *words),
    ]


def dig(tunnel, *words, server=None):
    return run(*dig_command(tunnel, "+short", *words, server=server)).splitlines()


@pytest.mark.parametrize(
    "kind, name, answer",
    [
        ("A", "host1", ["192.0.2.1"]),
        ("AAAA", "host2", ["2001:db8::2"]),
        ("TXT", "note", ['"a note"']),
    ],
)
def test_record_is_looked_up(start_dns_tunnel, kind, name, answer):
    assert dig(start_dns_tunnel(), f"{name}.{ZONE}", kind) == answer


def test_unknown_name_is_answered_with_nxdomain(start_dns_tunnel):
    answer = run(*dig_command(start_dns_tunnel(), f"missing.{ZONE}", "A"))
    assert "status: NXDOMAIN" in answer


def test_answer_larger_than_a_packet_arrives_whole(start_dns_tunnel):
    answer = dig(start_dns_tunnel(), f"long.{ZONE}", "TXT", "+bufsize=4096", "+ignore")
    assert answer == [" ".join(f'"{text}"' for text in Dnsmasq.LONG_TEXT)]


def test_parallel_questions_get_their_own_answers(start_dns_tunnel):
    tunnel = start_dns_tunnel()
    asked = {
        f"192.0.2.{n}": subprocess.Popen(
            dig_command(tunnel, "+short", f"host{n}.{ZONE}", "A"), stdout=subprocess.PIPE, text=True
        )
        for n in range(1, 5)
    }
    answers = {
        expected: child.communicate(timeout=2 * DEADLINE)[0] for expected, child in asked.items()
    }
    assert answers == {expected: f"{expected}\n" for expected in asked}


def test_questions_one_after_the_other_use_one_websocket(start_dns_tunnel):
    tunnel = start_dns_tunnel()
    for n in range(1, 6):
        assert dig(tunnel, f"host{n}.{ZONE}", "A") == [f"192.0.2.{n}"]
    assert tunnel.counters()["connects_total"]["ok"] == 1


def test_ipv6_local_socket_is_asked(start_dns_tunnel):
    assert dig(start_dns_tunnel("--local-host", "::1"), f"host3.{ZONE}", "A") == ["192.0.2.3"]


@pytest.mark.parametrize("server", ["127.0.0.1", "::1"])
def test_dual_stack_socket_answers_both_families(start_dns_tunnel, server):
    tunnel = start_dns_tunnel("--local-host", "::")
    assert dig(tunnel, f"host4.{ZONE}", "A", server=server) == ["192.0.2.4"]


def test_ipv6_gateway_is_reached(start_gateway, start_tunnel, dnsmasq):
    tunnel = start_tunnel(
        start_gateway(host="::1"), "--remote-host", dnsmasq.host, "--remote-port", dnsmasq.port
    ).wait_connected()
    assert dig(tunnel, f"host5.{ZONE}", "A") == ["192.0.2.5"]


def test_remote_of_the_gateways_route_is_used_where_none_is_given(
    start_gateway, start_tunnel, dnsmasq
):
    gateway = start_gateway("--remote", f"{dnsmasq.host}:{dnsmasq.port}")
    tunnel = start_tunnel(gateway).wait_connected()
    assert dig(tunnel, f"host6.{ZONE}", "A") == ["192.0.2.6"]
