"""What one observation means for an integration's status. Pure: judged by when things happened, never by arrival."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class HealthStatus(StrEnum):
    """PRD-101 section 4.1."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DISCONNECTED = "disconnected"


class Effect(StrEnum):
    """What kind of thing was observed."""

    FAILURE = "failure"
    RATE_LIMIT = "rate_limit"  # never counts
    SUCCESS = "success"
    HINT = "hint"  # somebody says that it was reconnected; with a monitor not yet evidence
    NOTE = "note"  # the customer noticed by themselves


class Weight(StrEnum):
    """How much one failure proves."""

    TERMINAL = "terminal"  # disconnected at once
    RETRYABLE = "retryable"  # disconnected once confirm_failures came in a row
    LIMPING = "limping"  # degraded, however often


@dataclass(frozen=True)
class Observation:
    occurred_at: datetime
    effect: Effect
    weight: Weight = Weight.RETRYABLE


@dataclass(frozen=True)
class Health:
    """What is known of one integration; `failures` are the times of the failures in a row, oldest first."""

    status: HealthStatus = HealthStatus.HEALTHY
    failures: tuple[datetime, ...] = ()
    last_success_at: datetime | None = None
    last_closed_at: datetime | None = None
    degraded_since: datetime | None = None
    muted: bool = False
    removed: bool = False
    monitored: bool = False
    incident_open: bool = False

    @property
    def failing_since(self) -> datetime | None:
        """The earliest failure of this run."""
        return self.failures[0] if self.failures else None

    @property
    def last_failure_at(self) -> datetime | None:
        return self.failures[-1] if self.failures else None


@dataclass(frozen=True)
class Verdict:
    """`health` afterwards, and whether the observation counted as a failure, opens (or worsens) an incident to
    'disconnected', or hints at recovery."""

    health: Health
    failed: bool = False
    disconnects: bool = False
    recovery_hinted: bool = False


def judge(health: Health, observation: Observation, *, confirm_failures: int) -> Verdict:
    """Applies one observation (contract: What an event does).

    A failure older than the newest success or the last close changes nothing; ties go to the failure.
    """
    if health.removed or observation.effect in {Effect.RATE_LIMIT, Effect.NOTE}:
        return Verdict(health)
    if observation.effect is Effect.FAILURE:
        return _judge_failure(health, observation, confirm_failures)
    if observation.effect is Effect.HINT and health.monitored:
        return Verdict(health, recovery_hinted=health.incident_open)
    return _judge_success(health, observation)


def _is_stale(health: Health, at: datetime) -> bool:
    return any(edge is not None and at < edge for edge in (health.last_success_at, health.last_closed_at))


def _judge_failure(health: Health, observation: Observation, confirm_failures: int) -> Verdict:
    at = observation.occurred_at
    if _is_stale(health, at):
        return Verdict(health)
    failures = tuple(sorted((*health.failures, at)))
    confirmed = observation.weight is Weight.TERMINAL or (
        observation.weight is Weight.RETRYABLE and len(failures) >= confirm_failures
    )
    if confirmed or health.status is HealthStatus.DISCONNECTED:
        status, since = HealthStatus.DISCONNECTED, None
    else:
        status, since = HealthStatus.DEGRADED, min(filter(None, (health.degraded_since, at)))
    after = replace(health, status=status, failures=failures, degraded_since=since)
    return Verdict(after, failed=True, disconnects=confirmed and not health.muted)


def _judge_success(health: Health, observation: Observation) -> Verdict:
    at = observation.occurred_at
    newest = max(filter(None, (health.last_success_at, at)))
    failures = tuple(f for f in health.failures if f >= newest)
    unmuted = health.last_closed_at is not None and at > health.last_closed_at
    after = replace(health, last_success_at=newest, failures=failures, muted=health.muted and not unmuted)
    if failures or newest != at:
        return Verdict(after)  # something failed at the same time or later: not a recovery
    if health.incident_open:
        return Verdict(after, recovery_hinted=True)  # the incident's workflow decides
    return Verdict(replace(after, status=HealthStatus.HEALTHY, degraded_since=None))
