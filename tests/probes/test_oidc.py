"""The oidc monitor (FR-1.4): discovery and keys, at two real providers and at wrong ones."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from activities.probes.check import Prober, Seen
from activities.probes.monitor import MONITOR
from activities.probes.oidc import _same_issuer
from tests.probes.peers import RotatingProvider, http, peer
from workflows.contracts import Check
from workflows.domain.diagnosis import Category

N = "u1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0_IzW7yWR7QkrmBL7jTKEn5u-qKhbwKfBstIs-bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW_VDL5AaWTg0nLVkjRo9z-40RQzuVaE8AkAFmxZzow3x-VJYKdjykkJ0iT9wCS0DRTXu269V264Vf_3jvredZiKRkgwlL9xNAwxXFg0x_XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC-9aGVd-Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbcmw"  # noqa: E501
RSA = {"kty": "RSA", "kid": "1", "use": "sig", "n": N, "e": "AQAB"}
EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}

ED = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


async def look(
    prober: Prober,
    discovery: dict[str, Any] | None = None,
    keys: object = None,
    status: int = 200,
    key_status: int = 200,
) -> Seen:
    """At a server whose discovery document is right but for `discovery`."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"openid-configuration" in server.requests[-1]:
            whole = {"issuer": f"{server.url}/tenant", "jwks_uri": f"{server.url}/jwks", **(discovery or {})}
            body = json.dumps({k: v for k, v in whole.items() if v is not None})
            writer.write(http(status, body))
        else:
            writer.write(http(key_status, keys if isinstance(keys, str) else json.dumps({"keys": keys})))
        await writer.drain()

    async with peer(talk) as server:
        body = {"kind": "oidc", "issuer": f"{server.url}/tenant"}
        return await prober.look("oidc", MONITOR.validate_python(body))


async def test_real_providers(prober: Prober, mock: str, rotating: RotatingProvider) -> None:
    """oidc-provider-mock and npm oidc-provider are found in order."""
    for issuer in (mock, f"{mock}/", rotating.url):
        seen = await prober.look("oidc", MONITOR.validate_python({"kind": "oidc", "issuer": issuer}))
        assert (seen.check, seen.detail) == (Check.WORKING, "discovery and 1 signing key can be read")
        assert seen.latency is not None


@pytest.mark.parametrize(
    ("keys", "usable"),
    [
        ([RSA], 1), ([RSA, EC], 2), ([ED], 1),
        ([{**RSA, "use": "enc"}, EC], 1), (["rubbish", None, {}, RSA], 1), ([{**RSA, "key_ops": ["verify"]}], 1),
        ([], 0), ([{**RSA, "use": "enc"}], 0), ([{**RSA, "n": N[:100]}], 0), ([{"kty": "oct", "k": "AAAA"}], 0),
        ([{**RSA, "alg": "none"}], 0), ([{**RSA, "n": "not base64!"}], 0), ([{**RSA, "key_ops": ["sign"]}], 0),
        ([{**RSA, "n": 5}], 0), ([{**EC, "crv": "P-9"}], 0), ([{**EC, "x": ""}], 0),
    ],
)  # fmt: skip
async def test_keys(prober: Prober, keys: list[Any], usable: int) -> None:
    """One public key that can verify is enough; secrets, encryption keys and short ones are none."""
    seen = await look(prober, keys=keys)
    assert seen.check is (Check.WORKING if usable else Check.BROKEN), seen
    if usable:
        assert f"{usable} signing" in seen.detail
    else:
        assert seen.diagnosis is not None
        assert seen.diagnosis.category is Category.SSO_MISCONFIGURED


@pytest.mark.parametrize(
    ("discovery", "words"),
    [
        ({"issuer": "https://evil.example"}, "issuer mismatch"),
        ({"issuer": None}, "issuer mismatch"),
        ({"issuer": ["a"]}, "issuer mismatch"),
        ({"jwks_uri": None}, "names no key set"),
        ({"jwks_uri": "file:///etc/passwd"}, "names no key set"),
        ({"id_token_signing_alg_values_supported": ["none"]}, "not signed at all"),
    ],
)
async def test_a_wrong_document(prober: Prober, discovery: dict[str, Any], words: str) -> None:
    """Another issuer's, one without keys, or one that signs nothing: nobody signs in with that."""
    seen = await look(prober, discovery, [RSA])
    assert seen.check is Check.BROKEN
    assert words in seen.detail
    assert "evil" not in repr(seen)


async def test_none_beside_others_is_allowed(prober: Prober) -> None:
    """OpenID Connect lets a provider offer unsigned tokens beside signed ones."""
    assert (
        await look(prober, {"id_token_signing_alg_values_supported": ["RS256", "none"]}, [RSA])
    ).check is Check.WORKING


@pytest.mark.parametrize(
    ("status", "keys", "key_status"),
    [
        (404, [RSA], 200), (503, [RSA], 200), (302, [RSA], 200), (200, [RSA], 404), (200, [RSA], 500),
        (200, "<html>", 200), (200, "[]", 200), (200, '{"keys": 5}', 200), (200, '{"keys": [' + "[" * 100_000, 200),
        (200, "x" * 1_000_000, 200),
    ],
)  # fmt: skip
async def test_out_of_reach(prober: Prober, status: int, keys: object, key_status: int) -> None:
    """Missing, moved, or rubbish: a second look decides."""
    seen = await look(prober, {}, keys, status, key_status)
    assert seen.check is Check.INCONCLUSIVE, seen
    assert seen.diagnosis is not None


@pytest.mark.parametrize(
    ("named", "wanted", "same"),
    [
        ("https://a.example", "https://a.example/", True),
        ("https://a.example/", "https://a.example", True),
        ("https://a.example/t", "https://a.example", False),
        ("https://A.example", "https://a.example", False),
        ("http://a.example", "https://a.example", False),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "https://login.microsoftonline.com/common/v2.0", True),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", "https://login.microsoftonline.com/a/b/v2.0", False),
        (".*", "https://a.example", False),
    ],
)
def test_issuers(named: str, wanted: str, same: bool) -> None:
    """Exact, but for what people and Microsoft do."""
    assert _same_issuer(named, wanted) == same
