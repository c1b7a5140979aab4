"""The stand-in for Otoroshi itself, where the tests of the tool rely on it: who is let in."""

import pytest

APIKEY = ["--access-type", "apikey", "--apikey-client-id", "id", "--apikey-client-secret"]
BEARER = ["--access-type", "bearer", "--bearer-token"]
SESSION = ["--access-type", "session", "--session-token"]


@pytest.fixture
def start_mutual_tls(start_gateway, start_tunnel, certificates):
    """start_mutual_tls(certificate name): a tunnel to a gateway that asks for a certificate."""

    def start(name):
        server = certificates["good"]
        gateway = start_gateway(
            *("--tls-cert", server.chain, "--tls-key", server.key),
            *("--tls-client-ca", certificates.ca_file, "--reflect"),
        )
        shown = []
        if name is not None:
            client = certificates[name]
            shown = ["--tls-cert-file", client.chain, "--tls-key-file", client.key]
        return start_tunnel(gateway, "--tls", "--tls-ca-file", certificates.ca_file, *shown)

    return start


def test_client_certificate_of_its_ca_is_let_in(start_mutual_tls):
    tunnel = start_mutual_tls("client").wait_connected()
    assert tunnel.client().ask(b"question") == b"question"


@pytest.mark.parametrize("name", [None, "unknown-ca", "self-signed", "expired"])
def test_other_client_certificate_is_refused(start_mutual_tls, name):
    tunnel = start_mutual_tls(name)
    tunnel.wait_for_error()
    assert tunnel.counters()["connects_total"]["ok"] == 0


@pytest.mark.parametrize(
    "words, status",
    [
        ([*APIKEY, "wrong"], 401),
        ([*BEARER, "token"], 400),
        ([*SESSION, "token"], 400),
        (["--access-type", "public"], 400),
    ],
    ids=["secret", "bearer", "session", "nothing"],
)
def test_whoever_lacks_the_api_key_is_told_as_otoroshi_does(
    start_gateway, start_tunnel, words, status
):
    gateway = start_gateway("--apikey", "id:secret", "--reflect")
    start_tunnel(gateway, *words).wait_for_error(f"HTTP {status}")


def test_api_key_may_come_from_the_environment(start_gateway, start_tunnel, monkeypatch):
    monkeypatch.setenv("OTOROSHI_DEV_GATEWAY_APIKEY", "id:secret")
    gateway = start_gateway("--reflect")
    start_tunnel(gateway, *APIKEY, "wrong").wait_for_error("HTTP 401")
    start_tunnel(gateway, *APIKEY, "secret").wait_connected()
