"""Access types: exactly the header or query parameter of each, and what the gateway makes of it."""

import base64
import re
import urllib.parse

import pytest

APIKEY = ["--access-type", "apikey", "--apikey-client-id", "my-id", "--apikey-client-secret", "s3"]
BEARER = ["--access-type", "bearer", "--bearer-token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"]
JWT = ["--access-type", "jwt", "--bearer-token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"]
SESSION = ["--access-type", "session", "--session-token", "papp-token"]
PUBLIC = ["--access-type", "public"]

UDP = "/.well-known/otoroshi/tunnel?transport=udp"


# What is sent


@pytest.mark.parametrize(
    "options, target, authorization",
    [
        (APIKEY, UDP, ["Basic bXktaWQ6czM="]),
        (BEARER, UDP, ["Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"]),
        (JWT, UDP, ["Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"]),
        (SESSION, f"{UDP}&pappsToken=papp-token", []),
        (PUBLIC, UDP, []),
    ],
    ids=["apikey", "bearer", "jwt", "session", "public"],
)
def test_credential_is_sent_in_its_one_place(start_tunnel, peer, options, target, authorization):
    start_tunnel(peer, *options)
    request = peer.accept_request().request
    assert request.line == f"GET {target} HTTP/1.1"
    assert request.all("Authorization") == authorization


def test_credentials_of_other_access_types_are_not_sent(start_tunnel, peer):
    start_tunnel(
        peer,
        *("--access-type", "public", "--bearer-token", "b", "--session-token", "s"),
        *("--apikey-client-id", "i", "--apikey-client-secret", "k"),
    )
    request = peer.accept_request().request
    assert (request.target, request.all("Authorization")) == (UDP, [])


def test_api_key_of_any_characters_is_encoded_as_its_bytes(start_tunnel, peer):
    client_id, secret = "id with space", 'p:ä"#&=%' + "x" * 200
    start_tunnel(
        peer,
        *("--access-type", "apikey", "--apikey-client-id", client_id),
        *("--apikey-client-secret", secret),
    )
    scheme, encoded = peer.accept_request().request.one("Authorization").split(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded, validate=True).decode() == f"{client_id}:{secret}"


def test_bearer_token_of_8_kilobytes_is_sent_whole(start_tunnel, peer):
    token = "eyJ0" * 2048
    start_tunnel(peer, "--access-type", "bearer", "--bearer-token", token)
    assert peer.accept_request().request.one("Authorization") == f"Bearer {token}"


def test_session_token_of_8_kilobytes_is_sent_whole(start_tunnel, peer):
    token = "abcd" * 2048
    start_tunnel(peer, "--access-type", "session", "--session-token", token)
    assert peer.accept_request().request.target == f"{UDP}&pappsToken={token}"


def test_session_token_of_any_characters_stays_one_parameter(start_tunnel, peer):
    token = 'a b&c=d#e+f/g%25"é'
    start_tunnel(peer, "--access-type", "session", "--session-token", token)
    encoded = peer.accept_request().request.target.removeprefix(f"{UDP}&pappsToken=")
    assert encoded == urllib.parse.quote(token, safe="")


# What the gateway answers

GATEWAY = ["--apikey", "my-id:s3", "--bearer", BEARER[-1], "--session", "papp-token"]


@pytest.mark.parametrize(
    "options", [APIKEY, BEARER, JWT, SESSION], ids=["apikey", "bearer", "jwt", "session"]
)
def test_right_credential_carries_datagrams(start_gateway, start_tunnel, echo, options):
    gateway = start_gateway(*GATEWAY, "--remote", f"{echo.host}:{echo.port}")
    tunnel = start_tunnel(gateway, *options).wait_connected()
    assert tunnel.client().ask(b"hello") == b"hello"


def test_public_gateway_carries_datagrams(start_gateway, start_tunnel, echo):
    gateway = start_gateway("--remote", f"{echo.host}:{echo.port}")
    tunnel = start_tunnel(gateway, *PUBLIC).wait_connected()
    assert tunnel.client().ask(b"hello") == b"hello"


@pytest.mark.parametrize(
    "offered, options, status, cause",
    [
        (["--apikey", "my-id:s3"], PUBLIC, 400, "(?i)credential"),
        (["--apikey", "other-id:s3"], APIKEY, 400, "(?i)api key"),
        (["--apikey", "my-id:other"], APIKEY, 401, "(?i)api key"),
        (["--bearer", "other"], BEARER, 401, "(?i)token"),
        (["--session", "other"], SESSION, 303, "(?i)session"),
    ],
    ids=["no api key", "unknown api key", "wrong secret", "wrong token", "wrong session"],
)
def test_wrong_credential_is_told_in_one_line(
    start_gateway, start_tunnel, offered, options, status, cause
):
    gateway = start_gateway(*offered)
    tunnel = start_tunnel(gateway, *options)
    told = tunnel.wait_for_error()
    assert told.startswith(f"WebSocket tunnel error: HTTP {status} from {gateway.authority}: ")
    assert re.search(cause, told)
