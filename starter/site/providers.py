"""Providers, across all customers: is it them, or is it Salesforce?"""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import HTMLResponse, StreamingResponse

from activities import phrases
from activities.reliability import FleetReport
from starter.api.filters import FleetFilter
from starter.api.fleet import fleet_rows
from starter.api.overview import provider_report
from starter.api.paths import TypeInPath
from starter.api.resources import Resources, Use
from starter.reporting import CAUSES, causes, failures_by_day, percent, tiles
from starter.site.access import ViewerOfAll
from starter.site.customer import WINDOWS, WindowChosen
from starter.site.fleet import fleet_row
from starter.site.names import provider
from starter.site.pages import show, site_router
from starter.site.tables import all_rows, csv_file
from workflows.domain.blame import Blame, Verdict
from workflows.domain.durations import parse_duration
from workflows.domain.reliability import Cause

router = site_router()
_PROVIDER_COLUMNS = ("integration_type", "integrations", "customers", "down", "customers_down")
_DAY_COLUMNS = ("date", "failures", "customers", *Cause)
_HEADLINES = MappingProxyType(
    {
        Verdict.NOTHING: "Nothing of {name} is down",
        Verdict.PROVIDER: "It looks like {name}",
        Verdict.CUSTOMERS: "It looks like the customers, not {name}",
        Verdict.US: "It looks like us, not {name}",
        Verdict.UNCLEAR: "It can't be told yet",
    }
)


class ProviderQuery(WindowChosen):
    """And where the list of what is down begins."""

    cursor: str | None = None


@router.get("/providers")
async def providers(request: Request, session: ViewerOfAll, use: Use) -> HTMLResponse:
    rows = [{**row, "name": provider(row["integration_type"])} for row in await use.overview.providers()]
    return show(request, "providers.html", session, rows=rows)


@router.get("/providers.csv")
async def providers_csv(session: ViewerOfAll, use: Use) -> StreamingResponse:
    return csv_file("providers", all_rows(await use.overview.providers()), *_PROVIDER_COLUMNS)


@router.get("/providers/{integration_type}")
async def one_provider(
    request: Request,
    integration_type: TypeInPath,
    session: ViewerOfAll,
    asked: Annotated[ProviderQuery, Query()],
    use: Use,
) -> HTMLResponse:
    report, now = await provider_report(use, integration_type, parse_duration(asked.window))
    filters = FleetFilter(integration_type=integration_type, limit=20, cursor=asked.cursor)
    rows, more = await fleet_rows(use, filters, None)
    name = provider(integration_type)
    return show(
        request,
        "provider.html",
        session,
        integration_type=integration_type,
        name=name,
        asked=asked,
        windows=WINDOWS,
        verdict=now.verdict,
        headline=_HEADLINES[now.verdict].format(name=name),
        answer=answer(now, name, use),
        outage=await use.overview.outage(integration_type),
        tiles=_tiles(report, now),
        causes=causes(report.figures),
        chart=failures_by_day(report),
        cause_names={cause.value: label for cause, label in CAUSES.items()},
        rows=[fleet_row(row) for row in rows],
        more=more,
    )


@router.get("/providers/{integration_type}/failures.csv")
async def provider_csv(
    integration_type: TypeInPath, session: ViewerOfAll, asked: Annotated[WindowChosen, Query()], use: Use
) -> StreamingResponse:
    """The failures of each day."""
    report, _ = await provider_report(use, integration_type, parse_duration(asked.window))
    return csv_file(f"{integration_type}-failures", all_rows(failures_by_day(report)["days"]), *_DAY_COLUMNS)


def answer(now: Blame, name: str, use: Resources) -> str:
    """Is it them or is it the provider, with the numbers that say so."""
    connections = phrases.counted(now.integrations, "connection")
    if now.verdict is Verdict.NOTHING:
        return f"All {connections} of {phrases.counted(now.customers, 'customer')} work."
    share = f"{now.customers_down:,} of {phrases.counted(now.customers, 'customer')} ({percent(now.share)})"
    down = f"{share} {'is' if now.customers_down == 1 else 'are'} down, with {now.down:,} of {connections}."
    return f"{down} {_together(now, use)} {_by_cause(now, name)}".replace("  ", " ")


def _together(now: Blame, use: Resources) -> str:
    if now.together < 2 or now.together_since is None:
        return ""
    window = phrases.roughly(use.policy.current.outage.window)
    return f"{now.together:,} of them failed within {window} of each other."


def _by_cause(now: Blame, name: str) -> str:
    whose = {
        Cause.CUSTOMER: "by something on the customer's side",
        Cause.PROVIDER: f"by something at {name}",
        Cause.US: "by something of ours",
        Cause.UNKNOWN: "for a reason that nobody knows yet",
    }
    told = phrases.together([f"{count:,} {whose[cause]}" for cause, count in now.by_cause.items() if count])
    return f"Going by their errors: {told}."


def _tiles(report: FleetReport, now: Blame) -> list[dict[str, Any]]:
    affected = sum(bool(customer.figures.incidents) for customer in report.customers)
    hit = {"label": "Customers affected", "value": f"{affected:,}", "note": f"of {now.customers:,}", "tone": ""}
    return [hit, *tiles(report.figures, report.before, report.trend)]
