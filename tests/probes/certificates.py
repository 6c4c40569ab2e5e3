"""Certificates for peers: a small authority, and servers whose certificates are good, expired, or of another host."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(
    name: str,
    *,
    begins: dt.datetime,
    ends: dt.datetime,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate for this host name; its own authority without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    by = issuer[0].subject if issuer else _name(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name)).issuer_name(by).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )  # fmt: skip
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """`trust` is a client's context that believes it; `server` makes contexts for servers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = make("Test authority", begins=NOW - 400 * DAY, ends=NOW + 400 * DAY)
        self.trust = ssl.create_default_context(cadata=pem(self._own[0]).decode())

    def server(self, name: str, *, ends: dt.datetime, begins: dt.datetime | None = None) -> ssl.SSLContext:
        certificate, key = make(name, begins=begins or NOW - 300 * DAY, ends=ends, issuer=self._own)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{certificate.serial_number}.pem"
        file.write_bytes(secret + pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context
