"""What a monitor found, in the words of events: the same judges decide over our looks and over what others report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from activities.events import Event, EventError, EventType
from activities.probes.seen import MONITOR_SOURCE, Seen
from workflows.contracts import Check
from workflows.domain.diagnosis import Catalogue, ConnectionState, Diagnosis, Failure, Surface, diagnose
from workflows.domain.status import HealthStatus
from workflows.domain.sweep import News, Outcome, Streak

_NAME = 200  # characters, as the API allows for an event's endpoint
_CODE = 500


@dataclass(frozen=True)
class Claim:
    """The right to look at one integration and to record, by its token, what that showed; and what was known before."""

    integration: UUID
    token: UUID
    claimed_at: datetime
    lease_until: datetime
    host: str | None  # None: a passive monitor, which asks nobody
    every: timedelta | None
    verdict: str | None
    streak: Streak
    limping_since: datetime | None
    customer: UUID
    integration_type: str
    integration_id: str | None

    def event_id(self, what: str = "") -> str:
        """The same for every attempt at recording this look."""
        return f"{self.integration}/{self.claimed_at:%Y%m%dT%H%M%S.%fZ}{what}"


@dataclass(frozen=True)
class Looked:
    """One look that is over; it began at `at`. `our_network`: no answer, but that says nothing of the peer."""

    claim: Claim
    at: datetime
    seen: Seen
    our_network: bool = False

    @property
    def outcome(self) -> Outcome:
        seen = self.seen
        match seen.check:
            case Check.WORKING | Check.REPORTED_WORKING:
                return Outcome.WORKING
            case Check.DEGRADED:
                return Outcome.LIMPING
            case Check.BROKEN:
                return Outcome.BROKEN
        if seen.diagnosis is None:
            return Outcome.UNKNOWN
        if seen.diagnosis.is_rate_limit:
            return Outcome.RATE_LIMITED
        return Outcome.OUR_NETWORK if self.our_network else Outcome.FAILED

    @property
    def is_unanswered(self) -> bool:
        """Whether the peer could not be reached at all."""
        failure = self.seen.failure
        return self.seen.check is Check.INCONCLUSIVE and failure is not None and failure.surface is Surface.NETWORK

    def verdict(self, outcome: Outcome) -> str:
        """The same for two looks that showed the very same."""
        if outcome is not Outcome.LIMPING:
            return outcome
        stage = self.seen.budget_stage  # of a webhook's failure budget: each stage is told
        return ": ".join([outcome, *sorted(self.seen.failing), *([f"{stage} %"] if stage else [])])

    def summary(self, outcome: Outcome, why: str | None) -> dict[str, Any]:
        """For people: what was seen, without bodies and secrets."""
        seen = self.seen
        return {
            "at": self.at,
            "check": seen.check,
            "outcome": outcome,
            "detail": _clean(f"{seen.detail}; {why}" if why else seen.detail),
            "category": seen.diagnosis.category if seen.diagnosis else None,
            "latency_ms": _milliseconds(seen.latency),
            "endpoints": [
                {
                    "name": _clean(e.name),
                    "check": e.check,
                    "status": e.status,
                    "latency_ms": _milliseconds(e.latency),
                }
                for e in seen.endpoints
            ],
        }


Finding = tuple[Event, Diagnosis | None]
"""An event, and what its error means where the monitor knows better than the classifier."""


def findings_of(looked: Looked, news: News, why: str | None, catalogue: Catalogue) -> list[Finding]:
    """The events that tell this news. `why` says what makes a working integration a poor one."""
    match news:
        case News.WORKS_AGAIN:
            return [(_event(looked, EventType.SYNC_SUCCEEDED), None)]
        case News.WORKS_POORLY:
            poor = _poor(looked, why or "it is unreliable", catalogue)
            return [(_event(looked, EventType.SYNC_SUCCEEDED), None), poor]
        case News.LIMPS:
            return [(_limping(looked, _error(looked)), looked.seen.diagnosis)]
        case News.FAILED | News.RATE_LIMITED:
            return [_failed(looked)]
    return []


def _failed(looked: Looked) -> Finding:
    """A failure that is not proven (INCONCLUSIVE) counts towards confirm_failures, whatever its words suggest."""
    seen, diagnosis = looked.seen, looked.seen.diagnosis
    surface = seen.failure.surface if seen.failure else None
    kind = EventType.WEBHOOK_FAILED if surface is Surface.WEBHOOK else EventType.SYNC_ERROR
    if seen.check is not Check.BROKEN:
        if diagnosis is not None and diagnosis.is_terminal:
            diagnosis = diagnosis.model_copy(update={"connection_state": ConnectionState.TRANSIENT})
    elif surface in {Surface.TOKEN_ENDPOINT, Surface.SAML, Surface.OIDC} or (
        seen.failure is not None and seen.failure.http_status in {401, 403}
    ):
        kind = EventType.AUTH_FAILURE
    return _event(looked, kind, error=_error(looked)), diagnosis


def _poor(looked: Looked, why: str, catalogue: Catalogue) -> Finding:
    failure = Failure(
        provider=looked.claim.integration_type,
        surface=Surface.REST_API,
        error_code="unreliable",
        error_description=why,
    )
    told = {"reason": f"Works now, but {why}", "connection_state": ConnectionState.DEGRADED}
    error = EventError(code="unreliable", message=why, http_status=None, surface=Surface.REST_API, body=None)
    return _limping(looked, error), diagnose(failure, catalogue).model_copy(update=told)


def _limping(looked: Looked, error: EventError) -> Event:
    failing = ", ".join(looked.seen.failing)
    return _event(
        looked,
        EventType.INTEGRATION_STATUS_CHANGED,
        what="/degraded",
        new_status=HealthStatus.DEGRADED,
        endpoint=_clean(failing)[:_NAME] or None,
        error=error,
    )


def _event(looked: Looked, kind: EventType, *, what: str = "", **more: Any) -> Event:
    claim = looked.claim
    return Event(
        source=MONITOR_SOURCE,
        event_id=claim.event_id(what),
        customer_id=claim.customer,
        customer_external_id=None,
        integration_type=claim.integration_type,
        integration_id=claim.integration_id,
        event_type=kind,
        occurred_at=looked.at,
        **({"new_status": None, "endpoint": None, "error": None} | more),
    )


def _error(looked: Looked) -> EventError:
    """What the peer said, or else what we say of it."""
    failure = looked.seen.failure or Failure(error_description=looked.seen.detail)
    status = failure.http_status
    return EventError(
        code=_clean(failure.error_code)[:_CODE] if failure.error_code else None,
        message=_clean(failure.error_description or looked.seen.detail),
        http_status=status if status is not None and 100 <= status <= 599 else None,
        surface=failure.surface,
        body=_clean(failure.body) if failure.body else None,
    )


def _clean(text: str) -> str:
    """Without what PostgreSQL can't store: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def _milliseconds(span: timedelta | None) -> float | None:
    return round(span.total_seconds() * 1000, 1) if span is not None else None
