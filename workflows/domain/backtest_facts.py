"""What is known of the past, and what became of an incident: really, or under another policy. Times are aware UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from workflows.contracts import Kind, Resolution
from workflows.domain.policy import Severity
from workflows.domain.status import Observation


@dataclass(frozen=True)
class Event:
    """An event as it was judged, at `at`. `who_fixes`: by the diagnosis of its error; None: it was no failure."""

    at: datetime
    integration: UUID
    observation: Observation
    who_fixes: str | None = None


class Says(StrEnum):
    """What people and products said about an incident."""

    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    FIXED = "fixed"  # a named person's word
    HINTED = "hinted"  # the product's callback, or new secrets
    CLOSED = "closed"
    MAILED = "mailed"  # sent by hand


@dataclass(frozen=True)
class Reaction:
    """`after_alert`: how long after the first notice it came; None if nobody had been told."""

    at: datetime
    integration: UUID
    says: Says
    incident: UUID | None = None
    after_alert: timedelta | None = None
    lasts: timedelta = timedelta(0)
    resolution: Resolution | None = None


@dataclass
class Incident:
    """What became of one incident. Messages are counted once, whichever way they went."""

    integration: UUID
    kind: Kind
    severity: Severity
    opened_at: datetime
    detected_at: datetime
    worsened_at: datetime | None = None  # from degraded to disconnected
    alerted_at: datetime | None = None
    recovered_at: datetime | None = None
    closed_at: datetime | None = None
    resolution: Resolution | None = None
    alerts: int = 0
    first_mails: int = 0  # one that told of several counts for the one that it was written for
    reminders: int = 0
    all_clears: int = 0
    by_hand: int = 0
    escalations: int = 0
    pages: int = 0
    id: UUID | None = None  # of one that really happened

    @property
    def mails(self) -> int:
        """To the customer."""
        return self.first_mails + self.reminders + self.all_clears + self.by_hand


@dataclass(frozen=True)
class Integration:
    """`seen_working`: what looks and reports showed, in order: when, and whether it worked from then on."""

    id: UUID
    name: str
    is_critical: bool
    monitored: bool = False
    interval: timedelta | None = None
    seen_working: tuple[tuple[datetime, bool], ...] = ()
    incidents: tuple[Incident, ...] = ()

    def works_at(self, at: datetime) -> bool:
        """By the newest of what was seen."""
        return next((works for seen_at, works in reversed(self.seen_working) if seen_at <= at), True)

    def incident_at(self, at: datetime) -> Incident | None:
        """The incident that really was open at that time, from its first failure on."""
        return next(
            (
                i
                for i in self.incidents
                if min(i.opened_at, i.detected_at) <= at and (i.closed_at is None or at <= i.closed_at)
            ),
            None,
        )

    def had_incident_at(self, at: datetime) -> bool:
        return any(i.detected_at <= at and (i.closed_at is None or at < i.closed_at) for i in self.incidents)

    def was_not_confirmed(self, at: datetime) -> bool:
        """Whether our own look showed that what was reported then was nothing."""
        real = self.incident_at(at)
        return real is not None and real.resolution is Resolution.NOT_CONFIRMED


@dataclass(frozen=True)
class Customer:
    """One customer with everything that was observed; who can be reached is as of now."""

    id: UUID
    name: str
    arr: float | None
    csm: bool
    csm_manager: bool
    contact: bool
    integrations: tuple[Integration, ...]
    events: tuple[Event, ...] = ()
    reactions: tuple[Reaction, ...] = ()

    @property
    def incidents(self) -> list[Incident]:
        """Those that really happened."""
        return [incident for integration in self.integrations for incident in integration.incidents]
