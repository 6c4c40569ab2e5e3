"""Whether Relink does what it is for: the four measures of PRD-101 1.3, and what is behind each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import dropwhile, islice
from types import MappingProxyType
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from starlette.responses import HTMLResponse

from activities.reliability import SuccessReport
from starter.api import reliability
from starter.api.reliability_models import item_answer, measure_answer, success_answer
from starter.api.reliability_tables import MEASURE_COLUMNS, measure_rows
from starter.api.resources import Use
from starter.reporting import measure_facts, percent
from starter.site.access import Viewer
from starter.site.customer import WINDOWS, WindowChosen
from starter.site.names import called
from starter.site.pages import show, site_router
from workflows.domain.durations import how_long, parse_duration
from workflows.domain.success import Item, Measure, Name

router = site_router()
_ROWS = 25
_BEHIND = MappingProxyType(
    {
        Name.DETECTED: ("Disconnections that began in this time, the slowest to be detected first", "Known after"),
        Name.UNNOTICED: ("Disconnections that were decided in this time, those that were noticed first", "How it went"),
        Name.TICKETS: ("What customers reported in this time, newest first", "Reported by"),
        Name.UPTIME: ("Integrations, the least reliable first", "Uptime"),
    }
)


class SuccessChosen(WindowChosen):
    """And which measure; without one, the first that is not met."""

    window: Literal["30d", "90d", "180d"] = "30d"
    measure: Name | None = None


class SuccessQuery(SuccessChosen):
    """And where the list behind it begins."""

    cursor: str | None = None


@router.get("/success")
async def success(request: Request, session: Viewer, asked: Annotated[SuccessQuery, Query()], use: Use) -> HTMLResponse:
    """At most a minute old. Every page of a list is of the same moment, which its cursor names."""
    scope = f"success/{session.only}/{asked.window}/{asked.measure}"
    place = use.cursors.read_after(scope, asked.cursor)
    window, moment = parse_duration(asked.window), place[0] if place else None
    report = await use.recent_success.report(window, reliability.now(), session.only, moment)
    chosen = next((m for m in report.measures if m.name is asked.measure), None) or _most_interesting(report)
    items = _behind(chosen.items, place[1] if place else None)
    more = use.cursors.after(scope, report.window.end, items[_ROWS - 1].id) if len(items) > _ROWS else None
    names = await use.overview.named(chosen.name, [item.id for item in items])
    what, amount = _BEHIND[chosen.name]
    return show(
        request,
        "success.html",
        session,
        asked=asked,
        windows=WINDOWS,
        measures=[{"key": m.name, **measure_facts(m)} for m in report.measures],
        chosen=chosen.name,
        note=measure_answer(chosen, 0)["note"],
        what=what,
        amount=amount,
        total=len(chosen.items),
        against=sum(not item.good for item in chosen.items),
        rows=[_row(chosen, item, names[item.id]) for item in items[:_ROWS] if item.id in names],
        more=more,
        is_of_one=session.only is not None,
    )


@router.get("/success.csv")
async def success_csv(session: Viewer, asked: Annotated[SuccessChosen, Query()], use: Use) -> Response:
    """The four measures, or everything behind one of them."""
    report = await use.reliability.success(parse_duration(asked.window), reliability.now(), session.only)
    if asked.measure is None:
        return reliability.csv("success", measure_rows(success_answer(report, 0)), *MEASURE_COLUMNS)
    (measure,) = report.only(asked.measure).measures
    return reliability.csv(asked.measure, map(item_answer, measure.items), "id", "good", "amount")


def _most_interesting(report: SuccessReport) -> Measure:
    return next((m for m in report.measures if m.met is False), report.measures[0])


def _behind(items: Sequence[Item], after: UUID | None) -> list[Item]:
    """A page of them and one more, which says that there is a next page."""
    rest = iter(items)
    if after is not None:
        rest = islice(dropwhile(lambda item: item.id != after, items), 1, None)
    return list(islice(rest, _ROWS + 1))


def _row(measure: Measure, item: Item, named: dict[str, Any]) -> dict[str, Any]:
    incident = named["id"] if measure.unit == "incidents" else named.get("incident")
    link = f"/incidents/{incident}" if incident else f"/integrations/{named['integration']['id']}"
    return {
        **named,
        "good": item.good,
        "link": link,
        "name": called(named["integration"]),
        "amount": _amount(measure, item, named),
    }


def _amount(measure: Measure, item: Item, named: dict[str, Any]) -> str:
    match measure.name:
        case Name.UPTIME:
            return percent(item.amount)
        case Name.TICKETS:
            return str(named["what"])
    after = how_long(timedelta(minutes=item.amount or 0))
    if measure.name is Name.DETECTED:
        return after if item.amount else "at once"
    return f"repaired after {after}" if item.good else f"noticed after {after}"
