"""Reports on reliability in words: the facts of `relink report`, for the terminal and for a file to attach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from activities.reliability import CustomerReport, FleetReport, IntegrationReport, SuccessReport
from workflows.domain.chronic import rough, words_for
from workflows.domain.intervals import Span, total
from workflows.domain.reliability import Cause, Figures, Times, Trend
from workflows.domain.success import Measure, Name

_TRENDS = {Trend.BETTER: "↑ better", Trend.WORSE: "↓ worse", Trend.SAME: "= same", Trend.UNKNOWN: ""}
_CAUSES = {Cause.CUSTOMER: "Customer", Cause.PROVIDER: "Provider", Cause.US: "Us", Cause.UNKNOWN: "Unknown"}
_MEASURES = {
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
        "tiles": _tiles(report.figures, report.before, report.trend),
        "causes": _causes(report.figures),
        "bars": _bars(report.days()),
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
        "tiles": _tiles(report.figures, report.before, report.trend),
        "causes": _causes(report.figures),
        "bars": None,
        "integrations": [integration_facts(i) for i in chronic[:_MOST_ROWS]],
        "left_out": max(len(chronic) - _MOST_ROWS, 0),
        "customers": [_customer_row(c) for c in ranked[:_MOST_ROWS]],
        "customers_left_out": max(len(ranked) - _MOST_ROWS, 0),
        "measures": [_measure(measure) for measure in success.measures],
    }


def integration_facts(report: IntegrationReport) -> dict[str, Any]:
    """One row of the table, with what is to be said below it."""
    subject, fragile = report.subject, report.fragile
    causes = {cause: down for cause, down in report.figures.by_cause.items() if down}
    return {
        "customer": subject.customer_name,
        "name": subject.label,
        "state": "removed" if subject.removed_at else subject.status.value,
        "is_critical": subject.is_critical,
        **_row(report.figures, report.trend),
        "fault": ", ".join(f"{_CAUSES[cause].lower()} {rough(down)}" for cause, down in causes.items()),
        "bars": _bars(report.days()),
        "reason": fragile and fragile.reason,
        "suggestion": fragile and fragile.suggestion,
    }


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


def _tiles(now: Figures, past: Figures, change: Trend) -> list[dict[str, str]]:
    before = "" if past.uptime is None else f"{percent(past.uptime)} in the time before"
    return [
        _tile("Uptime", percent(now.uptime), before, _tone(change)),
        _tile("Disconnections", str(now.incidents), f"{past.incidents} in the time before"),
        _tile("Down for", rough(now.down), _still(now.still_down), "bad" if now.still_down else ""),
        _tile("Time to repair", _mean(now.repairing.value), "on average, from the first failure"),
        _tile("Time to detect", _mean(now.detecting.value), "on average"),
        _tile("Time to react", _mean(now.acknowledging.value), "until somebody acknowledged"),
    ]


def _tile(label: str, value: str, note: str, tone: str = "") -> dict[str, str]:
    return {"label": label, "value": value, "note": note, "tone": tone}


def _tone(change: Trend) -> str:
    return {Trend.BETTER: "good", Trend.WORSE: "bad"}.get(change, "")


def _still(down: int) -> str:
    return f"{down} still down" if down else "none down now"


def _mean(value: timedelta | None) -> str:
    return "–" if value is None else rough(value)


def _row(figures: Figures, change: Trend) -> dict[str, str]:
    return {
        "uptime": percent(figures.uptime),
        "trend": _TRENDS[change],
        "tone": _tone(change),
        "incidents": str(figures.incidents),
        "down": rough(figures.down) if figures.down else "–",
        "repair": _mean(figures.repairing.value),
    }


def _customer_row(report: CustomerReport) -> dict[str, str]:
    return {
        "name": report.name,
        **_row(report.figures, report.trend),
        "integrations": str(len(report.integrations)),
        "chronic": str(report.fragile or "–"),
    }


def _causes(figures: Figures) -> list[dict[str, Any]]:
    together = sum(figures.by_cause.values(), timedelta(0))
    return [
        {"name": _CAUSES[cause], "key": cause.value, "down": rough(down), "share": round(100 * (down / together), 1)}
        for cause, down in figures.by_cause.items()
        if down
    ]


def _bars(days: Sequence[tuple[Span, Times]]) -> dict[str, Any]:
    """One bar a day: its height is the share of it that was down; None where nothing was observed."""
    bars = []
    for span, found in days:
        uptime, down = found.uptime, total(found.down)
        words = "not observed" if uptime is None else f"down for {rough(down)}" if down else "no downtime"
        height = None if uptime is None else max(1 - uptime, _LEAST_SHOWN) if down else 0.0
        bars.append({"height": height, "words": f"{_day(span.begin)}: {words}"})
    bad = sum(bool(bar["height"]) for bar in bars)
    return {"days": bars, "words": f"{bad} of {len(bars)} days with downtime"}


def _measure(measure: Measure) -> dict[str, str]:
    met = {True: "met", False: "missed", None: "unknown"}[measure.met]
    if measure.denominator is None:
        counted = f"{measure.numerator:.0f} tickets; how many were usual is not set (success.tickets_per_month_before)"
    elif measure.value is None:
        counted = "nothing to judge by"
    else:
        counted = f"{measure.numerator:,.0f} of {measure.denominator:,.0f} {measure.unit}"
    value = (
        percent(measure.value) if measure.value is None or measure.value >= 0 else f"{measure.value * 100:.0f} % (more)"
    )
    return {
        "name": _MEASURES[measure.name],
        "value": value,
        "target": f"{measure.target * 100:.0f} %",
        "met": met,
        "tone": {"met": "good", "missed": "bad"}.get(met, ""),
        "counted": counted,
    }
