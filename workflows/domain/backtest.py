"""What another policy would have made of the past: `relink policy test`. Pure.

People and providers are not predicted. A repair is taken to have come when it really came, whoever was told; a person's
decision as long after the first notice as it really came, and not at all where nobody would have been told. What a
customer is worth, who can be reached and what is critical is as of now. Messages are taken to arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from statistics import median

from workflows.contracts import Kind, Resolution
from workflows.domain.backtest_facts import Customer, Incident
from workflows.domain.backtest_play import Play
from workflows.domain.durations import format_duration, how_long
from workflows.domain.policy import Policy, Severity
from workflows.domain.status import Effect

# PRD-101 1.3: a disconnection is to be known within an hour. What is down for longer, and told to nobody or that much
# later than now, is missed.
MISSED_FROM = timedelta(hours=1)
_NOTHING = {Resolution.NOT_CONFIRMED, Resolution.FALSE_ALARM}


@dataclass(frozen=True)
class Totals:
    """What became of all incidents of the window. `detection`: from the first failure to the incident; `notice`: to the
    first message."""

    incidents: int
    severities: dict[Severity, int]
    alerts: int
    first_mails: int
    reminders: int
    all_clears: int
    by_hand: int
    escalations: int
    pages: int
    detection: timedelta | None
    slowest_detection: timedelta | None
    notice: timedelta | None
    slowest_notice: timedelta | None

    @property
    def mails(self) -> int:
        """To customers."""
        return self.first_mails + self.reminders + self.all_clears + self.by_hand


@dataclass(frozen=True)
class Difference:
    """One incident of which something else would have become, and by which rule."""

    customer: str
    integration: str
    severity: Severity
    opened_at: datetime
    lasted: timedelta
    reason: str


@dataclass(frozen=True)
class Comparison:
    """`happened`: as the rows say; `current`: the same past played through the policy in force, which tells how far the
    prediction can be trusted; `changed`: through the other policy. Differences are between the latter two."""

    happened: Totals
    current: Totals
    changed: Totals
    missed: tuple[Difference, ...]
    fewer: tuple[Difference, ...]
    added: tuple[Difference, ...]

    @property
    def is_faithful(self) -> bool:
        """Whether the policy in force accounts for everything that happened."""
        told = ("incidents", "severities", "alerts", "mails", "escalations", "pages")
        return all(getattr(self.happened, name) == getattr(self.current, name) for name in told)

    @property
    def summary(self) -> str:
        """ "41 → 17 mails, 3 incidents fewer, 0 missed, slowest detection +6 min" """
        less = self.current.incidents - self.changed.incidents
        said = [
            f"{self.current.mails} → {self.changed.mails} mails",
            f"{_counted(abs(less), 'incident')} {'more' if less < 0 else 'fewer'}" if less else "as many incidents",
            f"{len(self.missed)} missed",
            f"slowest detection {_shift(self.current.slowest_detection, self.changed.slowest_detection)}",
        ]
        notice = _shift(self.current.slowest_notice, self.changed.slowest_notice)
        return ", ".join([*said, *([f"slowest first notice {notice}"] if notice != "unchanged" else [])])


@dataclass
class BackTest:
    """Plays one customer's past after the other through both policies; counts what was detected from `since` on."""

    current: Policy
    changed: Policy
    since: datetime
    until: datetime
    _happened: list[Incident] = field(default_factory=list)
    _before: list[Incident] = field(default_factory=list)
    _after: list[Incident] = field(default_factory=list)
    _missed: list[Difference] = field(default_factory=list)
    _fewer: list[Difference] = field(default_factory=list)
    _added: list[Difference] = field(default_factory=list)

    def add(self, customer: Customer) -> None:
        old, new = self._play(customer, self.current), self._play(customer, self.changed)
        self._happened += self._in_window(customer.incidents)
        self._before += old
        self._after += new
        for one in old:
            if (reason := self._told_worse(customer, one, new)) is not None:
                difference = self._difference(customer, one, reason)
                (self._missed if self._matters(one) else self._fewer).append(difference)
        self._added += [
            self._difference(customer, one, self._why(one, old))
            for one in new
            if one.alerted_at and not self._told(one, old)
        ]

    def result(self) -> Comparison:
        """Of all that were added."""
        oldest_first = (
            tuple(sorted(found, key=attrgetter("opened_at"))) for found in (self._missed, self._fewer, self._added)
        )
        return Comparison(totals(self._happened), totals(self._before), totals(self._after), *oldest_first)

    def _play(self, customer: Customer, policy: Policy) -> list[Incident]:
        return self._in_window(Play(customer, policy, self.until).run())

    def _in_window(self, incidents: Iterable[Incident]) -> list[Incident]:
        return [incident for incident in incidents if incident.detected_at >= self.since]

    def _told_worse(self, customer: Customer, one: Incident, new: Sequence[Incident]) -> str | None:
        """Why nobody would have been told of it, or only much later; None: it would have been told as well."""
        if one.alerted_at is None:
            return None
        told = self._told(one, new)
        if not told:
            return self._why_not(customer, one, new)
        later = min(told) - one.alerted_at
        return f"first notice {how_long(later)} later" if later >= MISSED_FROM else None

    def _told(self, one: Incident, others: Sequence[Incident]) -> list[datetime]:
        """When others that tell of the same trouble were told."""
        return [other.alerted_at for other in self._same(one, others) if other.alerted_at]

    def _same(self, one: Incident, others: Sequence[Incident]) -> list[Incident]:
        """Those that tell of the same trouble."""
        return [
            other
            for other in others
            if other.integration == one.integration
            and other.opened_at <= self._end(one)
            and self._end(other) >= one.opened_at
        ]

    def _end(self, incident: Incident) -> datetime:
        return incident.recovered_at or incident.closed_at or self.until

    def _lasted(self, incident: Incident) -> timedelta:
        return self._end(incident) - incident.opened_at

    def _matters(self, incident: Incident) -> bool:
        return incident.resolution not in _NOTHING and self._lasted(incident) >= MISSED_FROM

    def _difference(self, customer: Customer, one: Incident, reason: str) -> Difference:
        name = next(integration.name for integration in customer.integrations if integration.id == one.integration)
        return Difference(customer.name, name, one.severity, one.opened_at, self._lasted(one), reason)

    def _why_not(self, customer: Customer, one: Incident, new: Sequence[Incident]) -> str:
        """Why nobody would have been told of it."""
        rules = self.changed
        if self._same(one, new):
            return f"recovers within notify.hold ({format_duration(rules.notify.hold)}), so nobody is told"
        if one.kind is Kind.DEGRADED:
            after = format_duration(rules.detection.degraded_alert_after)
            return f"degraded for {how_long(self._lasted(one))}; detection.degraded_alert_after is {after}"
        failures = [
            event
            for event in customer.events
            if event.integration == one.integration
            and event.observation.effect is Effect.FAILURE
            and one.opened_at <= event.observation.occurred_at <= self._end(one)
        ]
        said = _counted(len(failures), "failure")
        return f"{said} in a row; detection.confirm_failures is {rules.detection.confirm_failures}"

    def _why(self, one: Incident, old: Sequence[Incident]) -> str:
        """Why somebody would have been told of it."""
        rules = self.changed
        if self._same(one, old):
            return f"lasts longer than notify.hold ({format_duration(rules.notify.hold)})"
        if one.kind is Kind.DEGRADED:
            return f"degraded for longer than {format_duration(rules.detection.degraded_alert_after)}"
        return f"{_counted(rules.detection.confirm_failures, 'failure')} in a row are enough"


def totals(incidents: Sequence[Incident]) -> Totals:
    """Adds up. Delays are those of disconnections: what only limps becomes an incident late on purpose."""
    counts = Counter(incident.severity for incident in incidents)
    sudden = [i for i in incidents if i.kind is Kind.DISCONNECTED and i.worsened_at is None]
    detection = [i.detected_at - i.opened_at for i in sudden]
    notice = [i.alerted_at - i.opened_at for i in sudden if i.alerted_at]
    return Totals(
        incidents=len(incidents),
        severities={severity: counts[severity] for severity in Severity},
        alerts=sum(i.alerts for i in incidents),
        first_mails=sum(i.first_mails for i in incidents),
        reminders=sum(i.reminders for i in incidents),
        all_clears=sum(i.all_clears for i in incidents),
        by_hand=sum(i.by_hand for i in incidents),
        escalations=sum(i.escalations for i in incidents),
        pages=sum(i.pages for i in incidents),
        detection=_median(detection),
        slowest_detection=max(detection, default=None),
        notice=_median(notice),
        slowest_notice=max(notice, default=None),
    )


def _median(spans: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=median(span.total_seconds() for span in spans)) if spans else None


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shift(before: timedelta | None, after: timedelta | None) -> str:
    if before is None or after is None or abs(after - before) < timedelta(seconds=1):
        return "unchanged"
    return f"{'+' if after > before else '-'}{how_long(abs(after - before))}"
