"""Certificates made with the openssl command, as a user would make them."""

import dataclasses
import datetime
import pathlib
import subprocess

_CA_CONFIGURATION = """
[ca]
default_ca = it
[it]
database = {directory}/index.txt
new_certs_dir = {directory}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


@dataclasses.dataclass(frozen=True)
class Certificate:
    chain: pathlib.Path  # PEM
    key: pathlib.Path


def _openssl(*words):
    done = subprocess.run(
        ["openssl", *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"openssl {words[0]}: {done.stderr}"


class CertificateAuthority:
    """A private CA in a folder of its own."""

    def __init__(self, directory, name):
        self._directory = directory
        directory.mkdir()
        (directory / "index.txt").touch()
        self._configuration = directory / "ca.cnf"
        self._configuration.write_text(_CA_CONFIGURATION.format(directory=directory))
        self._key = directory / "ca.key"
        self.file = directory / "ca.pem"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-days", "2", "-keyout", self._key, "-out", self.file),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def issue(self, name, alternatives, start_days=-1, end_days=1):
        """A certificate for `alternatives` ("DNS:a,IP:b"), valid between these days from now."""
        key, request, chain = (self._directory / f"{name}.{end}" for end in ("key", "csr", "pem"))
        _openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", key, "-out", request),
            *("-addext", f"subjectAltName={alternatives}"),
        )
        now = datetime.datetime.now(datetime.timezone.utc)
        start, end = (
            (now + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
            for days in (start_days, end_days)
        )
        _openssl(
            *("ca", "-batch", "-notext", "-config", self._configuration, "-cert", self.file),
            *("-keyfile", self._key, "-in", request, "-out", chain),
            *("-startdate", start, "-enddate", end),
        )
        return Certificate(chain, key)


def encrypted_key(certificate, passphrase):
    """The certificate's key under a passphrase, in a file beside it."""
    file = certificate.key.with_suffix(".encrypted.key")
    _openssl("pkey", "-in", certificate.key, "-aes256", "-passout", f"pass:{passphrase}", "-out", file)
    return file


def self_signed(directory, alternatives):
    """A certificate that vouches for itself."""
    chain, key = directory / "self-signed.pem", directory / "self-signed.key"
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", "/CN=self-signed", "-days", "2", "-keyout", key, "-out", chain),
        *("-addext", f"subjectAltName={alternatives}"),
    )
    return Certificate(chain, key)


class Certificates:
    """Made when first asked for: each costs two runs of openssl."""

    LOOPBACK = "DNS:localhost,IP:127.0.0.1,IP:::1"
    _ISSUED = {
        "good": (LOOPBACK, {}),
        "gateway.test": ("DNS:gateway.test", {}),
        "wrong-name": ("DNS:other.test,IP:192.0.2.1", {}),
        "expired": (LOOPBACK, {"start_days": -10, "end_days": -1}),
        "not-yet-valid": (LOOPBACK, {"start_days": 1, "end_days": 10}),
        "client": ("DNS:client.test", {}),
    }

    def __init__(self, directory):
        self._directory = directory
        self._made = {}
        self.authority = CertificateAuthority(directory / "ca", "Private CA")

    @property
    def ca_file(self):
        return self.authority.file

    @property
    def foreign_ca_file(self):
        return self._once("foreign", self._foreign_authority).file

    def __getitem__(self, name):
        if name == "self-signed":
            return self._once(name, lambda: self_signed(self._directory, self.LOOPBACK))
        if name == "unknown-ca":
            return self._once(
                name,
                lambda: self._once("foreign", self._foreign_authority).issue("good", self.LOOPBACK),
            )
        alternatives, validity = self._ISSUED[name]
        return self._once(name, lambda: self.authority.issue(name, alternatives, **validity))

    def _foreign_authority(self):
        return CertificateAuthority(self._directory / "foreign", "Foreign CA")

    def _once(self, name, make):
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]
