"""Lines of logger(1) reach a real syslog server behind the gateway."""

import pytest

from support.services import run


@pytest.fixture
def tunnel(start_gateway, start_tunnel, rsyslog):
    gateway = start_gateway("--bearer", "syslog-token")
    return start_tunnel(
        gateway,
        *("--remote-host", rsyslog.host, "--remote-port", rsyslog.port),
        *("--access-type", "bearer", "--bearer-token", "syslog-token"),
    ).wait_connected()


def send_line(tunnel, text):
    run("logger", "-d", "-n", tunnel.host, "-P", tunnel.port, "-t", "itest", "--", text)


def test_line_arrives_with_its_text(tunnel, rsyslog):
    send_line(tunnel, "disk almost full: 97 %, päth=/var")
    assert rsyslog.wait_for_messages(1) == ["disk almost full: 97 %, päth=/var"]


def test_long_line_arrives_whole(tunnel, rsyslog):
    text = "0123456789" * 100
    send_line(tunnel, text)
    assert rsyslog.wait_for_messages(1) == [text]


def test_lines_of_many_senders_arrive_in_order(tunnel, rsyslog):
    # Few enough for one WebSocket: syslog never answers, and Otoroshi stalls at 32.
    texts = [f"line {number}" for number in range(8)]
    for text in texts:
        send_line(tunnel, text)
    assert rsyslog.wait_for_messages(len(texts)) == texts


def test_more_lines_than_the_gateway_can_leave_unanswered_arrive(tunnel, rsyslog):
    texts = [f"line {number}" for number in range(40)]
    for text in texts:
        send_line(tunnel, text)
    assert sorted(rsyslog.wait_for_messages(len(texts))) == sorted(texts)
