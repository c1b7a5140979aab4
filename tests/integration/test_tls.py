"""TLS: verified by default, refused for a stated reason before any HTTP, and how to be exempt."""

import re
import ssl

import pytest

from support.certificates import encrypted_key
from support.hostile_peer import NamedGateway, server_context
from support.process import run_on_terminal
from support.tunnel import clean_environment, option_words, tool_command

USAGE = 2


@pytest.fixture
def start_tls_peer(start_peer, certificates):
    """start_tls_peer(certificate name, ...): a hostile peer that speaks TLS."""
    return lambda name, **settings: start_peer(tls=server_context(certificates[name], **settings))


@pytest.fixture
def trust(certificates):
    return ["--tls", "--tls-ca-file", certificates.ca_file]


def assert_refused_before_http(peer):
    """The tool ends the handshake; not one byte of a request is read."""
    connection = peer.accept_tcp()
    try:
        connection.start_tls(peer.tls)
        # In TLS 1.3 the server has finished first: the client's refusal comes as an alert.
        rest = connection.wait_for_end()
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        rest = b""
    assert rest == b""


# Accepted


def test_private_ca_is_trusted_when_named(start_tunnel, start_gateway, certificates, echo, trust):
    good = certificates["good"]
    gateway = start_gateway(
        *("--tls-cert", good.chain, "--tls-key", good.key),
        *("--remote", f"{echo.host}:{echo.port}", "--apikey", "id:secret"),
    )
    tunnel = start_tunnel(
        *(gateway, *trust, "--access-type", "apikey"),
        *("--apikey-client-id", "id", "--apikey-client-secret", "secret"),
    ).wait_connected()
    assert tunnel.client().ask(b"through TLS") == b"through TLS"


@pytest.mark.parametrize("size", [1, 16_384, 65_507])
def test_datagram_goes_through_tls_byte_for_byte(
    start_tunnel, start_gateway, certificates, echo, trust, size
):
    good = certificates["good"]
    gateway = start_gateway(
        *("--tls-cert", good.chain, "--tls-key", good.key),
        *("--remote", f"{echo.host}:{echo.port}"),
    )
    client = start_tunnel(gateway, *trust).wait_connected().client()
    payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    assert client.ask(payload) == payload


def test_many_datagrams_in_flight_go_through_tls(start_tunnel, start_tls_peer, trust):
    peer = start_tls_peer("good")
    tunnel = start_tunnel(peer, *trust)
    connection = peer.accept()
    client = tunnel.client()
    for _ in range(10):
        for number in range(31):
            client.send(b"%d" % number)
        for asked in connection.read_datagrams(31):
            connection.reply(asked, asked.payload)
        assert [client.receive() for _ in range(31)] == [b"%d" % n for n in range(31)]


def test_name_of_the_host_is_verified_and_sent_as_sni(
    start_tunnel, start_tls_peer, certificates, trust
):
    peer = start_tls_peer("good")
    names = []
    peer.tls.sni_callback = lambda _socket, name, _context: names.append(name)
    start_tunnel(NamedGateway(f"localhost:{peer.port}"), *trust)
    peer.accept()
    assert names == ["localhost"]


def test_ip_address_is_verified_against_the_certificates_addresses(
    start_tunnel, start_tls_peer, trust
):
    peer = start_tls_peer("good")
    names = []
    peer.tls.sni_callback = lambda _socket, name, _context: names.append(name)
    start_tunnel(peer, *trust)
    peer.accept()
    assert names == [None], "an address is no server name (RFC 6066, section 3)"


def test_ipv6_address_is_verified_against_the_certificates_addresses(
    start_tunnel, start_peer, certificates, trust
):
    peer = start_peer(host="::1", tls=server_context(certificates["good"]))
    start_tunnel(peer, *trust)
    peer.accept()


def test_server_name_given_is_verified_and_sent_instead(start_tunnel, start_tls_peer, trust):
    peer = start_tls_peer("gateway.test")
    names = []
    peer.tls.sni_callback = lambda _socket, name, _context: names.append(name)
    start_tunnel(peer, *trust, "--tls-server-name", "gateway.test")
    assert peer.accept().request.one("Host") == peer.authority
    assert names == ["gateway.test"]


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)
def test_current_protocol_is_spoken(start_tunnel, start_tls_peer, trust, version):
    peer = start_tls_peer("good", minimum=version, maximum=version)
    start_tunnel(peer, *trust)
    peer.accept()


def test_store_of_the_system_is_openssls(start_tunnel, start_tls_peer, certificates):
    peer = start_tls_peer("good")
    start_tunnel(peer, "--tls", SSL_CERT_FILE=str(certificates.ca_file))
    peer.accept()


def test_client_certificate_is_shown_when_asked_for(
    start_tunnel, start_tls_peer, certificates, trust
):
    peer = start_tls_peer("good", client_ca=certificates.ca_file)
    client = certificates["client"]
    tunnel = start_tunnel(
        peer, *trust, "--tls-cert-file", client.chain, "--tls-key-file", client.key
    )
    connection = peer.accept()
    assert connection.client_certificate()["subject"] == ((("commonName", "client"),),)
    tunnel.wait_connected()


def test_encrypted_key_is_refused_at_the_start_and_nothing_is_asked(certificates, trust):
    client = certificates["client"]
    options = ["--tls-cert-file", client.chain, "--tls-key-file", encrypted_key(client, "x1y2z3")]
    status, shown = run_on_terminal(
        [*tool_command(), "udp-tunnel", *option_words("gateway.test", [*trust, *options])],
        clean_environment(),
    )
    assert (status, "encrypted" in shown) == (USAGE, True), shown
    assert "pass phrase" not in shown


# Refused

REFUSALS = [
    ("unknown-ca", "(?i)unknown|not trusted|untrusted|issuer|unable to verify"),
    ("self-signed", "(?i)self.?signed"),
    ("expired", "(?i)expired"),
    ("not-yet-valid", "(?i)not yet valid"),
    ("wrong-name", "(?i)not (?:valid )?for|mismatch|does not match|name|address"),
]


@pytest.mark.parametrize("certificate, told", REFUSALS, ids=[row[0] for row in REFUSALS])
def test_bad_certificate_is_refused_and_told(
    start_tunnel, start_tls_peer, trust, certificate, told
):
    peer = start_tls_peer(certificate)
    tunnel = start_tunnel(peer, *trust)
    assert_refused_before_http(peer)
    error = tunnel.wait_for_error(r"WebSocket tunnel error: ")
    assert re.search(told, error)
    assert peer.authority in error


@pytest.mark.parametrize("certificate", ["good", "self-signed"])
def test_certificate_that_nobody_vouches_for_is_refused_by_default(
    start_tunnel, start_tls_peer, certificate
):
    peer = start_tls_peer(certificate)
    start_tunnel(peer, "--tls")
    assert_refused_before_http(peer)


def test_named_ca_replaces_the_systems(start_tunnel, start_tls_peer, certificates):
    peer = start_tls_peer("good")
    start_tunnel(
        *(peer, "--tls", "--tls-ca-file", certificates.foreign_ca_file),
        SSL_CERT_FILE=str(certificates.ca_file),
    )
    assert_refused_before_http(peer)


def test_server_name_given_is_verified_and_not_the_hosts(start_tunnel, start_tls_peer, trust):
    peer = start_tls_peer("good")  # good for the host, 127.0.0.1
    start_tunnel(peer, *trust, "--tls-server-name", "gateway.test")
    assert_refused_before_http(peer)


def test_host_name_is_not_satisfied_by_the_address_it_has(start_tunnel, start_tls_peer, trust):
    peer = start_tls_peer("wrong-name")
    start_tunnel(NamedGateway(f"localhost:{peer.port}"), *trust)
    assert_refused_before_http(peer)


def test_old_protocol_is_refused_and_told(start_tunnel, start_tls_peer, trust):
    peer = start_tls_peer("good", minimum=ssl.TLSVersion.TLSv1, maximum=ssl.TLSVersion.TLSv1_1)
    tunnel = start_tunnel(peer, *trust)
    assert_refused_before_http(peer)
    assert re.search("(?i)tls|protocol|version", tunnel.wait_for_error())


def test_server_that_wants_a_client_certificate_ends_it(
    start_tunnel, start_tls_peer, certificates, trust
):
    peer = start_tls_peer("good", client_ca=certificates.ca_file)
    tunnel = start_tunnel(peer, *trust)
    connection = peer.accept_tcp()
    with pytest.raises(ssl.SSLError):
        connection.start_tls(peer.tls)
    tunnel.wait_for_error("certificate")


def test_server_without_tls_is_told(start_tunnel, peer, trust):
    tunnel = start_tunnel(peer, *trust)
    connection = peer.accept_tcp()
    connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.close()
    assert re.search("(?i)tls", tunnel.wait_for_error())


def test_tls_server_that_is_spoken_to_without_tls_is_told(start_tunnel, start_tls_peer):
    peer = start_tls_peer("good")
    tunnel = start_tunnel(peer)
    connection = peer.accept_tcp()
    with pytest.raises((ssl.SSLError, OSError)):
        connection.start_tls(peer.tls)
    connection.close()
    tunnel.wait_for_error()


def test_each_refused_attempt_leaves_no_descriptor(start_tunnel, start_tls_peer, trust):
    peer = start_tls_peer("expired")
    tunnel = start_tunnel(peer, *trust, "--reconnect-delay", "1ms")
    assert_refused_before_http(peer)
    open_before = tunnel.descriptors()
    for _ in range(20):
        assert_refused_before_http(peer)
    # An attempt under way has a few of its own; a leak would have left 20.
    tunnel.wait_for_descriptors(open_before + 5)


# Exempt


@pytest.mark.parametrize("certificate", ["self-signed", "expired", "wrong-name", "unknown-ca"])
def test_insecure_takes_any_certificate_and_warns(start_tunnel, start_tls_peer, certificate):
    peer = start_tls_peer(certificate)
    tunnel = start_tunnel(peer, "--tls", "--tls-insecure")
    peer.accept()
    tunnel.wait_for_log(r"^\[WARN .*(?i:insecure|not verified|verification)")


def test_verified_tunnel_does_not_warn(start_tunnel, start_tls_peer, trust):
    peer = start_tls_peer("good")
    tunnel = start_tunnel(peer, *trust)
    peer.accept()
    tunnel.wait_connected()
    assert "[WARN " not in tunnel.log
