"""Reads SAML metadata that a stranger's server sent: no DTD, no entity, no network, bounded in size and depth.

SAML 2.0 Metadata sections 2.3 and 2.4; XML security after OWASP's sheet.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from lxml import etree  # type: ignore[attr-defined]  # a compiled module without type information

_MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_X509 = ".//{http://www.w3.org/2000/09/xmldsig#}X509Certificate"
_MOST_CERTIFICATES = 50


class MetadataError(ValueError):
    """The document is not metadata of one identity provider; the message says why, in our own words."""


@dataclass(frozen=True)
class Certificate:
    """When a signing certificate holds."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Metadata:
    certificates: tuple[Certificate, ...]
    valid_until: datetime | None


def read_metadata(document: bytes) -> Metadata:
    """The signing certificates of the identity provider in it. Raises MetadataError."""
    # Read as UTF-8 whatever it declares, so that these bytes are certain to be seen in a document that has them.
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise MetadataError("the metadata declares a document type or entities, which is refused")
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise MetadataError("the metadata is not well-formed XML") from None
    provider = root if root.tag == f"{_MD}EntityDescriptor" else root.find(f"{_MD}EntityDescriptor")
    roles = provider.findall(f"{_MD}IDPSSODescriptor") if provider is not None else []
    if not roles:
        raise MetadataError("the metadata describes no identity provider")
    keys = [
        key for role in roles for key in role.findall(f"{_MD}KeyDescriptor") if key.get("use", "signing") == "signing"
    ]
    texts = dict.fromkeys(str(e.text or "") for key in keys for e in key.iterfind(_X509))
    read = [certificate for text in list(texts)[:_MOST_CERTIFICATES] if (certificate := _certificate(text))]
    return Metadata(tuple(read), _time(provider.get("validUntil") or root.get("validUntil")))


def _certificate(text: str) -> Certificate | None:
    try:
        found = x509.load_der_x509_certificate(b64decode("".join(text.split())))
    except ValueError:
        return None
    return Certificate(found.not_valid_before_utc, found.not_valid_after_utc)


def _time(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
