"""Reports on reliability in words: the facts of `relink report`, for the terminal and for a file to attach."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from activities.db.reliability import Subject
from activities.phrases import counted
from activities.reliability import CustomerReport, FleetReport, IntegrationReport, SuccessReport, days_of
from workflows.domain.durations import how_long, words_for
from workflows.domain.intervals import Span, total
from workflows.domain.reliability import Cause, Figures, Incident, Times, Trend
from workflows.domain.success import Measure, Name

_TRENDS = {Trend.BETTER: "↑ better", Trend.WORSE: "↓ worse", Trend.SAME: "= same", Trend.UNKNOWN: ""}
CAUSES = {Cause.CUSTOMER: "Customer", Cause.PROVIDER: "Provider", Cause.US: "Us", Cause.UNKNOWN: "Unknown"}
MEASURES = {
    Name.DETECTED: "Detected within 1 hour",
    Name.UNNOTICED: "Resolved before the customer noticed",
    Name.TICKETS: "Fewer tickets than before",
    Name.UPTIME: "Uptime of all integrations",
}
_MOST_ROWS = 200  # of a table in a report for people; CSV and JSON have all
_LEAST_SHOWN = 0.08  # of a day's bar: a few minutes must be seen


def customer_facts(report: CustomerReport) -> dict[str, Any]:
    """What `pages/report.html` needs about one customer; every value is a text, or a number for a bar."""
    return {
        **_head(report.name, report.window),
        "is_internal": False,
        "tiles": tiles(report.figures, report.before, report.trend),
        "causes": causes(report.figures),
        "bars": bars(report.days()),
        "integrations": [integration_facts(i) for i in report.integrations[:_MOST_ROWS]],
        "left_out": max(len(report.integrations) - _MOST_ROWS, 0),
        "customers": [],
        "measures": [],
    }


def fleet_facts(report: FleetReport, success: SuccessReport) -> dict[str, Any]:
    """The same about all customers: the integrations are the chronic ones, the customers the least reliable ones."""
    chronic = [i for i in report.integrations if i.fragile is not None]
    ranked = sorted(report.customers, key=lambda c: (1.0 if c.figures.uptime is None else c.figures.uptime, c.name))
    return {
        **_head("All customers", report.window),
        "is_internal": True,
        "tiles": tiles(report.figures, report.before, report.trend),
        "causes": causes(report.figures),
        "bars": None,
        "integrations": [integration_facts(i) for i in chronic[:_MOST_ROWS]],
        "left_out": max(len(chronic) - _MOST_ROWS, 0),
        "customers": [_customer_row(c) for c in ranked[:_MOST_ROWS]],
        "customers_left_out": max(len(ranked) - _MOST_ROWS, 0),
        "measures": [measure_facts(measure) for measure in success.measures],
    }


def integration_facts(report: IntegrationReport) -> dict[str, Any]:
    """One row of the table, with what is to be said below it; `id` is for links."""
    subject, fragile = report.subject, report.fragile
    blamed = {cause: down for cause, down in report.figures.by_cause.items() if down}
    return {
        "id": subject.history.integration,
        "customer": subject.customer_name,
        "name": subject.label,
        "state": _state(subject),
        "is_critical": subject.is_critical,
        **_row(report.figures, report.trend),
        "fault": ", ".join(f"{CAUSES[cause].lower()} {how_long(down)}" for cause, down in blamed.items()),
        "bars": bars(report.days()),
        "reason": fragile and fragile.reason,
        "suggestion": fragile and fragile.suggestion,
    }


def _state(subject: Subject) -> str:
    if subject.removed_at:
        return "removed"
    return "no longer used" if subject.history.ended_at else subject.status.value


def percent(share: float | None) -> str:
    """Two digits, never rounded up: 99.999 % is not "100 %"."""
    if share is None:
        return "–"
    return "100 %" if share == 1 else f"{math.floor(share * 10_000) / 100:.2f} %"


def _head(title: str, window: Span) -> dict[str, Any]:
    return {
        "title": title,
        "length": words_for(window.length),
        "since": _day(window.begin),
        "until": f"{window.end:%b} {window.end.day}, {window.end:%Y at %H:%M} UTC",
    }


def _day(at: datetime) -> str:
    return f"{at:%b} {at.day}, {at.year}"


def tiles(now: Figures, past: Figures, change: Trend) -> list[dict[str, str]]:
    """The figures that matter, against the time before."""
    before = "" if past.uptime is None else f"{percent(past.uptime)} in the time before"
    return [
        _tile("Uptime", percent(now.uptime), before, _tone(change)),
        _tile("Disconnections", str(now.incidents), f"{past.incidents} in the time before"),
        _tile("Down for", how_long(now.down), _still(now.still_down), "bad" if now.still_down else ""),
        _tile("Time to repair", _mean(now.repairing.value), "on average, from the first failure"),
        _tile("Time to detect", _mean(now.detecting.value), "on average"),
        _tile("Time to react", _mean(now.acknowledging.value), "until somebody acknowledged"),
        _tile("Between failures", _mean(now.mtbf), "of working time, on average"),
    ]


def _tile(label: str, value: str, note: str, tone: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "note": note, "tone": tone}


def _tone(change: Trend) -> str:
    return {Trend.BETTER: "good", Trend.WORSE: "bad"}.get(change, "")


def _still(down: int) -> str:
    return f"{down} still down" if down else "none down now"


def _mean(value: timedelta | None) -> str:
    return "–" if value is None else how_long(value)


def _row(figures: Figures, change: Trend) -> dict[str, str]:
    return {
        "uptime": percent(figures.uptime),
        "trend": _TRENDS[change],
        "tone": _tone(change),
        "incidents": str(figures.incidents),
        "down": how_long(figures.down) if figures.down else "–",
        "repair": _mean(figures.repairing.value),
    }


def _customer_row(report: CustomerReport) -> dict[str, str]:
    return {
        "name": report.name,
        **_row(report.figures, report.trend),
        "integrations": str(len(report.integrations)),
        "chronic": str(report.fragile or "–"),
    }


def causes(figures: Figures) -> list[dict[str, Any]]:
    """The time down by who caused it, and what share of all of it each is, in percent."""
    together = sum(figures.by_cause.values(), timedelta(0))
    shown: list[dict[str, Any]] = []
    for cause, down in figures.by_cause.items():
        if down:
            share, before = round(100 * (down / together), 1), round(sum(one["share"] for one in shown), 1)
            known = {"name": CAUSES[cause], "key": cause.value, "down": how_long(down)}
            shown.append({**known, "share": share, "before": before})
    return shown


def bars(days: Sequence[tuple[Span, Times]]) -> dict[str, Any]:
    """One bar a day: its height is the share of it that was down; None where nothing was observed."""
    shown = []
    for span, found in days:
        uptime, down = found.uptime, total(found.down)
        words = "not observed" if uptime is None else f"down for {how_long(down)}" if down else "no downtime"
        height = None if uptime is None else max(1 - uptime, _LEAST_SHOWN) if down else 0.0
        shown.append({"height": height, "words": f"{_day(span.begin)}: {words}"})
    observed = sum(bar["height"] is not None for bar in shown)
    bad = sum(bool(bar["height"]) for bar in shown)
    told = f"{bad} of {counted(observed, 'day')} with downtime" if observed else "not observed"
    return {"days": shown, "words": told}


def measure_facts(measure: Measure) -> dict[str, str]:
    """A measure of success in words."""
    met = {True: "met", False: "missed", None: "unknown"}[measure.met]
    if measure.denominator is None:
        tickets = counted(round(measure.numerator), "ticket")
        told = f"{tickets}; how many were usual is not set (success.tickets_per_month_before)"
    elif measure.value is None:
        told = "nothing to judge by"
    else:
        told = f"{measure.numerator:,.0f} of {measure.denominator:,.0f} {measure.unit}"
    value = (
        percent(measure.value) if measure.value is None or measure.value >= 0 else f"{measure.value * 100:.0f} % (more)"
    )
    return {
        "name": MEASURES[measure.name],
        "value": value,
        "target": f"{measure.target * 100:.0f} %",
        "met": met,
        "tone": {"met": "good", "missed": "bad"}.get(met, ""),
        "counted": told,
    }


def failures_by_day(report: FleetReport) -> dict[str, Any]:
    """How many disconnections began on each day, of how many customers, by whose fault: parts of one bar."""
    begun = [
        (customer.id, incident)
        for customer in report.customers
        for one in customer.known
        for incident in one.subject.history.begun_in(report.window)
    ]
    days = [_failures(span, [(who, i) for who, i in begun if span.has(i.began_at)]) for span in days_of(report.window)]
    most = max((day["failures"] for day in days), default=0)
    for day in days:
        below = 0.0
        for part in day["parts"]:
            part["height"] = part["count"] / most
            part["below"], below = below, below + part["height"]
    bad = sum(bool(day["failures"]) for day in days)
    return {"days": days, "most": most, "words": f"{len(begun)} disconnections on {bad} of {len(days)} days"}


def _failures(span: Span, begun: Sequence[tuple[UUID, Incident]]) -> dict[str, Any]:
    counts = Counter(incident.cause for _, incident in begun)
    customers = len({who for who, _ in begun})
    parts: list[dict[str, Any]] = [
        {"key": cause.value, "name": CAUSES[cause], "count": counts[cause]} for cause in Cause if counts[cause]
    ]
    causes_told = ", ".join(f"{part['name'].lower()} {part['count']}" for part in parts)
    told = f"{counted(len(begun), 'disconnection')} of {counted(customers, 'customer')} ({causes_told})"
    return {
        "day": _day(span.begin),
        "date": span.begin,
        "failures": len(begun),
        "customers": customers,
        "parts": parts,
        "words": f"{_day(span.begin)}: {told if begun else 'none'}",
        **{cause.value: counts[cause] for cause in Cause},
    }
