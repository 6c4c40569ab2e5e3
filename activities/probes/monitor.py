"""Monitors as the API takes them (contract: Monitor), and how their secrets are parted from the rest."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

import httpx
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)

from activities.probes.addresses import ForbiddenAddressError, Resolver, UnresolvedError
from workflows.domain.durations import Duration


def _keep(value: object) -> object:
    return None if isinstance(value, dict) and set(value) == {"set"} else value


def _http_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in {"https", "http"} or not parsed.host or parsed.userinfo or "@" in parsed.netloc.decode():
        raise ValueError("expected an http(s) URL without a user name in it")
    if (parsed.port or 1) > 65535 or "%" in parsed.host or "\\" in url:
        raise ValueError("expected an http(s) URL with a plain host name and port")
    return url


_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]{0,8190}[\x21-\x7e])?")
_OURS = {  # headers that frame the message, or belong to the connection
    "connection", "content-length", "content-encoding", "expect", "host", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "accept-encoding",
}  # fmt: skip


def _headers(headers: dict[str, SecretStr | None] | None) -> dict[str, SecretStr | None] | None:
    """RFC 9110 section 5: nothing that could end a line and begin a header of its own. Values stay out of errors."""
    for name, value in (headers or {}).items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"{name[:100]!r} can't be set as a header here")
        if value is not None and not _HEADER_VALUE.fullmatch(value.get_secret_value()):
            raise ValueError(f"the value of {name} is not one line of ASCII text")
    if len({name.lower() for name in headers or {}}) != len(headers or {}):
        raise ValueError("each header once, whatever its spelling")
    return headers


# Write-only: shown as {"set": true}; null, absent or {"set": true} in a PUT keeps the stored value.
Secret: TypeAlias = Annotated[
    SecretStr | None,
    BeforeValidator(_keep),
    WithJsonSchema({"type": "string", "writeOnly": True, "maxLength": 10_000}),
]
HttpUrl = Annotated[
    str, StringConstraints(min_length=10, max_length=2_000, pattern=r"^\S+$"), AfterValidator(_http_url)
]


class _Monitor(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    interval: Duration | None = Field(None, description="How often to look; absent: the policy's monitoring.interval.")
    paused: bool = False


class OAuth2Monitor(_Monitor):
    """FR-1.1: refreshes the grant; a refused refresh is the failure. Without `introspection_url` every look refreshes,
    because nothing else proves that the grant still works."""

    kind: Literal["oauth2"]
    token_url: HttpUrl
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    client_secret: Secret = None
    refresh_token: Secret = None
    scopes: list[str] | None = None
    introspection_url: HttpUrl | None = Field(
        None, description="RFC 7662; asked about the refresh token between two refreshes, which is cheaper."
    )
    client_secret_expires_at: AwareDatetime | None = Field(None, description="Known end of the client secret.")


class Endpoint(BaseModel):
    """One request and what its answer must look like: `expect_status` (else any 2xx), and everything in `expect_json`
    (more may be there). Without `expect_json`, a success that says `"ok": false` is a failure all the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    method: Literal["GET", "HEAD", "POST", "OPTIONS"] = "GET"
    url: HttpUrl
    expect_status: Annotated[int, Field(ge=100, le=599)] | None = None
    expect_json: dict[str, Any] | None = None
    max_latency: Duration | None = None


class ApiMonitor(_Monitor):
    """FR-1.2, FR-1.6: authenticated requests to one or several endpoints."""

    kind: Literal["api"]
    headers: Annotated[dict[str, Secret], Field(max_length=50), AfterValidator(_headers)] | None = None
    credential_expires_at: AwareDatetime | None = Field(
        None, description="Known end of the API key or token in `headers`."
    )
    endpoints: Annotated[list[Endpoint], Field(min_length=1, max_length=20)]


class WebhookMonitor(_Monitor):
    """FR-1.3: judged from delivery events, and by a signed test delivery if `test_url` is set."""

    kind: Literal["webhook"]
    window: Duration
    failure_budget: Annotated[float, Field(gt=0, le=1)]
    test_url: HttpUrl | None = None
    secret: Secret = None


class SamlMonitor(_Monitor):
    """FR-1.4: the identity provider's metadata and its signing certificates."""

    kind: Literal["saml"]
    metadata_url: HttpUrl


class OidcMonitor(_Monitor):
    """FR-1.4: discovery document and signing keys."""

    kind: Literal["oidc"]
    issuer: HttpUrl


class HeartbeatMonitor(_Monitor):
    """An integration that should call us at least this often."""

    kind: Literal["heartbeat"]
    every: Annotated[Duration, Field(ge=timedelta(seconds=1))]


Monitor: TypeAlias = Annotated[
    OAuth2Monitor | ApiMonitor | WebhookMonitor | SamlMonitor | OidcMonitor | HeartbeatMonitor,
    Field(discriminator="kind"),
]
MONITOR: TypeAdapter[Monitor] = TypeAdapter(Monitor)

_LOOKUP = 3.0  # seconds, when a monitor is saved


def urls_of(monitor: Monitor) -> dict[str, str]:
    """Every address that this monitor would ask, by the name of its field."""
    if isinstance(monitor, ApiMonitor):
        return {f"endpoints[{i}].url": endpoint.url for i, endpoint in enumerate(monitor.endpoints)}
    fields = ("token_url", "introspection_url", "test_url", "metadata_url", "issuer")
    return {name: url for name in fields if (url := getattr(monitor, name, None)) is not None}


async def refused_urls(monitor: Monitor) -> dict[str, str]:
    """The fields whose address is not public, each with what to say; for a PUT while RELINK_PROBE_ALLOW_PRIVATE is off.

    A name that can't be resolved within a few seconds is let through: probes check again whenever they connect.
    """
    resolver, refused = Resolver(), {}
    try:
        for field, url in urls_of(monitor).items():
            parsed = httpx.URL(url)
            try:
                await asyncio.wait_for(resolver.addresses(parsed.host, parsed.port or 443), _LOOKUP)
            except ForbiddenAddressError as error:
                refused[field] = f"{error}; monitors ask only public addresses"
            except (UnresolvedError, TimeoutError):
                continue
    finally:
        resolver.close()
    return refused


_SECRETS = {"oauth2": ("client_secret", "refresh_token"), "webhook": ("secret",)}


class MissingSecretError(ValueError):
    """A monitor lacks a secret that it can't work without; the message names the field."""


def secrets_of(monitor: Monitor) -> dict[str, str]:
    """The secrets given in this monitor by field name; headers as `headers.NAME`."""
    found = {name: getattr(monitor, name) for name in _SECRETS.get(monitor.kind, ())}
    if isinstance(monitor, ApiMonitor):
        found |= {f"headers.{name}": value for name, value in (monitor.headers or {}).items()}
    return {name: value.get_secret_value() for name, value in found.items() if value is not None}


def part(monitor: Monitor, stored: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Parts a monitor into what may be shown and its secrets; those not given are kept from `stored`.

    Raises MissingSecretError if an oauth2 monitor ends up without a refresh token, or a header without a value.
    """
    shown = monitor.model_dump(mode="json", exclude_none=True)
    secrets = dict(secrets_of(monitor))
    for name in _SECRETS.get(monitor.kind, ()):
        if name not in secrets and name in stored:
            secrets[name] = stored[name]
        shown.pop(name, None)
        if name in secrets:
            shown[name] = {"set": True}
    if isinstance(monitor, ApiMonitor):
        headers = {
            name.removeprefix("headers."): value for name, value in stored.items() if name.startswith("headers.")
        }
        names = list(headers) if monitor.headers is None else list(monitor.headers)
        for name in names:
            value = secrets.get(f"headers.{name}") or headers.get(name)
            if value is None:
                raise MissingSecretError(f"headers.{name}: give its value; none is stored yet")
            secrets[f"headers.{name}"] = value
        shown["headers"] = {name: {"set": True} for name in names}
    if isinstance(monitor, OAuth2Monitor) and "refresh_token" not in secrets:
        raise MissingSecretError("refresh_token: give the grant's refresh token; none is stored yet")
    return shown, secrets


def join(shown: dict[str, Any], secrets: dict[str, str]) -> Monitor:
    """The monitor as it works: what `part` parted, put together again."""
    whole = dict(shown)
    for name, value in secrets.items():
        if name.startswith("headers."):
            whole["headers"] = {**whole.get("headers", {}), name.removeprefix("headers."): value}
        else:
            whole[name] = value
    return MONITOR.validate_python(whole)


def has_active_check(shown: dict[str, Any] | None) -> bool:
    """Whether this stored monitor can be asked at any time if the connection works; else only events tell."""
    if shown is None or shown.get("paused"):
        return False
    kind = shown["kind"]
    return kind in {"oauth2", "api", "saml", "oidc"} or (kind == "webhook" and bool(shown.get("test_url")))
