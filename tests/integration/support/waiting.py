"""Deadlines: the only way in which these tests wait."""

import os
import time

# Sanitizers, valgrind and a loaded machine are slower, never wrong.
SLOWDOWN = float(os.environ.get("OTOROSHICTL_TEST_SLOWDOWN", "1"))

# Generous: passing tests never wait for it.
DEADLINE = 15 * SLOWDOWN

_POLL_INTERVAL = 0.01


def wait_until(condition, what, seconds=DEADLINE):
    """Returns the first true value of `condition()`; fails with `what` after the deadline."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not seen within {seconds:g} s: {what}")
        time.sleep(_POLL_INTERVAL)


def let_age(seconds):
    """Lets time itself pass, for what is about age and not about an event."""
    time.sleep(seconds)
