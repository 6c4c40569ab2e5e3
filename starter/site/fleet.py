"""What is down now, and everything else that customers have connected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import HTMLResponse, StreamingResponse

from activities import phrases
from activities.db.fleet import Show, Sort
from activities.playbooks.loader import load_catalogue
from starter.api.filters import FleetFilter
from starter.api.fleet import fleet_page, fleet_rows
from starter.api.resources import Resources, Use
from starter.site.access import Viewer
from starter.site.pages import show, site_router
from starter.site.sessions import Session
from starter.site.tables import Row, csv_file
from starter.site.words import WHO_FIXES
from workflows.domain.explanation import provider_name
from workflows.domain.policy import Severity

router = site_router()
_REFRESH = timedelta(seconds=20)
_MOST_FACETS = 8

_SHOW = MappingProxyType({Show.DOWN: "Down now", Show.DEGRADED: "Degraded", Show.HEALTHY: "Healthy", Show.ALL: "All"})
_SORT = MappingProxyType(
    {
        Sort.SEVERITY: "Severity",
        Sort.LONGEST: "Longest down",
        Sort.NEWEST: "Newest",
        Sort.ARR: "ARR",
        Sort.CUSTOMER: "Customer",
    }
)


_OF_INCIDENT = MappingProxyType(
    {
        "severity": "severity",
        "incident_status": "status",
        "since": "opened_at",
        "reason": "reason",
        "who_fixes": "who_fixes",
        "incident": "id",
    }
)
_COLUMNS = (
    "customer", "customer_name", "arr", "csm", "integration_type", "integration_id", "display_name", "status",
    "is_critical", "last_successful_sync", *_OF_INCIDENT,
)  # fmt: skip


class FleetQuery(FleetFilter):
    """The filters of the page, and whether it refreshes itself."""

    refresh: Literal["on", "off"] = "on"


@router.get("/fleet")
async def fleet(request: Request, session: Viewer, wanted: Annotated[FleetQuery, Query()], use: Use) -> HTMLResponse:
    found = await fleet_page(use, wanted, session.only)
    by_severity = {count["value"]: count["count"] for count in found["by_severity"]}
    return show(
        request,
        "fleet.html",
        session,
        wanted=wanted,
        rows=[_shown(row) for row in found["items"]],
        found=found,
        severities=[(severity, by_severity.get(severity, 0)) for severity in Severity],
        providers=[(c["value"], _provider(c["value"]), c["count"]) for c in found["by_provider"][:_MOST_FACETS]],
        csms=[(c["value"] or "-", c["name"] or "No CSM", c["count"]) for c in found["by_csm"][:_MOST_FACETS]],
        shows=_SHOW,
        sorts=_SORT,
        every=int(_REFRESH.total_seconds()),
    )


@router.get("/fleet.csv")
async def fleet_csv(session: Viewer, wanted: Annotated[FleetQuery, Query()], use: Use) -> StreamingResponse:
    """All rows of these filters, not only a page of them."""
    return csv_file("fleet", _all(use, wanted, session), *_COLUMNS)


async def _all(use: Resources, wanted: FleetFilter, session: Session) -> AsyncIterator[Row]:
    page = wanted.model_copy(update={"limit": 500, "cursor": None})
    while True:
        rows, cursor = await fleet_rows(use, page, session.only)
        for row in rows:
            yield _flat(row)
        if cursor is None:
            return
        page = page.model_copy(update={"cursor": cursor})


def _flat(row: Row) -> Row:
    """An incident's columns beside its integration's."""
    incident, customer = row["incident"] or dict.fromkeys(_OF_INCIDENT.values()), row["customer"]
    of_incident = {column: incident[name] for column, name in _OF_INCIDENT.items()}
    return {**row, **of_incident, "customer": customer["external_id"], "customer_name": customer["name"]}


def _shown(row: Row) -> dict[str, object]:
    provider, incident = _provider(row["integration_type"]), row["incident"]
    since = datetime.fromisoformat(incident["opened_at"]) if incident else None
    return {
        **row,
        "name": row["display_name"] or provider,
        "provider": provider,
        "money": phrases.money(row["arr"]) if row["arr"] is not None else None,
        "since": since and phrases.moment_with_zone(since, UTC),
        "down_for": since and phrases.lasted(max(datetime.now(UTC), since) - since),
        "state": _state(incident) if incident else None,
        "who_fixes": incident and WHO_FIXES.get(incident["who_fixes"]),
    }


def _state(incident: Row) -> str:
    if incident["status"] == "recovering":
        return "recovering"
    if incident["snoozed_until"]:
        return "snoozed"
    return "acknowledged" if incident["acknowledged_at"] else "open"


def _provider(integration_type: str) -> str:
    return provider_name(integration_type, load_catalogue().find(integration_type))
