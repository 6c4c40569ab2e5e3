"""What is down now, and everything else that customers have connected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from starlette.responses import HTMLResponse, StreamingResponse

from activities import phrases
from activities.db.fleet import Show, Sort
from starter.api.filters import FleetFilter
from starter.api.fleet import fleet_page, fleet_rows
from starter.api.resources import Use
from starter.site.access import Viewer
from starter.site.names import provider
from starter.site.pages import show, site_router
from starter.site.tables import Row, all_pages, csv_file
from starter.site.words import WHO_FIXES
from workflows.domain.durations import how_long
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
        rows=[fleet_row(row) for row in found["items"]],
        found=found,
        severities=[(severity, by_severity.get(severity, 0)) for severity in Severity],
        providers=[(c["value"], provider(c["value"]), c["count"]) for c in found["by_provider"][:_MOST_FACETS]],
        csms=[(c["value"] or "-", c["name"] or "No CSM", c["count"]) for c in found["by_csm"][:_MOST_FACETS]],
        shows=_SHOW,
        sorts=_SORT,
        every=int(_REFRESH.total_seconds()),
    )


@router.get("/fleet.csv")
async def fleet_csv(session: Viewer, wanted: Annotated[FleetQuery, Query()], use: Use) -> StreamingResponse:
    """All rows of these filters, not only a page of them."""

    async def page(cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        return await fleet_rows(use, wanted.model_copy(update={"limit": 500, "cursor": cursor}), session.only)

    return csv_file("fleet", all_pages(page, _flat), *_COLUMNS)


def _flat(row: Row) -> Row:
    """An incident's columns beside its integration's."""
    incident, customer = row["incident"] or dict.fromkeys(_OF_INCIDENT.values()), row["customer"]
    of_incident = {column: incident[name] for column, name in _OF_INCIDENT.items()}
    return {**row, **of_incident, "customer": customer["external_id"], "customer_name": customer["name"]}


def fleet_row(row: Row) -> dict[str, object]:
    """A row of the fleet in words."""
    called, incident = provider(row["integration_type"]), row["incident"]
    since = datetime.fromisoformat(incident["opened_at"]) if incident else None
    return {
        **row,
        "name": row["display_name"] or called,
        "provider": called,
        "money": phrases.money(row["arr"]) if row["arr"] is not None else None,
        "since": since and phrases.moment_with_zone(since, UTC),
        "down_for": since and how_long(max(datetime.now(UTC), since) - since),
        "state": _state(incident) if incident else None,
        "who_fixes": incident and WHO_FIXES.get(incident["who_fixes"]),
    }


def _state(incident: Row) -> str:
    if incident["status"] == "recovering":
        return "recovering"
    if incident["snoozed_until"]:
        return "snoozed"
    return "acknowledged" if incident["acknowledged_at"] else "open"
