"""What a look at a connection showed, and what was known of it before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from workflows.contracts import Check
from workflows.domain.diagnosis import Diagnosis, Failure
from workflows.domain.webhook_budget import Deliveries

# Events under this `source` are the monitor's own findings; they are never counted as deliveries of the product.
MONITOR_SOURCE = "relink.monitor"  # sources that begin so are ours; the API refuses them

ExpiryKind: TypeAlias = Literal["refresh_token", "saml_certificate", "tls_certificate", "client_secret", "api_key"]


@dataclass(frozen=True)
class EndpointSeen:
    """One of several endpoints (FR-1.6). `status` is None if there was no answer, `latency` if it was not measured."""

    name: str
    check: Check
    status: int | None = None
    latency: timedelta | None = None


@dataclass(frozen=True)
class Expiry:
    """A credential with a known end. `us` renew it (a refresh, a new client secret), or only the `customer` can.
    `label` is for people and holds no secret; with `kind` it names the credential among those of one connection."""

    kind: ExpiryKind
    at: datetime
    renewed_by: Literal["customer", "us"]
    label: str


@dataclass(frozen=True)
class Grant:
    """What is remembered of an OAuth grant between two looks, none of it secret. Times are aware UTC.

    `credential` tells one stored credential from the next; `since` is when we first used this one.
    """

    credential: str = ""
    since: datetime | None = None
    refreshed_at: datetime | None = None
    access_expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    slides: bool = False  # a refresh has been seen to move the refresh token's end
    basic: bool | None = None  # whether the token endpoint takes client_secret_basic, once that is known
    interrupted_at: datetime | None = None  # a look that never ended; what it was told may be lost


@dataclass(frozen=True)
class Known:
    """What is stored of a connection besides its monitor."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    registered_at: datetime | None = None
    last_successful_sync: datetime | None = None
    deliveries: Deliveries = field(default_factory=Deliveries)
    grant: Grant = field(default_factory=Grant)


@dataclass(frozen=True)
class Renewal:
    """A refresh that was accepted, on its way from the probe to the store; `refresh_token` only if it was replaced."""

    grant: Grant
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Seen:
    """What a look showed. The verdict is `check`; `failure` is what led to it, for the record.

    WORKING, DEGRADED (part of it fails, or too slow) and BROKEN are evidence. INCONCLUSIVE proves nothing: with
    `diagnosis` it is a failure that may pass by itself (count it towards confirm_failures unless
    `diagnosis.is_rate_limit`), without one the look itself was impossible and is nobody's failure.
    """

    check: Check
    detail: str  # a few words for the timeline; no secrets, no addresses with queries
    failure: Failure | None = None  # body cut to 4,000 characters, secrets blanked
    diagnosis: Diagnosis | None = None
    latency: timedelta | None = None  # of the slowest answer
    endpoints: tuple[EndpointSeen, ...] = ()
    expiries: tuple[Expiry, ...] = ()
    retry_after: timedelta | None = None  # the peer asked us to come back later
    budget_stage: int | None = None  # webhook: 0, 50, 70, 90 or 100 per cent of the failure budget are used
    renewal: Renewal | None = field(default=None, repr=False)  # never leaves ConnectionStore

    @property
    def failing(self) -> tuple[str, ...]:
        """The names of the endpoints that did not answer as expected."""
        return tuple(endpoint.name for endpoint in self.endpoints if endpoint.check is not Check.WORKING)

    def without_secrets(self) -> Seen:
        return replace(self, renewal=None)
