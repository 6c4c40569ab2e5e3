"""What the API answers (contract: Incident, Integration, and the lists)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from workflows.contracts import Resolution, Status
from workflows.domain.policy import Severity
from workflows.domain.status import HealthStatus

T = TypeVar("T")
Time: TypeAlias = Annotated[datetime, AfterValidator(lambda at: at.astimezone(UTC))]
Money: TypeAlias = Annotated[Decimal, PlainSerializer(float, return_type=float)]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Page(Answer, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null at the end.")


class EventResult(Answer):
    event_id: str
    outcome: str = Field(examples=["accepted", "duplicate"])
    integration: UUID
    incident: UUID | None


class EventsAnswer(Answer):
    """In the order of the array."""

    accepted: int
    duplicates: int
    results: list[EventResult]


class CallbackAnswer(Answer):
    integration: UUID
    incident: UUID | None


class BounceAnswer(Answer):
    """`incident` is null if nothing follows from it: it was reported before."""

    delivery_key: str
    status: str = Field(examples=["failed"])
    incident: UUID | None


class PersonAnswer(Answer):
    id: UUID
    name: str | None
    email: str | None
    timezone: str | None


class ManagerAnswer(PersonAnswer):
    slack_user_id: str | None


class CsmAnswer(ManagerAnswer):
    manager: ManagerAnswer | None


class ContactAnswer(PersonAnswer):
    role: str | None
    locale: str | None


class CustomerAnswer(Answer):
    """A customer as stored; `health_score` is the base plus the adjustments, shown within 0 to 100."""

    id: UUID
    external_id: str
    name: str
    arr: Money | None
    health_score: int
    csm: CsmAnswer | None
    technical_contacts: list[ContactAnswer]
    created_at: Time
    updated_at: Time


class CustomerName(Answer):
    id: UUID
    external_id: str
    name: str


class IntegrationName(Answer):
    id: UUID
    integration_type: str
    integration_id: str | None
    display_name: str | None


class IntegrationAnswer(Answer):
    """PRD-101 §4.1's columns and what was set by PUT; secrets of the monitor as `{"set": true}`."""

    id: UUID
    customer_id: UUID
    customer: CustomerName
    integration_type: str
    integration_id: str | None
    display_name: str | None
    status: HealthStatus
    last_successful_sync: Time | None
    last_failure_at: Time | None
    failure_count: int
    failure_reason: str | None
    error_code: str | None
    is_critical: bool
    self_serve: bool
    reconnect_url: str | None
    monitor: dict[str, Any] | None
    open_incident: UUID | None
    alerted_at: Time | None
    resolved_at: Time | None
    created_at: Time
    updated_at: Time
    removed_at: Time | None


class FleetIncident(Answer):
    id: UUID
    number: int
    kind: str = Field(examples=["disconnected", "degraded"])
    status: Status
    severity: Severity
    who_fixes: str
    reason: str
    opened_at: Time
    acknowledged_at: Time | None
    snoozed_until: Time | None


class FleetRow(Answer):
    """An integration, and its open incident if it has one."""

    id: UUID
    customer: CustomerName
    arr: Money | None
    csm: str | None
    integration_type: str
    integration_id: str | None
    display_name: str | None
    status: HealthStatus
    is_critical: bool
    last_successful_sync: Time | None
    last_failure_at: Time | None
    incident: FleetIncident | None


class Count(Answer):
    """`value` is what to filter by, `name` what people call it if that differs."""

    value: str
    name: str | None
    count: int


class FleetPage(Page[FleetRow]):
    """Counted over all of it, whatever the filters. With an open incident it is down, and not healthy or degraded."""

    down: int
    by_severity: list[Count]
    by_provider: list[Count]
    by_csm: list[Count]
    healthy: int
    degraded: int
    total: int


class IncidentAnswer(Answer):
    """An incident. Acknowledged and snoozed are timestamps, not statuses."""

    id: UUID
    number: int
    status: Status
    severity: Severity
    resolution: Resolution | None
    category: str
    who_fixes: str
    customer: CustomerName
    integration: IntegrationName
    occurrences: int
    opened_at: Time = Field(description="The earliest failure of this run.")
    detected_at: Time = Field(description="When we knew.")
    alerted_at: Time | None = Field(description="When the first notice went out; the escalation clock starts here.")
    acknowledged_at: Time | None
    acknowledged_by: str | None
    snoozed_until: Time | None
    closed_at: Time | None


class TimelineEntry(Answer):
    at: Time
    kind: str
    actor: str
    details: dict[str, Any]


class DeliveryAnswer(Answer):
    """`told_with`: the delivery whose mail tells of this incident too; this row is then `suppressed`."""

    delivery_key: str
    channel: str
    template: str
    recipient: str
    status: str
    external_id: str | None
    attempts: int
    error: str | None
    created_at: Time
    sent_at: Time | None
    opened_at: Time | None
    told_with: str | None


class FunnelStep(Answer):
    """`failed`: it bounced; `skipped`: it is over without it. The last step is `verified`, or `reported` where only
    others say that it works."""

    step: str = Field(examples=["sent", "delivered", "opened", "reconnected", "verified", "reported"])
    state: str = Field(examples=["done", "waiting", "failed", "skipped"])
    at: Time | None


class NextAction(Answer):
    kind: str = Field(examples=["escalation_due"])
    at: Time


class IncidentInFull(IncidentAnswer):
    """An incident with its history, what was told to whom, and what happens next (null when it is over)."""

    timeline: list[TimelineEntry]
    deliveries: list[DeliveryAnswer]
    funnel: list[FunnelStep] = Field(
        description="FR-3.4: the customer's way to a working connection, in order; empty if nobody there was mailed."
    )
    next_action: NextAction | None


class Health(Answer):
    status: str = Field(examples=["ok"])


class Readiness(Answer):
    status: str = Field(examples=["ready"])
    checks: dict[str, str] = Field(examples=[{"database": "ok", "migrations": "ok", "temporal": "ok"}])
