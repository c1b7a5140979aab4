"""The address a reply comes from, where the local socket has many."""

import pytest


@pytest.mark.parametrize(
    "bound, asked",
    [
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2"),
        ("::", "127.0.0.3"),
        ("::", "::1"),
    ],
)
def test_reply_comes_from_the_address_that_was_asked(start_gateway, start_tunnel, bound, asked):
    tunnel = start_tunnel(start_gateway("--reflect"), "--local-host", bound)
    # A connected client takes a reply from no other address.
    assert tunnel.client(asked).ask(b"question") == b"question"
