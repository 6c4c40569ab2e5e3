"""The policy: every number and person that a company may want to choose for itself (contract: policy.toml)."""

from __future__ import annotations

import re
from datetime import time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from workflows.domain.durations import Duration


class Severity(StrEnum):
    """How urgent an incident is; decided once, when its impact is assessed (FR-2.4)."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Role(StrEnum):
    """Who can be told; an escalation step names the first two, the rest are told for other reasons."""

    CSM_MANAGER = "csm_manager"
    CS_LEADERSHIP = "cs_leadership"
    ENGINEERING = "engineering"
    CSM = "csm"
    TECHNICAL_CONTACT = "technical_contact"


def _divides_a_day(bucket: timedelta) -> timedelta:
    if bucket < timedelta(minutes=1) or timedelta(days=1) % bucket:
        raise ValueError('must be at least a minute and divide a day, such as "15m" or "1h"')
    return bucket


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SeverityRules(_Table):
    arr_high: Annotated[float, Field(ge=0)]
    arr_medium: Annotated[float, Field(ge=0)]


class Detection(_Table):
    confirm_failures: Annotated[int, Field(ge=1, le=100)]
    degraded_alert_after: Duration
    confirm_recoveries: Annotated[int, Field(ge=1, le=100)] = 1


class Notify(_Table):
    hold: Duration


class Addressee(_Table):
    """Where a fixed role is reached: a Slack user or channel id, an email address, or both."""

    slack: str = ""
    email: str = ""


class People(_Table):
    cs_leadership: Addressee
    engineering: Addressee
    fallback_csm: Addressee
    booking_url: str


class TaskRules(_Table):
    due_after: Duration


class HealthScore(_Table):
    critical_adjustment: Annotated[int, Field(le=0, ge=-100)]
    restore_on_resolution: bool


class Recovery(_Table):
    quiet_window: Duration


def _one_of_us(role: Role) -> Role:
    if role is Role.TECHNICAL_CONTACT:
        raise ValueError("an escalation goes to one of us, never to the customer")
    return role


class EscalationStep(_Table):
    after: Duration
    to: Annotated[Role, AfterValidator(_one_of_us)]


def _rising(steps: tuple[EscalationStep, ...]) -> tuple[EscalationStep, ...]:
    if any(later.after <= earlier.after for earlier, later in pairwise(steps)):
        raise ValueError('the steps must be in rising order of "after"')
    return steps


class Ladder(_Table):
    """Who is told when, counted from the first notice."""

    steps: Annotated[tuple[EscalationStep, ...], AfterValidator(_rising)]
    ack_timeout: Duration


class Escalation(_Table):
    critical: Ladder
    high: Ladder
    medium: Ladder
    low: Ladder


def _increasing(durations: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if any(later <= earlier for earlier, later in pairwise(durations)):
        raise ValueError("must be in rising order")
    return durations


class CustomerRules(_Table):
    auto_send: bool
    reminders: Annotated[tuple[Duration, ...], AfterValidator(_increasing)]
    min_between_mails: Duration = timedelta(minutes=15)
    group_within: Duration = timedelta(seconds=15)


class Monitoring(_Table):
    interval: Annotated[Duration, Field(ge=timedelta(seconds=1))]
    recheck_after: Duration = timedelta(seconds=30)
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 64
    per_host: Annotated[int, Field(ge=1, le=100)] = 4
    canaries: tuple[Annotated[str, Field(pattern=r"^https?://\S+$")], ...] = ()


class Metrics(_Table):
    """A bucket divides a day, so that buckets begin at the same times every day."""

    bucket: Annotated[Duration, AfterValidator(_divides_a_day)] = timedelta(minutes=15)
    retention: Duration = timedelta(days=90)
    window: Duration = timedelta(hours=1)
    min_success: Annotated[float, Field(ge=0, le=1)] = 0.8
    max_p95: Duration = timedelta(seconds=8)


class Expiry(_Table):
    warn_before: tuple[Annotated[Duration, Field(gt=timedelta(0))], ...] = (
        timedelta(days=30), timedelta(days=14), timedelta(days=7), timedelta(days=1),
    )  # fmt: skip


def _on_a_clock(value: object) -> object:
    if isinstance(value, time) or (isinstance(value, str) and re.fullmatch(r"\d\d:\d\d(:00)?", value)):
        return value
    raise ValueError('give a time of day such as "09:00"')


class Digest(_Table):
    """`at` is on the reader's wall."""

    enabled: bool = True
    at: Annotated[time, BeforeValidator(_on_a_clock)] = time(9)


class Limits(_Table):
    per_key_per_second: Annotated[int, Field(ge=1)]


class Outage(_Table):
    min_integrations: Annotated[int, Field(ge=1)]
    min_share: Annotated[float, Field(ge=0, le=1)]
    window: Duration
    hold_at_most: Annotated[Duration, Field(le=timedelta(days=1))] = timedelta(hours=1)


class Chronic(_Table):
    incidents: Annotated[int, Field(ge=1)]
    window: Duration
    uptime: Annotated[float, Field(ge=0, le=1)]


class Success(_Table):
    """What the success metrics are measured against (PRD-101 1.3); None: unknown."""

    tickets_per_month_before: Annotated[float, Field(gt=0)] | None = None


class Policy(_Table):
    """One whole, valid policy. Immutable: an incident keeps the one that it started with, which is why keys that came
    later have defaults here too."""

    severity: SeverityRules
    detection: Detection
    notify: Notify
    people: People
    task: TaskRules
    health_score: HealthScore
    recovery: Recovery
    escalation: Escalation
    customer: CustomerRules
    monitoring: Monitoring
    limits: Limits
    outage: Outage
    chronic: Chronic
    metrics: Metrics = Metrics()
    expiry: Expiry = Expiry()
    success: Success = Success()
    digest: Digest = Digest()

    @classmethod
    def stored(cls, snapshot: dict[str, Any]) -> Policy:
        """The policy that an incident started with. Keys of a later version are passed over, so that a rollback does
        not freeze what is open; a key that is new needs a default here, for snapshots that lack it."""
        return cls.model_validate(snapshot, extra="ignore")

    def ladder(self, severity: Severity) -> Ladder:
        """The escalation ladder of this severity."""
        return {
            Severity.CRITICAL: self.escalation.critical,
            Severity.HIGH: self.escalation.high,
            Severity.MEDIUM: self.escalation.medium,
            Severity.LOW: self.escalation.low,
        }[severity]
