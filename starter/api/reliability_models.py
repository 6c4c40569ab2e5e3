"""What the API answers about reliability. What each figure means is said in workflows/domain/reliability.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from pydantic import Field, PlainSerializer, WithJsonSchema

from activities.db.reliability import Subject
from activities.reliability import CustomerReport, FleetReport, IntegrationReport, SuccessReport
from starter.api.models import Answer, CustomerName, IntegrationName, Time
from workflows.domain.durations import format_duration
from workflows.domain.intervals import Span
from workflows.domain.reliability import Cause, Figures, Trend
from workflows.domain.status import HealthStatus
from workflows.domain.success import Item, Measure, Name

Minutes: TypeAlias = Annotated[
    timedelta,
    PlainSerializer(lambda span: round(span / timedelta(minutes=1), 3), return_type=float),
    WithJsonSchema({"type": "number", "examples": [432.5]}),
]
Share: TypeAlias = Annotated[float, Field(examples=[0.9987], description="0 to 1")]


class WindowAnswer(Answer):
    """Half-open: what happened at `until` is not in it."""

    length: str = Field(examples=["90d"])
    since: Time
    until: Time


class FiguresAnswer(Answer):
    """Uptime and its like. All times in minutes; null where there is nothing to compute from."""

    uptime: Share | None = Field(description="Observed time in which it was not down, as a share of the observed time.")
    observed_minutes: Minutes = Field(description="Since it was registered until it was removed, without maintenance.")
    minutes_down: Minutes = Field(description="From the first failure to the recovery that held. Degraded is not down.")
    minutes_down_by_cause: dict[Cause, Minutes] = Field(
        description="By whose fault it was; time with two causes at once, of two integrations, is in both."
    )
    incidents: int = Field(description="Disconnections that began in the window, without those that were none.")
    still_down: int = Field(description="Integrations that are down at the end of the window.")
    mttd_minutes: Minutes | None = Field(description="Mean time from the first failure until it was detected.")
    mtta_minutes: Minutes | None = Field(
        description="Mean time from then to the first acknowledgement, where there is one."
    )
    mttr_minutes: Minutes | None = Field(description="Mean time from the first failure to the recovery that held.")
    mtbf_minutes: Minutes | None = Field(description="Time that it worked, for each time that it failed.")


class BeforeAnswer(Answer):
    """The window of the same length before."""

    uptime: Share | None
    minutes_down: Minutes
    incidents: int


class ReliabilityAnswer(FiguresAnswer):
    trend: Trend = Field(description="Against the window before, by uptime, else by the number of incidents.")
    before: BeforeAnswer


class IntegrationReliability(ReliabilityAnswer):
    """One integration. `chronic` is judged by the policy's `[chronic]`, over a window of its own that ends now."""

    integration: IntegrationName
    is_critical: bool
    status: HealthStatus
    removed_at: Time | None
    chronic: bool
    chronic_reason: str | None = Field(examples=["4 disconnections in 30 days, down for 9 h 20 min."])
    suggestion: str | None = Field(description="What would have to change so that it does not happen again.")


class CustomerReliabilitySummary(ReliabilityAnswer):
    """One customer: down while one of its integrations is, and every moment counted once."""

    customer: CustomerName
    chronic_integrations: int


class CustomerReliability(CustomerReliabilitySummary):
    """`integrations`: the chronic and then the least reliable first; also removed ones that existed in the window."""

    window: WindowAnswer
    integrations: list[IntegrationReliability]


class FleetReliability(ReliabilityAnswer):
    """All customers. The figures at the top are added up over integrations, each with its own time."""

    window: WindowAnswer
    customers: list[CustomerReliabilitySummary]


class MeasuredItem(Answer):
    """An incident, an event by which a customer reported something, or an integration."""

    id: UUID
    good: bool = Field(description="False: it counts against the measure.")
    amount: float | None = Field(
        description="Minutes until it was detected, or repaired, or noticed; an integration's uptime; null for tickets."
    )


class MeasureAnswer(Answer):
    """One measure of PRD-101 §1.3. `value` is `numerator / denominator`; for tickets, 1 minus that."""

    name: Name
    value: float | None = Field(description="Null: nothing to judge by, see `note`.")
    target: float
    met: bool | None
    numerator: float
    denominator: float | None
    unit: str = Field(examples=["incidents", "tickets", "minutes"], description="Of numerator and denominator.")
    note: str = Field(description="What it counts, or why it is unknown.")
    items: list[MeasuredItem] = Field(description="What it was computed from, what counts against it first.")
    items_total: int = Field(description="How many there are; `format=csv` with `measure` gives all of them.")


class SuccessAnswer(Answer):
    window: WindowAnswer
    measures: list[MeasureAnswer]


class ScoreChange(Answer):
    id: UUID
    adjustment: int = Field(examples=[-10])
    reason: str = Field(examples=["Critical integration disconnected"])
    incident: UUID
    integration: IntegrationName
    created_at: Time


class ScoreLedger(Answer):
    """`base + adjustments` is the score; it is shown within 0 to 100. An incident lowers it at most once, however often
    it relapses, and gives back what it took when it ends."""

    customer: CustomerName
    health_score: int = Field(description="As shown: within 0 to 100.")
    base: int = Field(description="What the last PUT said, at first 100.")
    adjustments: int = Field(description="The sum of all changes, of all pages.")
    items: list[ScoreChange] = Field(description="Newest first.")
    next_cursor: str | None


def window_answer(window: Span) -> dict[str, Any]:
    return {"length": format_duration(window.length), "since": window.begin, "until": window.end}


def integration_answer(report: IntegrationReport) -> dict[str, Any]:
    """As IntegrationReliability."""
    subject, fragile = report.subject, report.fragile
    return _with_trend(report) | {
        "integration": _integration_name(subject),
        "is_critical": subject.is_critical,
        "status": subject.status,
        "removed_at": subject.removed_at,
        "chronic": fragile is not None,
        "chronic_reason": fragile and fragile.reason,
        "suggestion": fragile and fragile.suggestion,
    }


def customer_summary(report: CustomerReport) -> dict[str, Any]:
    """As CustomerReliabilitySummary."""
    customer = {"id": report.id, "external_id": report.external_id, "name": report.name}
    return _with_trend(report) | {"customer": customer, "chronic_integrations": report.fragile}


def customer_answer(report: CustomerReport) -> CustomerReliability:
    return CustomerReliability.model_validate(
        customer_summary(report)
        | {"window": window_answer(report.window), "integrations": [integration_answer(i) for i in report.integrations]}
    )


def fleet_answer(report: FleetReport) -> FleetReliability:
    return FleetReliability.model_validate(
        _with_trend(report)
        | {"window": window_answer(report.window), "customers": [customer_summary(c) for c in report.customers]}
    )


_NOTES = {
    Name.DETECTED: "Disconnections that began in the window; good: known within an hour of the first failure.",
    Name.UNNOTICED: "Disconnections repaired, or reported by the customer, in the window; good: repaired first.",
    Name.TICKETS: "Reports by customers (`customer_reported`) against as many as were usual before in so long a time.",
    Name.UPTIME: "Minutes of all integrations; good: at 99 % or more by itself.",
}
_NO_BASELINE = (
    "Unknown: set `success.tickets_per_month_before` in the policy to the tickets of a month before Relink; it is "
    "compared with the reports of all customers (`customer_reported`)."
)
_NOTHING = "Nothing to judge by in this window. "


def measure_answer(measure: Measure, limit: int) -> dict[str, Any]:
    """As MeasureAnswer, with so many of its items."""
    if measure.denominator is None:
        note = _NO_BASELINE
    else:
        note = (_NOTHING if measure.value is None else "") + _NOTES[measure.name]
    return {
        "name": measure.name,
        "value": measure.value,
        "target": measure.target,
        "met": measure.met,
        "numerator": round(measure.numerator, 3),
        "denominator": measure.denominator and round(measure.denominator, 3),
        "unit": measure.unit,
        "note": note,
        "items": [item_answer(item) for item in measure.items[:limit]],
        "items_total": len(measure.items),
    }


def item_answer(item: Item) -> dict[str, Any]:
    return {"id": item.id, "good": item.good, "amount": item.amount}


def success_answer(report: SuccessReport, limit: int) -> SuccessAnswer:
    measures = [measure_answer(measure, limit) for measure in report.measures]
    return SuccessAnswer.model_validate({"window": window_answer(report.window), "measures": measures})


def _with_trend(report: IntegrationReport | CustomerReport | FleetReport) -> dict[str, Any]:
    past = report.before
    before = {"uptime": past.uptime, "minutes_down": past.down, "incidents": past.incidents}
    return figures_answer(report.figures) | {"trend": report.trend, "before": before}


def figures_answer(found: Figures) -> dict[str, Any]:
    """As FiguresAnswer."""
    return {
        "uptime": found.uptime,
        "observed_minutes": found.observed,
        "minutes_down": found.down,
        "minutes_down_by_cause": dict(found.by_cause),
        "incidents": found.incidents,
        "still_down": found.still_down,
        "mttd_minutes": found.detecting.value,
        "mtta_minutes": found.acknowledging.value,
        "mttr_minutes": found.repairing.value,
        "mtbf_minutes": found.mtbf,
    }


def _integration_name(subject: Subject) -> dict[str, Any]:
    return {
        "id": subject.history.integration,
        "integration_type": subject.integration_type,
        "integration_id": subject.integration_id,
        "display_name": subject.display_name,
    }
