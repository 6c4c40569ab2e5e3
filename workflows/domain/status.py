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


@dataclass(frozen=True, order=True)
class Failed:
    """One effective failure."""

    at: datetime
    weight: Weight = Weight.RETRYABLE


@dataclass(frozen=True)
class Health:
    """What is known of one integration; `failures` are the failures in a row, oldest first (the newest hundred, which
    is why `failing_since`, the earliest of the run, is kept beside them)."""

    status: HealthStatus = HealthStatus.HEALTHY
    failures: tuple[Failed, ...] = ()
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    last_closed_at: datetime | None = None
    muted: bool = False
    removed: bool = False
    monitored: bool = False
    incident_open: bool = False

    @property
    def degraded_since(self) -> datetime | None:
        return self.failing_since if self.status is HealthStatus.DEGRADED else None

    @property
    def last_failure_at(self) -> datetime | None:
        return self.failures[-1].at if self.failures else None


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
    return _judge_success(health, observation, confirm_failures)


def _judge_failure(health: Health, observation: Observation, confirm_failures: int) -> Verdict:
    at = observation.occurred_at
    if any(edge is not None and at < edge for edge in (health.last_success_at, health.last_closed_at)):
        return Verdict(health)
    failures = tuple(sorted((*health.failures, Failed(at, observation.weight))))
    since = min(filter(None, (health.failing_since, at)))
    after = _reading(replace(health, failures=failures, failing_since=since), confirm_failures)
    return Verdict(after, failed=True, disconnects=_is_confirmed(failures, confirm_failures) and not health.muted)


def _judge_success(health: Health, observation: Observation, confirm_failures: int) -> Verdict:
    at = observation.occurred_at
    newest = max(filter(None, (health.last_success_at, at)))
    failures = tuple(failed for failed in health.failures if failed.at >= newest)
    since = health.failing_since
    if since is not None and since < newest:
        since = failures[0].at if failures else None
    unmuted = health.last_closed_at is not None and at > health.last_closed_at
    muted = health.muted and not unmuted
    after = replace(health, last_success_at=newest, failures=failures, failing_since=since, muted=muted)
    if health.incident_open and newest == at and since is None:
        return Verdict(after, recovery_hinted=True)  # the incident's workflow decides
    return Verdict(_reading(after, confirm_failures))  # what failed at that time or later is no recovery


def _reading(health: Health, confirm_failures: int) -> Health:
    """The status that these failures add up to, in whatever order they came in. While an incident is open, only its
    workflow says that a disconnected integration works again."""
    if health.incident_open and (health.status is HealthStatus.DISCONNECTED or health.failing_since is None):
        return health
    if _is_confirmed(health.failures, confirm_failures):
        return replace(health, status=HealthStatus.DISCONNECTED)
    return replace(health, status=HealthStatus.DEGRADED if health.failing_since else HealthStatus.HEALTHY)


def _is_confirmed(failures: tuple[Failed, ...], confirm_failures: int) -> bool:
    weights = [failed.weight for failed in failures]
    return Weight.TERMINAL in weights or weights.count(Weight.RETRYABLE) >= confirm_failures


def is_evidence(failed_at: datetime | None, *, succeeded_at: datetime | None, vouched_at: datetime | None) -> bool:
    """Whether a connection that can't be looked at works again, by what was reported: a success later than the last
    failure, or a named person's word (contract: Recovery)."""
    return any(at is not None and (failed_at is None or at > failed_at) for at in (succeeded_at, vouched_at))
