"""One integration while a batch of events is judged, in memory, under its row's lock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from activities.events import Event, EventType
from activities.probes.monitor import has_active_check
from workflows.contracts import Bell, Kind, Status
from workflows.domain.diagnosis import Diagnosis
from workflows.domain.policy import Policy, Severity
from workflows.domain.severity import judge_severity
from workflows.domain.status import Effect, Failed, Health, HealthStatus, Observation, judge


@dataclass
class OpenIncident:
    """The integration's incident that is not closed; `changes` are what this batch adds to it."""

    id: UUID
    number: int
    kind: Kind
    status: Status
    is_new: bool = False
    opened_at: datetime | None = None
    diagnosis: Diagnosis | None = None  # set when this batch opened or worsened it
    severity: Severity | None = None
    error_code: str | None = None
    seen: int = 0
    failures: int = 0
    hint: str | None = None
    customer_reported_at: datetime | None = None
    worsened: bool = False
    relapsed: bool = False


@dataclass
class IntegrationUnderJudgement:
    """Applies events one by one; the store writes the outcome."""

    id: UUID
    customer_id: UUID
    integration_type: str
    is_critical: bool
    arr: float
    health: Health
    next_number: int
    incident: OpenIncident | None
    last_successful_sync: datetime | None = None
    failure_reason: str | None = None
    error_code: str | None = None
    counted: int = 0  # failures in a row as stored; more than the newest ones that were loaded, perhaps
    touched: bool = False
    bells: set[Bell] = field(default_factory=set)

    @classmethod
    def from_rows(cls, row: Any, incident: Any | None, failures: list[Failed], arr: float) -> IntegrationUnderJudgement:
        return cls(
            id=row["id"],
            customer_id=row["customer_id"],
            integration_type=row["integration_type"],
            is_critical=row["is_critical"],
            arr=arr,
            next_number=row["next_number"],
            counted=max(row["failure_count"] or 0, len(failures)),
            incident=incident
            and OpenIncident(incident["id"], incident["number"], Kind(incident["kind"]), Status(incident["status"])),
            health=Health(
                status=HealthStatus(row["status"]),
                failures=tuple(sorted(failures)),
                failing_since=row["failing_since"],
                last_success_at=row["last_success_at"],
                last_closed_at=row["last_closed_at"],
                muted=row["muted"],
                removed=row["removed_at"] is not None,
                monitored=has_active_check(row["monitor"]),
                incident_open=incident is not None,
            ),
        )

    def apply(self, event: Event, observation: Observation, diagnosis: Diagnosis, policy: Policy) -> UUID | None:
        """Judges one event; returns the incident that it belongs to, None if to none."""
        verdict = judge(self.health, observation, confirm_failures=policy.detection.confirm_failures)
        self.health = verdict.health
        if self.health.removed:
            return None
        self.touched = True
        if observation.effect is Effect.SUCCESS:
            self.last_successful_sync = max(filter(None, (self.last_successful_sync, observation.occurred_at)))
        self.counted = self.counted + verdict.failed if self.health.failures else 0
        if verdict.failed:
            self._note_failure(event, observation, diagnosis, policy, disconnects=verdict.disconnects)
        if self.incident is None:
            return None
        if event.event_type is EventType.CUSTOMER_REPORTED:
            self.incident.customer_reported_at = observation.occurred_at
        if verdict.failed:
            self.incident.seen += 1
        if verdict.recovery_hinted and self.incident.status is Status.OPEN:
            self.incident.seen += 1
            self.incident.hint = "event"
            self.bells.add(Bell.RECONNECTED)
        return self.incident.id

    def _note_failure(
        self,
        event: Event,
        observation: Observation,
        diagnosis: Diagnosis,
        policy: Policy,
        *,
        disconnects: bool,
    ) -> None:
        if observation.occurred_at == self.health.last_failure_at:
            self.failure_reason = diagnosis.reason
            self.error_code = event.error.code if event.error else None
        if self.incident is None and disconnects:
            self._open()
        if self.incident is None:
            return
        self.incident.failures += 1
        self.incident.opened_at = self.health.failing_since
        if self.incident.status is Status.RECOVERING:
            self.incident.status, self.incident.relapsed = Status.OPEN, True
        if disconnects and (self.incident.kind is Kind.DEGRADED or self.incident.diagnosis is None):
            self._take_diagnosis(event, diagnosis, policy)
        if self.incident.is_new or self.incident.worsened or self.incident.relapsed:
            self.bells.add(Bell.FAILURE_RECURRED)  # a mere repeat is counted, and changes nothing that is done

    def _open(self) -> None:
        before = len(self.health.failures) - 1  # the failures in a row that led to this one
        self.incident = OpenIncident(
            uuid4(), self.next_number, Kind.DISCONNECTED, Status.OPEN, is_new=True, failures=before
        )
        self.next_number += 1
        self.health = replace(self.health, incident_open=True)

    def _take_diagnosis(self, event: Event, diagnosis: Diagnosis, policy: Policy) -> None:
        assert self.incident is not None
        if not self.incident.is_new and self.incident.kind is Kind.DISCONNECTED:
            return
        self.incident.worsened = not self.incident.is_new
        self.incident.kind = Kind.DISCONNECTED
        self.incident.diagnosis = diagnosis
        self.incident.error_code = event.error.code if event.error else None
        self.incident.severity = judge_severity(policy.severity, is_critical=self.is_critical, arr=self.arr)
