"""How reliable connections were over a time (US-4): uptime, how fast we noticed and mended, and whose fault it was.

Pure. What the figures mean, wherever they are shown:

- **Down** is a connection from its first failure until the recovery that held. What worked for a while within the quiet
  window and failed again never counted as working: a repair is believed once it has held. Where no recovery was seen
  (no longer used, removed) it is down until the incident was closed; without either, until now.
- **Degraded is not down.** Part of it works (FR-1.6); it counts from the moment that it became a disconnection.
- **What turned out to be none** (`not_confirmed`, `false_alarm`) was never down and is no incident.
- **Observed** is the time in which a connection was expected to work: from its registration on, without the time from a
  removal, or from a closing as no longer used, until it was back, and without planned maintenance.
- **Uptime** is the observed time in which it was not down, as a share of the observed time; unknown if there is none.
- **Of a customer**, moments are counted once: it is down while one of its connections is, and observed while one is.
- **An incident belongs to the window in which it began**, so that windows side by side count each of them once. Only
  what has happened enters a mean: what nobody acknowledged is in no mean time to acknowledge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from uuid import UUID

from workflows.contracts import Kind, Resolution
from workflows.domain.intervals import Span, Spans, intersect, subtract, total, union
from workflows.domain.playbook import Category, WhoFixes

_NONE = {Resolution.NOT_CONFIRMED, Resolution.FALSE_ALARM}
_REPAIRED = {Resolution.VERIFIED, Resolution.REPORTED}


class Cause(StrEnum):
    """Whose fault a disconnection was, as far as its diagnosis tells."""

    CUSTOMER = "customer"
    PROVIDER = "provider"
    US = "us"
    UNKNOWN = "unknown"


_BY_WHO: dict[str, Cause] = {
    WhoFixes.CUSTOMER_USER: Cause.CUSTOMER,
    WhoFixes.CUSTOMER_ADMIN: Cause.CUSTOMER,
    WhoFixes.OUR_ENGINEERING: Cause.US,
    WhoFixes.PROVIDER: Cause.PROVIDER,
}
_BY_CATEGORY: dict[str, Cause] = {
    Category.UNKNOWN: Cause.UNKNOWN,  # whoever was asked to look: nobody knows
    Category.PROVIDER_OUTAGE: Cause.PROVIDER,
    Category.RATE_LIMITED: Cause.PROVIDER,
}


def cause_of(category: str, who_fixes: str) -> Cause:
    """Whoever has to mend it caused it, unless the category knows better. Where nobody has to, nobody is blamed."""
    return _BY_CATEGORY.get(category) or _BY_WHO.get(who_fixes, Cause.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One incident as stored; all times are aware."""

    id: UUID
    kind: Kind
    category: str
    who_fixes: str
    opened_at: datetime  # the earliest failure of this run
    detected_at: datetime
    worsened_at: datetime | None = None  # when a degraded one became a disconnection
    acknowledged_at: datetime | None = None  # for the first time
    recovered_at: datetime | None = None  # since when it has worked; none after a relapse
    closed_at: datetime | None = None
    resolution: Resolution | None = None
    customer_reported_at: datetime | None = None

    @property
    def counts(self) -> bool:
        """Whether this was, or is, a disconnection."""
        return self.kind is Kind.DISCONNECTED and self.resolution not in _NONE

    @property
    def began_at(self) -> datetime:
        return self.worsened_at or self.opened_at

    @property
    def known_at(self) -> datetime:
        """When we knew that it was down."""
        return max(self.detected_at, self.began_at)

    @property
    def ended_at(self) -> datetime | None:
        """None while it is down."""
        return self.recovered_at or self.closed_at

    @property
    def repaired_at(self) -> datetime | None:
        """When it worked again, once that is settled: it held for the quiet window."""
        return self.ended_at if self.resolution in _REPAIRED else None

    @property
    def cause(self) -> Cause:
        return cause_of(self.category, self.who_fixes)

    def down(self, until: datetime) -> Span:
        """Empty if it began later than that."""
        return Span(self.began_at, min(self.ended_at or until, until))


@dataclass(frozen=True, kw_only=True)
class History:
    """What is known of one integration: when it existed, and its incidents in the time that is asked about."""

    integration: UUID
    created_at: datetime
    ended_at: datetime | None = None  # removed, or no longer used, and not back yet
    incidents: tuple[Incident, ...] = ()
    uncounted: tuple[Span, ...] = ()  # planned maintenance, and while it was gone before

    @cached_property
    def disconnections(self) -> tuple[Incident, ...]:
        """The incidents that count, oldest first."""
        return tuple(sorted((i for i in self.incidents if i.counts), key=lambda i: (i.began_at, i.id)))

    def existed_in(self, window: Span) -> bool:
        return self.created_at < window.end and (self.ended_at is None or self.ended_at > window.begin)

    def observed(self, window: Span) -> Spans:
        life = Span(max(self.created_at, window.begin), min(self.ended_at or window.end, window.end))
        return subtract(union([life]), union(self.uncounted))

    def begun_in(self, window: Span) -> list[Incident]:
        return [i for i in self.disconnections if window.has(i.began_at)]

    def is_there(self, at: datetime) -> bool:
        """Registered before, and neither removed nor out of use by then."""
        return self.created_at < at and (self.ended_at is None or self.ended_at > at)

    def down_at(self, at: datetime) -> Incident | None:
        """The disconnection that lasts at this moment, if one does; none of what is gone."""
        if self.ended_at is not None and self.ended_at <= at:
            return None
        return next(
            (i for i in self.disconnections if i.began_at < at and (i.ended_at is None or i.ended_at > at)), None
        )


@dataclass(frozen=True)
class Times:
    """The moments of a window in which some connections were observed, down, and down by whose fault.

    Two of them may be down at once for different reasons: such a moment counts for both causes, and once as down.
    """

    observed: Spans
    down: Spans
    by_cause: Mapping[Cause, Spans]

    def within(self, window: Span) -> Times:
        """The same for a part of the window, such as a day of it."""
        part = union([window])
        causes = {cause: intersect(spans, part) for cause, spans in self.by_cause.items()}
        return Times(intersect(self.observed, part), intersect(self.down, part), causes)

    @property
    def uptime(self) -> float | None:
        """0 to 1; None if nothing was observed."""
        return share_up(total(self.observed), total(self.down))


def times(histories: Iterable[History], window: Span) -> Times:
    """Of one integration, or of all of a customer's together."""
    observed: list[Span] = []
    by_cause: dict[Cause, list[Span]] = {cause: [] for cause in Cause}
    for history in histories:
        seen = history.observed(window)
        observed += seen
        for incident in history.disconnections:
            by_cause[incident.cause] += intersect(union([incident.down(window.end)]), seen)
    down = union(span for spans in by_cause.values() for span in spans)
    return Times(union(observed), down, {cause: union(spans) for cause, spans in by_cause.items()})


def share_up(observed: timedelta, down: timedelta) -> float | None:
    return (observed - down) / observed if observed else None


@dataclass(frozen=True)
class Mean:
    """A mean that can be added up."""

    total: timedelta = timedelta(0)
    count: int = 0

    @classmethod
    def of(cls, lengths: Iterable[timedelta]) -> Mean:
        listed = list(lengths)
        return cls(sum(listed, timedelta(0)), len(listed))

    def __add__(self, other: Mean) -> Mean:
        return Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> timedelta | None:
        return self.total / self.count if self.count else None


def _no_time() -> Mapping[Cause, timedelta]:
    return MappingProxyType(dict.fromkeys(Cause, timedelta(0)))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One integration, customer or fleet over one window."""

    observed: timedelta = timedelta(0)
    down: timedelta = timedelta(0)
    by_cause: Mapping[Cause, timedelta] = field(default_factory=_no_time)
    incidents: int = 0  # that began in the window
    still_down: int = 0  # connections that are down when the window ends
    detecting: Mean = Mean()  # from the first failure until we knew: MTTD
    acknowledging: Mean = Mean()  # from then until somebody was on it: MTTA
    repairing: Mean = Mean()  # from the first failure until it worked again, and that held: MTTR

    @property
    def uptime(self) -> float | None:
        """0 to 1; None if nothing was observed."""
        return share_up(self.observed, self.down)

    @property
    def mtbf(self) -> timedelta | None:
        """Mean time between failures: the time that it worked, for each time that it failed; None if it never did."""
        return (self.observed - self.down) / self.incidents if self.incidents else None


def figures(histories: Sequence[History], window: Span) -> Figures:
    """Of one integration, or of all of a customer's together."""
    found = times(histories, window)
    begun = [incident for history in histories for incident in history.begun_in(window)]
    return Figures(
        observed=total(found.observed),
        down=total(found.down),
        by_cause={cause: total(spans) for cause, spans in found.by_cause.items()},
        incidents=len(begun),
        still_down=sum(history.down_at(window.end) is not None for history in histories),
        detecting=Mean.of(i.known_at - i.began_at for i in begun),
        acknowledging=Mean.of(max(i.acknowledged_at - i.known_at, timedelta(0)) for i in begun if i.acknowledged_at),
        repairing=Mean.of(i.repaired_at - i.began_at for i in begun if i.repaired_at),
    )


def added(all_figures: Sequence[Figures]) -> Figures:
    """Of a fleet: every customer, or every integration, counts with its own time."""
    return Figures(
        observed=sum((f.observed for f in all_figures), timedelta(0)),
        down=sum((f.down for f in all_figures), timedelta(0)),
        by_cause={cause: sum((f.by_cause[cause] for f in all_figures), timedelta(0)) for cause in Cause},
        incidents=sum(f.incidents for f in all_figures),
        still_down=sum(f.still_down for f in all_figures),
        detecting=sum((f.detecting for f in all_figures), Mean()),
        acknowledging=sum((f.acknowledging for f in all_figures), Mean()),
        repairing=sum((f.repairing for f in all_figures), Mean()),
    )


class Trend(StrEnum):
    """Against the window of the same length before."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNKNOWN = "unknown"  # nothing was observed in one of the two


def trend(now: Figures, before: Figures) -> Trend:
    """By uptime; where that is equal, by the number of incidents."""
    if now.uptime is None or before.uptime is None:
        return Trend.UNKNOWN
    worse_now, worse_before = (-now.uptime, now.incidents), (-before.uptime, before.incidents)
    if worse_now == worse_before:
        return Trend.SAME
    return Trend.WORSE if worse_now > worse_before else Trend.BETTER


def before(window: Span) -> Span:
    """The window of the same length that ends where this one begins."""
    return Span(window.begin - window.length, window.begin)
