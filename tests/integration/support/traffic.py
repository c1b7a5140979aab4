"""Datagrams to send and what has come of them: what tests of several files share."""

import random

# The largest payload that UDP over IPv4 carries.
LARGEST = 65_507

MEGABYTE = 1 << 20


def numbered(count, start=0):
    """Payloads that tell their place in the order."""
    return [b"%d" % number for number in range(start, start + count)]


def send_all(client, payloads):
    for payload in payloads:
        client.send(payload)


def ask(client, connection, payload=b"question"):
    """A client's datagram, as the peer sees it."""
    client.send(payload)
    return connection.read_datagram()


def read_payloads(connection, count):
    return [asked.payload for asked in connection.read_datagrams(count)]


def file_content(size):
    """Bytes without a pattern, the same each time."""
    return random.Random(size).randbytes(size)
