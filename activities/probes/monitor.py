"""Monitors as the API takes them (contract: Monitor), and how their secrets are parted from the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)

from workflows.domain.durations import Duration


def _keep(value: object) -> object:
    return None if isinstance(value, dict) and set(value) == {"set"} else value


def _http_url(url: str) -> str:
    if not url.lower().startswith(("https://", "http://")) or "@" in url.split("/")[2]:
        raise ValueError("expected an http(s) URL without a user name in it")
    return url


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
    """FR-1.1: refreshes the grant; a refused refresh is the failure."""

    kind: Literal["oauth2"]
    token_url: HttpUrl
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    client_secret: Secret = None
    refresh_token: Secret = None
    scopes: list[str] | None = None
    introspection_url: HttpUrl | None = None


class Endpoint(BaseModel):
    """One request and what its answer must look like."""

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
    headers: dict[str, Secret] | None = None
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
