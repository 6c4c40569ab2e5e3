"""What crosses the wire between the API, the workflows and the activities: ids, times and states; never a name,
an address or a secret, because a workflow's history keeps all of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from workflows.domain.policy import EscalationStep, Severity

TASK_QUEUE = "relink"
PROBE_TASK_QUEUE = "relink-probes"


def disconnection_workflow_id(integration_health_id: UUID, number: int) -> str:
    """One workflow per incident; the same incident always has the same id."""
    return f"disconnection/{integration_health_id}/{number}"


class Bell(StrEnum):
    """The signals. Each only says "look again": the fact was committed before it rang."""

    FAILURE_RECURRED = "failure_recurred"
    RECONNECTED = "reconnected"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    CLOSED = "closed"
    REMOVED = "removed"
    MESSAGE_REQUESTED = "message_requested"


class Kind(StrEnum):
    """What an incident is about: a dead connection, or one that has limped for too long (FR-1.6)."""

    DISCONNECTED = "disconnected"
    DEGRADED = "degraded"


class Status(StrEnum):
    OPEN = "open"
    RECOVERING = "recovering"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Resolution(StrEnum):
    """How an incident ended."""

    VERIFIED = "verified"
    REPORTED = "reported"
    NOT_CONFIRMED = "not_confirmed"
    NO_LONGER_USED = "no_longer_used"
    FALSE_ALARM = "false_alarm"
    REMOVED = "removed"


class Check(StrEnum):
    """What looking at the connection showed."""

    WORKING = "working"
    REPORTED_WORKING = "reported_working"
    DEGRADED = "degraded"  # part of it fails, or it is too slow (FR-1.6)
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"


class Message(BaseModel):
    """Base of everything on the wire."""

    model_config = ConfigDict(frozen=True)


class IncidentRef(Message):
    incident_id: UUID


class IncidentAt(IncidentRef):
    """An incident and the workflow's time, by which all deadlines are judged (aware UTC)."""

    now: datetime


class EscalateInput(IncidentAt):
    """Tell the highest reachable of the steps that are due: those before `due_steps`."""

    due_steps: int


class InformedInput(IncidentRef):
    """People have been told of this kind of trouble; it may have become worse meanwhile."""

    kind: Kind


class RemindInput(IncidentAt):
    """Remind of the newest reminder that is due, counted from 1; those missed before it are not made up for."""

    due_reminders: int


class Situation(IncidentRef):
    """Everything that decides what happens next, read from the rows in one statement; times are aware UTC."""

    number: int
    customer_id: UUID
    integration_type: str
    kind: Kind
    status: Status
    severity: Severity
    resolution: Resolution | None
    detected_at: datetime
    alerted_at: datetime | None
    worsened_at: datetime | None
    acknowledged_at: datetime | None
    ack_expired_at: datetime | None
    snoozed_until: datetime | None
    unsnoozed_at: datetime | None
    informed: bool
    recovery_hinted: bool
    recheck_at: datetime | None
    last_seq: int
    quiet_until: datetime | None
    escalation_step: int
    reminders_sent: int
    customer_mailed: bool
    next_retry_at: datetime | None
    outage_over_at: datetime | None = None  # that of the provider's outage it belongs to, or the latest that it may be

    can_be_checked: bool = False  # its monitor can be asked at any time
    search_attributes: tuple[str, ...] = ()  # those that the Temporal server knows; a missing one is left off
    hold: timedelta
    ladder: tuple[EscalationStep, ...]
    ack_timeout: timedelta
    reminders: tuple[timedelta, ...]

    @property
    def is_over(self) -> bool:
        return self.status in {Status.CLOSED, Status.CANCELLED}


class Assessment(Message):
    """FR-2.2 and 2.4, as far as a workflow needs to know."""

    severity: Severity


class CheckResult(Message):
    check: Check


class Told(StrEnum):
    """What became of an intent to tell somebody."""

    SENT = "sent"
    PENDING = "pending"
    SUPPRESSED = "suppressed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class NoticeResult(Message):
    told: Told


class ResolveInput(IncidentRef):
    """Close what recovered, unless something arrived that this workflow has not seen."""

    seen_seq: int


class ResponseResult(Message):
    resolution: Resolution | None


class ReconcileResult(Message):
    """What a round of reconciling had to mend."""

    bells_rung: int
    workflows_started: int
    degraded_opened: int
    digests_waiting: bool = False  # of a provider's outage


class SweepResult(Message):
    """What a sweep did; `notices_waiting`: something that belongs to no incident is to be sent."""

    looks: int
    failures: int
    incidents: int
    notices_waiting: bool


class DigestsAt(Message):
    """The workflow's time, by which it is judged whose Monday morning has come (aware UTC)."""

    now: datetime


class DigestsSent(Message):
    """`again_at`: when more of them can be sent; None: all are out."""

    again_at: datetime | None
