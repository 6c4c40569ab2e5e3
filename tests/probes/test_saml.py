"""The saml monitor (FR-1.4): metadata as pysaml2 writes it, and as an attacker would."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime
from pathlib import Path

import pytest
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor

from activities.probes.check import Prober, Seen
from activities.probes.monitor import MONITOR
from tests.probes.certificates import DAY, NOW, make, pem
from tests.probes.peers import http, peer, says
from workflows.contracts import Check
from workflows.domain.diagnosis import Category


def metadata(folder: Path, *spans: tuple[dt.timedelta, dt.timedelta]) -> str:
    """An identity provider's metadata by pysaml2, with a signing certificate for each span (from and to, from now)."""
    documents = []
    for begins, ends in spans:
        file = folder / "idp.pem"
        file.write_bytes(pem(make("idp.example", begins=NOW + begins, ends=NOW + ends)[0]))
        sso = [("https://idp.example/sso", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect")]
        config = IdPConfig().load(
            {
                "entityid": "https://idp.example/metadata",
                "service": {"idp": {"endpoints": {"single_sign_on_service": sso}}},
                "cert_file": str(file),
                "xmlsec_binary": "none",
            }
        )
        config.xmlsec_binary = None  # only asked which algorithms it knows, for an extension
        documents.append(str(entity_descriptor(config)))
    begin, end = "<ns0:KeyDescriptor", "</ns0:KeyDescriptor>"
    keys = [d[d.index(begin) : d.index(end) + len(end)] for d in documents]
    return documents[0].replace(keys[0], "".join(keys))


async def look(prober: Prober, response: bytes) -> Seen:
    async with peer(says(response)) as provider:
        body = {"kind": "saml", "metadata_url": f"{provider.url}/metadata?key=s3cr3t"}
        return await prober.look("saml", MONITOR.validate_python(body))


async def test_a_valid_certificate(prober: Prober, tmp_path: Path) -> None:
    """Working, and the end of the certificate is known before it comes; only the customer can renew it."""
    seen = await look(prober, http(200, metadata(tmp_path, (-DAY, 20 * DAY))))
    end = (NOW + 20 * DAY).replace(microsecond=0)
    assert (seen.check, seen.detail) == (
        Check.WORKING, f"the metadata holds a signing certificate valid until {end:%Y-%m-%d}"
    )  # fmt: skip
    assert [(e.kind, e.at, e.renewed_by) for e in seen.expiries] == [("saml_certificate", end, "customer")]


@pytest.mark.parametrize(
    ("spans", "check", "word"),
    [
        ([(-30 * DAY, -DAY)], Check.BROKEN, "has expired"),
        ([(-90 * DAY, -30 * DAY), (-30 * DAY, -DAY)], Check.BROKEN, "has expired"),
        ([(DAY, 30 * DAY)], Check.BROKEN, "is not yet valid"),
        ([(-30 * DAY, -DAY), (-DAY, 365 * DAY)], Check.WORKING, "1 of 2 are valid: a rotation may be under way"),
        ([(-30 * DAY, 5 * DAY), (-DAY, 365 * DAY)], Check.WORKING, "2 of 2 are valid"),
        ([(-30 * DAY, 5 * DAY), (DAY, 365 * DAY)], Check.WORKING, "1 of 2 are valid"),
    ],
)
async def test_certificates(
    prober: Prober, tmp_path: Path, spans: list[tuple[dt.timedelta, dt.timedelta]], check: Check, word: str
) -> None:
    """One that holds is enough; with several the newest end is the one to warn of."""
    seen = await look(prober, http(200, metadata(tmp_path, *spans)))
    assert seen.check is check, seen
    assert word in seen.detail
    assert [e.at for e in seen.expiries] == [(NOW + max(end for _, end in spans)).replace(microsecond=0)]
    if check is Check.BROKEN:
        assert seen.diagnosis is not None
        assert seen.diagnosis.category is Category.SSO_CERT_EXPIRED


async def test_a_clock_that_is_wrong(prober: Prober, tmp_path: Path) -> None:
    """Worth a word, because sign-ins fail of it; no verdict, because a Date header is no measurement."""
    date = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=7), usegmt=True)
    seen = await look(prober, http(200, metadata(tmp_path, (-DAY, 20 * DAY)), Date=date))
    assert seen.check is Check.WORKING
    assert seen.detail.endswith("; its clock is 7 min ahead of ours")


async def test_metadata_that_has_expired(prober: Prober, tmp_path: Path) -> None:
    """Strict service providers refuse it, lenient ones do not notice."""
    for until, check in ((NOW - DAY, Check.DEGRADED), (NOW + DAY, Check.WORKING)):
        document = metadata(tmp_path, (-DAY, 20 * DAY)).replace(" entityID", f' validUntil="{until:%FT%TZ}" entityID')
        assert (await look(prober, http(200, document))).check is check


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 20))
ATTACKS = {
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><a>&l19;</a>',
    "external DTD": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/evil.dtd"><a/>',
    "in UTF-7": '<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a +AFsAPAAh-ENTITY x "y"+AD4AXQA+-<a/>',
    "in UTF-16": '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
    "deep": "<a>" * 100_000,
    "huge": "<a>" + "x" * 2_000_000 + "</a>",
    "many attributes": "<a " + " ".join(f'a{i}="{i}"' for i in range(50_000)) + "/>",
    "not XML": "<html><body>Sign in<br></body></html>",
    "HTML": "<!DOCTYPE html><html></html>",
    "empty": "",
    "JSON": '{"a": 1}',
    "no identity provider": '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"/>',
    "other XML": "<rss/>",
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_is_not_metadata(prober: Prober, attack: str) -> None:
    """Refused, with nothing of it expanded, fetched or repeated; one look alone disturbs nobody."""
    seen = await look(prober, http(200, ATTACKS[attack]))
    assert seen.check is Check.INCONCLUSIVE, seen
    assert seen.diagnosis is not None
    assert "lol" not in repr(seen)
    assert "root:" not in repr(seen)


async def test_certificates_that_can_not_be_read(prober: Prober, tmp_path: Path) -> None:
    """Not theirs to mend, perhaps: it proves nothing."""
    document = metadata(tmp_path, (-DAY, 20 * DAY))
    begin, end = document.index("X509Certificate>") + 16, document.index("</ns1:X509Certificate")
    for text in ("AAAA", "no base64", "", "ü"):
        seen = await look(prober, http(200, document[:begin] + text + document[end:]))
        assert (seen.check, seen.failure) == (Check.INCONCLUSIVE, None)


@pytest.mark.parametrize("status", [302, 401, 403, 404, 500, 503])
async def test_out_of_reach(prober: Prober, status: int) -> None:
    """Sign-ins may well work while the metadata can't be had: a second look decides. The query stays ours."""
    seen = await look(prober, http(status, Location="https://elsewhere.example/"))
    assert seen.check is Check.INCONCLUSIVE
    assert seen.diagnosis is not None
    assert str(status) in seen.detail
    assert "s3cr3t" not in repr(seen)
