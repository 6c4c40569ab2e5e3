"""The four measures of success of PRD-101 1.3, each with what it was computed from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from workflows.domain.intervals import Span, total
from workflows.domain.reliability import History, Incident, times

DETECT_WITHIN = timedelta(hours=1)
MONTH = timedelta(days=30)  # what `success.tickets_per_month_before` counts in


class Name(StrEnum):
    """Which measure."""

    DETECTED = "detected_within_1h"
    UNNOTICED = "resolved_before_customer_noticed"
    TICKETS = "fewer_tickets"
    UPTIME = "uptime"


TARGETS = {Name.DETECTED: 1.0, Name.UNNOTICED: 0.8, Name.TICKETS: 0.5, Name.UPTIME: 0.99}


@dataclass(frozen=True)
class Item:
    """One thing that was counted: an incident, a ticket's event, or an integration.

    `amount`: how long until it was detected, or until it was repaired or noticed, in minutes; the integration's uptime.
    """

    id: UUID
    good: bool
    amount: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """`value` and `met` are None where there is nothing to judge by: no incident, no baseline.

    `items` is everything behind the denominator (for tickets, behind the numerator), what counts against us first.
    """

    name: Name
    unit: str  # of numerator and denominator: incidents, tickets, minutes
    numerator: float
    denominator: float | None
    value: float | None
    items: tuple[Item, ...]

    @property
    def target(self) -> float:
        return TARGETS[self.name]

    @property
    def met(self) -> bool | None:
        return None if self.value is None else self.value >= self.target


def detected(histories: Sequence[History], window: Span) -> Measure:
    """Of the disconnections that began in the window, the share that we knew of within an hour of the first failure."""
    items = [
        Item(i.id, i.known_at - i.began_at <= DETECT_WITHIN, _minutes(i.known_at - i.began_at))
        for history in histories
        for i in history.begun_in(window)
    ]
    return _share(Name.DETECTED, items)


def unnoticed(histories: Sequence[History], window: Span) -> Measure:
    """Of the disconnections that were decided in the window, the share that worked again before the customer noticed.

    One is decided when its repair has held, at the time since which it has worked; or earlier, when the customer
    reported it. What ended without a repair (removed, no longer used) and was not noticed says nothing.
    """
    found = [(i, _decided_at(i)) for history in histories for i in history.disconnections]
    decided = [(i, at) for i, at in found if at is not None and window.has(at)]
    return _share(Name.UNNOTICED, [Item(i.id, _was_unnoticed(i), _minutes(at - i.began_at)) for i, at in decided])


def _decided_at(incident: Incident) -> datetime | None:
    ends = [at for at in (incident.repaired_at, incident.customer_reported_at) if at is not None]
    return max(min(ends), incident.began_at) if ends else None


def _was_unnoticed(incident: Incident) -> bool:
    reported, repaired = incident.customer_reported_at, incident.repaired_at
    return reported is None or (repaired is not None and repaired <= reported)


def tickets(reported: Sequence[UUID], window: Span, per_month_before: float | None) -> Measure:
    """How many fewer the customers opened themselves: 1 - tickets / expected, where the company's own count from before
    Relink says how many were to be expected in so long; unknown without that count. Negative if there are more.
    """
    expected = None if per_month_before is None else per_month_before * (window.length / MONTH)
    return Measure(
        name=Name.TICKETS,
        unit="tickets",
        numerator=len(reported),
        denominator=expected,
        value=1 - len(reported) / expected if expected else None,
        items=tuple(Item(event, good=False) for event in reported),
    )


def uptime(histories: Sequence[History], window: Span) -> Measure:
    """The share of all observed time, of all integrations, in which they were not down."""
    found = [(history.integration, times([history], window)) for history in histories]
    seen = sum((total(t.observed) for _, t in found), timedelta(0))
    down = sum((total(t.down) for _, t in found), timedelta(0))
    items = [
        Item(integration, up >= TARGETS[Name.UPTIME], up) for integration, t in found if (up := t.uptime) is not None
    ]
    return Measure(
        name=Name.UPTIME,
        unit="minutes",
        numerator=_minutes(seen - down),
        denominator=_minutes(seen),
        value=(seen - down) / seen if seen else None,
        items=tuple(sorted(items, key=lambda item: (item.amount, item.id))),
    )


def _share(name: Name, items: Sequence[Item]) -> Measure:
    good = sum(item.good for item in items)
    return Measure(
        name=name,
        unit="incidents",
        numerator=good,
        denominator=len(items),
        value=good / len(items) if items else None,
        items=tuple(sorted(items, key=lambda item: (item.good, -(item.amount or 0), item.id))),
    )


def _minutes(duration: timedelta) -> float:
    return duration / timedelta(minutes=1)
