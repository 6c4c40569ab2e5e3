"""Looks at one connection now, as its monitor says, and tells working from broken from not knowing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from cryptography import x509
from lxml import etree  # type: ignore[attr-defined]  # a compiled module without type information
from standardwebhooks import Webhook

from activities.probes.http import Answer, ForbiddenAddressError, ProbeClient
from activities.probes.monitor import (
    ApiMonitor,
    Endpoint,
    Monitor,
    OAuth2Monitor,
    OidcMonitor,
    SamlMonitor,
    WebhookMonitor,
)
from workflows.contracts import Check
from workflows.domain.diagnosis import Catalogue, ConnectionState, Diagnosis, Failure, Surface, diagnose


@dataclass(frozen=True)
class Seen:
    """What a probe saw. `detail` is for the timeline: a few words without secrets. `rotated` is a new refresh token
    that has replaced the old one: it must be stored."""

    check: Check
    detail: str
    diagnosis: Diagnosis | None = None
    rotated: str | None = None


class Prober:
    """Asks peers; never raises for what a peer does."""

    def __init__(self, client: ProbeClient, catalogue: Catalogue) -> None:
        self._client, self._catalogue = client, catalogue

    async def look(self, integration_type: str, monitor: Monitor) -> Seen:
        """One look at the connection, of at most about 10 s a request."""
        try:
            match monitor:
                case OAuth2Monitor():
                    return await self._oauth2(integration_type, monitor)
                case ApiMonitor():
                    return await self._api(integration_type, monitor)
                case SamlMonitor():
                    return await self._saml(integration_type, monitor)
                case OidcMonitor():
                    return await self._oidc(integration_type, monitor)
                case WebhookMonitor(test_url=str()):
                    return await self._webhook(integration_type, monitor)
        except ForbiddenAddressError as error:
            return Seen(Check.INCONCLUSIVE, str(error))
        except httpx.HTTPError as error:
            failure = Failure(
                provider=integration_type, surface=Surface.NETWORK, error_description=_network_words(error)
            )
            return self._failed(failure, f"no answer: {type(error).__name__}")
        return Seen(Check.INCONCLUSIVE, f"a {monitor.kind} monitor has nothing to ask")

    def _failed(self, failure: Failure, detail: str) -> Seen:
        """Broken only if the diagnosis says disconnected: what passes by itself proves nothing."""
        diagnosis = diagnose(failure, self._catalogue)
        broken = diagnosis.connection_state is ConnectionState.DISCONNECTED
        return Seen(Check.BROKEN if broken else Check.INCONCLUSIVE, detail, diagnosis)

    def _refused(self, provider: str, surface: Surface, answer: Answer, what: str) -> Seen:
        failure = Failure(provider=provider, surface=surface, http_status=answer.status, body=answer.text)
        return self._failed(failure, f"{what} answered {answer.status}")

    async def _oauth2(self, provider: str, monitor: OAuth2Monitor) -> Seen:
        assert monitor.refresh_token is not None  # stored monitors have one
        form = {
            "grant_type": "refresh_token",
            "refresh_token": monitor.refresh_token.get_secret_value(),
            "client_id": monitor.client_id,
        }
        if monitor.client_secret:
            form["client_secret"] = monitor.client_secret.get_secret_value()
        if monitor.scopes:
            form["scope"] = " ".join(monitor.scopes)
        answer = await self._client.request(
            "POST", monitor.token_url, data=form, headers={"Accept": "application/json"}
        )
        tokens = _json_object(answer)
        if answer.status == 200 and tokens.get("access_token"):
            new = tokens.get("refresh_token")
            rotated = new if isinstance(new, str) and new != form["refresh_token"] else None
            return Seen(Check.WORKING, "the refresh token was accepted", rotated=rotated)
        return self._refused(provider, Surface.TOKEN_ENDPOINT, answer, "the token endpoint")

    async def _api(self, provider: str, monitor: ApiMonitor) -> Seen:
        """The worst of all endpoints: one that is broken breaks the connection."""
        headers = {name: value.get_secret_value() for name, value in (monitor.headers or {}).items() if value}
        seen = [await self._endpoint(provider, endpoint, headers) for endpoint in monitor.endpoints]
        return next(
            (s for verdict in (Check.BROKEN, Check.INCONCLUSIVE) for s in seen if s.check is verdict),
            Seen(Check.WORKING, f"{len(seen)} of {len(seen)} endpoints answered as expected"),
        )

    async def _endpoint(self, provider: str, endpoint: Endpoint, headers: dict[str, str]) -> Seen:
        name = endpoint.name or endpoint.url.split("?")[0]
        answer = await self._client.request(endpoint.method, endpoint.url, headers=headers)
        expected = endpoint.expect_status
        if answer.status != expected if expected else answer.status >= 300:
            return self._refused(provider, Surface.REST_API, answer, name)
        if endpoint.expect_json is not None and not _contains(_json_object(answer), endpoint.expect_json):
            return self._refused(provider, Surface.REST_API, answer, f"{name} lacks the expected JSON and")
        if endpoint.max_latency and answer.seconds > endpoint.max_latency.total_seconds():
            return Seen(Check.INCONCLUSIVE, f"{name} took {answer.seconds:.1f} s")
        return Seen(Check.WORKING, f"{name} answered {answer.status}")

    async def _saml(self, provider: str, monitor: SamlMonitor) -> Seen:
        answer = await self._client.request("GET", monitor.metadata_url)
        if answer.status != 200:
            return self._refused(provider, Surface.SAML, answer, "the metadata address")
        ends = _signing_certificate_ends(answer.body)
        if not ends:
            return Seen(Check.INCONCLUSIVE, "the metadata holds no signing certificate that can be read")
        if max(ends) < datetime.now(UTC):
            failure = Failure(provider=provider, surface=Surface.SAML, error_description="signing certificate expired")
            return self._failed(failure, "every signing certificate in the metadata has expired")
        return Seen(Check.WORKING, "the metadata holds a valid signing certificate")

    async def _oidc(self, provider: str, monitor: OidcMonitor) -> Seen:
        issuer = monitor.issuer.rstrip("/")
        answer = await self._client.request("GET", f"{issuer}/.well-known/openid-configuration")
        jwks_uri = _json_object(answer).get("jwks_uri")
        if answer.status != 200 or not isinstance(jwks_uri, str):
            return self._refused(provider, Surface.OIDC, answer, "discovery")
        keys = await self._client.request("GET", jwks_uri)
        if keys.status != 200 or not _json_object(keys).get("keys"):
            return self._refused(provider, Surface.OIDC, keys, "the key set")
        return Seen(Check.WORKING, "discovery and keys can be read")

    async def _webhook(self, provider: str, monitor: WebhookMonitor) -> Seen:
        body = json.dumps({"type": "relink.test", "timestamp": datetime.now(UTC).isoformat(), "data": {}})
        headers = {"Content-Type": "application/json", "webhook-id": f"msg_{uuid4().hex}"}
        if monitor.secret:
            at = datetime.now(UTC)
            signature = Webhook(monitor.secret.get_secret_value()).sign(headers["webhook-id"], at, body)
            headers |= {"webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
        answer = await self._client.request("POST", str(monitor.test_url), content=body, headers=headers)
        if answer.status >= 300:
            return self._refused(provider, Surface.WEBHOOK, answer, "the endpoint")
        return Seen(Check.WORKING, f"the endpoint took a test delivery with {answer.status}")


def _network_words(error: httpx.HTTPError) -> str:
    """The error's own words without addresses that may carry secrets."""
    return f"{type(error).__name__}: {error}"[:500]


def _json_object(answer: Answer) -> dict[str, Any]:
    try:
        value = json.loads(answer.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _contains(found: Any, expected: Any) -> bool:
    """Whether everything expected is there; more may be."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(k in found and _contains(found[k], v) for k, v in expected.items())
    return bool(found == expected)


def _signing_certificate_ends(metadata: bytes) -> list[datetime]:
    """The ends of validity of all signing certificates; DTDs, entities and the network are refused."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(metadata, parser)
    except etree.XMLSyntaxError:
        return []
    found = root.xpath(
        "//*[local-name()='KeyDescriptor'][not(@use) or @use='signing']//*[local-name()='X509Certificate']"
    )
    ends = []
    for element in found if isinstance(found, list) else []:
        text = "".join(str(getattr(element, "text", "") or "").split())
        pem = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
        try:
            ends.append(x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc)
        except ValueError:
            continue
    return ends
