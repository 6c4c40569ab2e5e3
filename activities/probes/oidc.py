"""OpenID Connect single sign-on (monitor `oidc`, FR-1.4): discovery, issuer and signing keys.

OpenID Connect Discovery 1.0 section 4; RFC 7517. Keys change without notice, so an unknown key is never a finding: only
a key set in which nothing can verify an ID token is.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, replace
from typing import Any

from activities.probes.clock import about_clock
from activities.probes.http import Answer, NoAnswerError, ProbeClient
from activities.probes.monitor import OidcMonitor
from activities.probes.seen import Seen
from activities.probes.verdict import Judge
from workflows.contracts import Check
from workflows.domain.diagnosis import Failure, Surface

_SMALLEST_RSA = 2048  # bits, RFC 7518 section 3.3
_CURVES = {"P-256", "P-384", "P-521", "secp256k1", "Ed25519", "Ed448"}


@dataclass(frozen=True)
class OidcProbe:
    client: ProbeClient
    judge: Judge

    async def look(self, provider: str, monitor: OidcMonitor) -> Seen:
        what = "the discovery document"
        try:
            found = await self.client.request("GET", f"{monitor.issuer.rstrip('/')}/.well-known/openid-configuration")
            document = found.json if found.status == 200 else None
            if not isinstance(document, dict):
                return self._refused(provider, found, what)
            problem = _problem(document, monitor.issuer)
            if problem:
                return self._failed(provider, found, problem)
            what = "the key set"
            keys = await self.client.request("GET", document["jwks_uri"])
        except NoAnswerError as error:
            return self.judge.unanswered(provider, error, what)
        listed = keys.json.get("keys") if keys.status == 200 and isinstance(keys.json, dict) else None
        if not isinstance(listed, list):
            return self._refused(provider, keys, what)
        usable = sum(map(can_verify, listed))
        if not usable:
            return self._failed(provider, keys, "discovery: the key set publishes nothing that verifies a signature")
        latency = max(found.latency, keys.latency)
        detail = f"discovery and {usable} signing {'key' if usable == 1 else 'keys'} can be read{about_clock(found)}"
        return Seen(Check.WORKING, detail, latency=latency)

    def _refused(self, provider: str, answer: Answer, what: str) -> Seen:
        said = f"{what} answered {answer.status}"
        if 300 <= answer.status < 400:
            said += " (redirects are not followed)"
        elif answer.status == 200:
            said += " with something else" + (", too large" if answer.cut else "")
        seen = self.judge.refused(provider, Surface.OIDC, answer, said)
        return replace(seen, check=Check.INCONCLUSIVE)  # missing, moved or rubbish at the moment: a second look decides

    def _failed(self, provider: str, answer: Answer, problem: str) -> Seen:
        failure = Failure(provider=provider, surface=Surface.OIDC, error_description=problem)
        return replace(self.judge.failed(failure, problem), latency=answer.latency)


def _problem(document: dict[str, Any], issuer: str) -> str | None:
    """What in the discovery document would make sign-ins fail."""
    named = document.get("issuer")
    if not isinstance(named, str) or not _same_issuer(named, issuer):
        return "issuer mismatch: the discovery document is another issuer's"
    uri = document.get("jwks_uri")
    if not isinstance(uri, str) or not uri.startswith(("https://", "http://")):
        return "discovery: the document names no key set"
    algorithms = document.get("id_token_signing_alg_values_supported")
    if isinstance(algorithms, list) and algorithms and all(str(a).lower() == "none" for a in algorithms):
        return "discovery: ID tokens are not signed at all (alg none)"
    return None


def _same_issuer(named: str, wanted: str) -> bool:
    """Exactly, but for a trailing slash that people leave off, and Microsoft's `{tenantid}` for many tenants."""
    pattern = re.escape(named.rstrip("/")).replace(r"\{tenantid\}", r"[\w.-]{1,100}")
    return len(named) <= 2_000 and re.fullmatch(pattern, wanted.rstrip("/")) is not None


def can_verify(key: object) -> bool:
    """Whether this JWK is a public key that could verify an ID token: RSA of 2048 bits or more, EC, or EdDSA."""
    if not isinstance(key, dict) or key.get("use", "sig") != "sig" or str(key.get("alg", "")).lower() == "none":
        return False
    operations = key.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return False
    match key.get("kty"):
        case "RSA":
            return _bits(key.get("n")) >= _SMALLEST_RSA and _bits(key.get("e")) > 1
        case "EC":
            return key.get("crv") in _CURVES and _bits(key.get("x")) > 0 and _bits(key.get("y")) > 0
        case "OKP":
            return key.get("crv") in _CURVES and _bits(key.get("x")) > 0
    return False


def _bits(encoded: object) -> int:
    if not isinstance(encoded, str) or not re.fullmatch(r"[\w-]{1,4000}", encoded, re.ASCII):
        return 0
    return int.from_bytes(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), "big").bit_length()
