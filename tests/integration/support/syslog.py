"""A syslog sender with a clock of its own."""

import time


def numbered_messages(count):
    """Messages whose text is their number (RFC 5424)."""
    return [b"<14>1 - itest - - - - %d" % number for number in range(count)]


def send_paced(clients, payloads, per_second):
    """In turn from each client, never faster than this. What a busy machine makes late is not
    made up for, since that would be a burst at another rate."""
    due = time.monotonic()
    for number, payload in enumerate(payloads):
        ahead = due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        clients[number % len(clients)].send(payload)
        due = max(due, time.monotonic() - _LATENESS) + 1 / per_second


# What a sleep may take too long without the rate as a whole suffering.
_LATENESS = 0.01
