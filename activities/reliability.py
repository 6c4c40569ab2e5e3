"""How reliable integrations, customers and the fleet were (US-4), and whether the four measures of PRD-101 1.3 are met.

Reads rows and applies workflows/domain/reliability.py, which says what each figure means. All windows end now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby, pairwise
from uuid import UUID

from activities.db.reliability import ReliabilityStore, Subject
from workflows.domain import success
from workflows.domain.chronic import Fragile, fragile
from workflows.domain.intervals import Span
from workflows.domain.policy import Policy
from workflows.domain.reliability import Figures, History, Times, Trend, added, before, figures, times, trend
from workflows.domain.success import Measure, Name

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class IntegrationReport:
    """One integration over one window. `fragile` is judged over the policy's own window, whatever `window` is."""

    subject: Subject
    window: Span
    fragile: Fragile | None

    @cached_property
    def figures(self) -> Figures:
        return figures([self.subject.history], self.window)

    @cached_property
    def before(self) -> Figures:
        """Over the window of the same length before."""
        return figures([self.subject.history], before(self.window))

    @property
    def trend(self) -> Trend:
        return trend(self.figures, self.before)

    def days(self) -> list[tuple[Span, Times]]:
        """The window in days that end when it ends, the oldest first and perhaps shorter: for bars of uptime."""
        return _days([self.subject], self.window)


@dataclass(frozen=True, kw_only=True)
class CustomerReport:
    """One customer over one window: down while one of its integrations is.

    `known` are its integrations that existed in the window, in the one before, or in that of `[chronic]`.
    """

    id: UUID
    external_id: str
    name: str
    window: Span
    known: tuple[IntegrationReport, ...]

    @cached_property
    def integrations(self) -> list[IntegrationReport]:
        """Those that existed in the window, the fragile and then the least reliable first."""
        return sorted((i for i in self.known if i.subject.history.existed_in(self.window)), key=_worst_first)

    @cached_property
    def figures(self) -> Figures:
        return figures([i.subject.history for i in self.known], self.window)

    @cached_property
    def before(self) -> Figures:
        """Over the window of the same length before."""
        return figures([i.subject.history for i in self.known], before(self.window))

    @property
    def trend(self) -> Trend:
        return trend(self.figures, self.before)

    @property
    def fragile(self) -> int:
        """How many of its integrations are."""
        return sum(i.fragile is not None for i in self.known)

    def days(self) -> list[tuple[Span, Times]]:
        """As those of an integration."""
        return _days([i.subject for i in self.known], self.window)


@dataclass(frozen=True, kw_only=True)
class FleetReport:
    """Some or all customers over one window. Figures are added up over integrations: each counts with its own time."""

    window: Span
    customers: tuple[CustomerReport, ...]

    @cached_property
    def integrations(self) -> list[IntegrationReport]:
        """Those that existed in the window, the fragile and then the least reliable first."""
        return sorted((i for customer in self.customers for i in customer.integrations), key=_worst_first)

    @cached_property
    def figures(self) -> Figures:
        return added([i.figures for customer in self.customers for i in customer.known])

    @cached_property
    def before(self) -> Figures:
        """Over the window of the same length before."""
        return added([i.before for customer in self.customers for i in customer.known])

    @property
    def trend(self) -> Trend:
        return trend(self.figures, self.before)


@dataclass(frozen=True, kw_only=True)
class SuccessReport:
    """The four measures of PRD-101 1.3 over one window, in its order."""

    window: Span
    measures: tuple[Measure, ...]

    def only(self, name: Name) -> SuccessReport:
        """With this measure alone."""
        return replace(self, measures=tuple(m for m in self.measures if m.name is name))


class Reliability:
    """Reports that end `now`, which is an argument so that a figure can be computed again; the window is not empty."""

    def __init__(self, store: ReliabilityStore, policy: Callable[[], Policy]) -> None:
        self._store, self._policy = store, policy

    async def customer(
        self, customer: UUID, external_id: str, name: str, window: timedelta, now: datetime
    ) -> CustomerReport:
        """One customer, with all its integrations that existed in the window, also removed ones."""
        reports = await self._reports(window, now, customers=[customer])
        return CustomerReport(
            id=customer, external_id=external_id, name=name, window=_ending(window, now), known=tuple(reports)
        )

    async def integrations(
        self, integrations: Sequence[UUID], window: timedelta, now: datetime
    ) -> dict[UUID, IntegrationReport]:
        """A page of integrations, without those that did not exist in the window."""
        reports = await self._reports(window, now, integrations=integrations)
        return {
            report.subject.history.integration: report
            for report in reports
            if report.subject.history.existed_in(report.window)
        }

    async def customers(self, customers: Sequence[UUID] | None, window: timedelta, now: datetime) -> FleetReport:
        """A page of customers, or (None) all of them, without those that had no integration in the window."""
        return _fleet(await self._reports(window, now, customers=customers), _ending(window, now))

    async def provider(self, integration_type: str, window: timedelta, now: datetime) -> FleetReport:
        """All integrations of one type, whoever's they are."""
        return _fleet(await self._reports(window, now, integration_type=integration_type), _ending(window, now))

    async def success(self, window: timedelta, now: datetime, only: UUID | None = None) -> SuccessReport:
        """Of all customers, or of one; the baseline of tickets is known for all together only."""
        time, customers = _ending(window, now), None if only is None else [only]
        subjects, reported = await asyncio.gather(
            self._store.subjects(time, customers=customers), self._store.reported(time, customers)
        )
        baseline = self._policy().success.tickets_per_month_before if only is None else None
        histories = [subject.history for subject in subjects]
        measures = await asyncio.to_thread(_measures, histories, reported, time, baseline)
        return SuccessReport(window=time, measures=measures)

    async def _reports(
        self,
        window: timedelta,
        now: datetime,
        *,
        customers: Sequence[UUID] | None = None,
        integrations: Sequence[UUID] | None = None,
        integration_type: str | None = None,
    ) -> list[IntegrationReport]:
        chronic, time = self._policy().chronic, _ending(window, now)
        known = Span(min(before(time).begin, now - chronic.window), now)
        subjects = await self._store.subjects(
            known, customers=customers, integrations=integrations, integration_type=integration_type
        )
        return [
            IntegrationReport(subject=subject, window=time, fragile=fragile(subject.history, now, chronic))
            for subject in subjects
        ]


def _measures(
    histories: Sequence[History], reported: Sequence[UUID], time: Span, baseline: float | None
) -> tuple[Measure, ...]:
    return (
        success.detected(histories, time),
        success.unnoticed(histories, time),
        success.tickets(reported, time, baseline),
        success.uptime(histories, time),
    )


def _ending(window: timedelta, now: datetime) -> Span:
    return Span(now - window, now)


def _fleet(reports: Sequence[IntegrationReport], window: Span) -> FleetReport:
    by_customer = groupby(reports, key=lambda report: report.subject.customer)
    return FleetReport(window=window, customers=tuple(_customer(list(of_one)) for _, of_one in by_customer))


def _customer(reports: Sequence[IntegrationReport]) -> CustomerReport:
    first = reports[0].subject
    return CustomerReport(
        id=first.customer,
        external_id=first.customer_external_id,
        name=first.customer_name,
        window=reports[0].window,
        known=tuple(reports),
    )


def _worst_first(report: IntegrationReport) -> tuple[bool, float, str]:
    uptime = report.figures.uptime
    return report.fragile is None, 1.0 if uptime is None else uptime, report.subject.label


def _days(subjects: Sequence[Subject], window: Span) -> list[tuple[Span, Times]]:
    whole = times([subject.history for subject in subjects], window)
    return [(span, whole.within(span)) for span in days_of(window)]


def days_of(window: Span) -> list[Span]:
    """The window in days that end when it ends, the oldest first and perhaps shorter."""
    edges = [window.end]
    while edges[-1] > window.begin:
        edges.append(max(edges[-1] - DAY, window.begin))
    return [Span(begin, end) for end, begin in pairwise(edges)][::-1]
