"""What View Integration Status opens: one integration, its incident, who was told, and what happened."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.responses import HTMLResponse, StreamingResponse

from activities import phrases
from activities.links import BadTokenError, ExpiredTokenError, Purpose
from activities.views import IncidentView, Person
from starter.api import reliability
from starter.api.histories import credential_rows, event_rows, incident_rows
from starter.api.integration_history import bucket_answer, buckets, integration_report
from starter.api.resources import Resources, Use
from starter.reporting import causes, integration_facts, tiles
from starter.site.access import Viewer, Whoever
from starter.site.charts import looks
from starter.site.customer import CREDENTIAL_COLUMNS, INCIDENT_COLUMNS, ending, flat
from starter.site.names import incident_row, named, provider
from starter.site.pages import SignedOutError, say, show, site_router
from starter.site.sessions import Session
from starter.site.staff import Role
from starter.site.tables import Row, all_pages, all_rows, csv_file
from starter.site.words import Words
from workflows.domain.durations import parse_duration

router = site_router()
_LOOKING_BACK = timedelta(days=90)
_ROWS = 10  # of each of the lists that have more pages
_CHARTS = MappingProxyType({"24h": "24 hours", "7d": "7 days", "30d": "30 days"})
_EFFECTS = MappingProxyType(
    {
        "failure": ("Failure", "bad"),
        "rate_limit": ("Rate limit", "warn"),
        "success": ("Success", "good"),
        "hint": ("Sign of recovery", ""),
        "note": ("Note", ""),
    }
)
_EVENT_COLUMNS = (
    "occurred_at",
    "event_type",
    "effect",
    "new_status",
    "source",
    "event_id",
    "endpoint",
    "error",
    "incident",
)
_LOOK_COLUMNS = ("start", "probes", "successes", "failures", "success_rate", "p50_seconds", "p95_seconds")


class IntegrationQuery(BaseModel):
    """`token` is a signed link's; the others say over which time the charts are, and where each list begins."""

    model_config = ConfigDict(frozen=True)  # what Slack or a mail program adds to a link does no harm

    token: str = ""
    charts: Literal["24h", "7d", "30d"] = "24h"
    events: str | None = None
    incidents: str | None = None
    credentials: str | None = None


class Table(StrEnum):
    """What can be downloaded."""

    EVENTS = "events"
    LOOKS = "looks"
    INCIDENTS = "incidents"
    CREDENTIALS = "credentials"


@router.get("/integrations/{integration}/{table}.csv")
async def integration_csv(
    integration: UUID, table: Table, session: Viewer, asked: Annotated[IntegrationQuery, Query()], use: Use
) -> StreamingResponse:
    """All rows of one of the page's tables; the looks of the time that its charts are of."""
    row = await use.reader.integration(integration, session.only)
    customer, name = row["customer_id"], f"{row['customer']['external_id']}-{row['integration_type']}-{table}"
    match table:
        case Table.EVENTS:
            return csv_file(name, all_pages(lambda at: event_rows(use, integration, at, 500), _flat), *_EVENT_COLUMNS)
        case Table.LOOKS:
            found = await buckets(use, integration, parse_duration(asked.charts))
            return csv_file(name, all_rows(bucket_answer(bucket) for bucket in found), *_LOOK_COLUMNS)
        case Table.INCIDENTS:
            rows = all_pages(lambda at: incident_rows(use, customer, integration, at, 500), flat)
            return csv_file(name, rows, *INCIDENT_COLUMNS)
        case Table.CREDENTIALS:
            rows = all_pages(lambda at: credential_rows(use, customer, integration, at, 500), flat)
            return csv_file(name, rows, *CREDENTIAL_COLUMNS)


@router.get("/integrations/{integration}")
async def integration_page(
    request: Request, integration: UUID, use: Use, session: Whoever, asked: Annotated[IntegrationQuery, Query()]
) -> Response:
    """For staff: signed in, or by a signed link, which also signs in a viewer of that one customer. It never writes."""
    if session is None and not asked.token:
        raise SignedOutError
    refused = _refused(request, use, integration, asked.token)
    if session is None and refused:
        return refused
    row = await use.reader.integration(integration, session.only if session and refused else None)
    reader = session
    if session is None or session.only not in {None, row["customer_id"]}:
        reader = Session.begin("a link in Slack", Role.VIEWER, only=row["customer_id"])
    response = show(request, "integration.html", reader, **await _facts(use, row), **await _lists(use, row, asked))
    if reader is not None and reader is not session:
        use.sessions.start(response, reader)
    return response


def _refused(request: Request, use: Resources, integration: UUID, token: str) -> HTMLResponse | None:
    """What to say to somebody who has nothing but this link; None if it is good."""
    try:
        if use.links.read(Purpose.STATUS, token, datetime.now(UTC)).subject == integration:
            return None
    except ExpiredTokenError:
        return say(request, "This link is too old", "Open the page again from the Slack message, or sign in.", 403)
    except BadTokenError:
        pass
    return say(request, "This link does not work", "It was cut off or changed on its way.", 403)


async def _facts(use: Resources, row: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC)
    incidents = await use.reader.incidents_of(row["id"])
    shown = next((i for i in incidents if i["id"] == row["open_incident"]), incidents[0] if incidents else None)
    view = await use.views.load(shown["id"]) if shown else None
    reader = Person(timezone=view.csm.timezone if view and view.csm else None)
    where = phrases.zone(reader.timezone)

    def told(at: datetime | None) -> str | None:
        return phrases.moment(at, where) if at else None

    words = Words(await use.reader.names_of(row["customer_id"]), told)
    history = {"funnel": [], "deliveries": [], "timeline": []} if shown is None else await _history(use, words, shown)
    return {
        **history,
        "integration": _integration(use, row, view, told),
        "incident": view and use.renderer.facts(view, now=now, reader=reader),
        "number": shown and shown["number"],
        "shown": shown and shown["id"],
        "times_are": "UTC" if where is UTC else f"in {reader.timezone}",
        "as_of": told(now),
        "when": told,  # all times of this page are in the CSM's zone
    }


async def _lists(use: Resources, row: dict[str, Any], asked: IntegrationQuery) -> dict[str, Any]:
    """Its reliability, and every list that has more pages."""
    customer, integration = row["customer_id"], row["id"]
    window, now = parse_duration(asked.charts), reliability.now()
    report, events, incidents, credentials, found = await asyncio.gather(
        integration_report(use, integration, _LOOKING_BACK),
        event_rows(use, integration, asked.events, _ROWS),
        incident_rows(use, customer, integration, asked.incidents, _ROWS),
        credential_rows(use, customer, integration, asked.credentials, _ROWS),
        buckets(use, integration, window),
    )
    chart = looks(found, use.policy.current.metrics.bucket, now, window) if found else None
    return {
        "asked": asked,
        "id": integration,
        "customer": row["customer"],
        "open_incident": row["open_incident"],
        "has_monitor": row["monitor"] is not None,
        "chart": chart,
        "chart_windows": _CHARTS,
        "reliability": report and named(integration_facts(report), report),
        "tiles": report and tiles(report.figures, report.before, report.trend),
        "causes": report and causes(report.figures),
        "events": [_event(event) for event in events[0]],
        "events_more": events[1],
        "incidents": [incident_row(one, now, use.settings.product_name) for one in incidents[0]],
        "incidents_more": incidents[1],
        "credentials": [ending(one, now) for one in credentials[0]],
        "credentials_more": credentials[1],
    }


def _flat(event: Row) -> Row:
    return {**event, "error": event["error"] and json.dumps(event["error"], ensure_ascii=False)}


def _event(row: dict[str, Any]) -> dict[str, Any]:
    error = row["error"] or {}
    told = [str(error[name]) for name in ("code", "http_status", "message", "description") if error.get(name)]
    return {**row, "meant": _EFFECTS[row["effect"]], "error": phrases.shorten(" · ".join(told), 300)}


async def _history(use: Resources, words: Words, incident: dict[str, Any]) -> dict[str, list[dict[str, object]]]:
    timeline, deliveries = await asyncio.gather(
        use.reader.timeline(incident["id"]), use.reader.deliveries(incident["id"])
    )
    return {
        "funnel": words.funnel(deliveries, incident, timeline),
        "deliveries": words.deliveries(deliveries),
        "timeline": words.timeline(timeline, deliveries),
    }


def _integration(use: Resources, row: dict[str, Any], view: IncidentView | None, told: Any) -> dict[str, object]:
    kind = row["integration_type"]
    known_as = view.provider_name if view else provider(kind)
    return {
        "name": row["display_name"] or known_as,
        "provider": known_as,
        "customer": row["customer"]["name"],
        "integration_type": kind,
        "integration_id": row["integration_id"],
        "status": "removed" if row["removed_at"] else row["status"],
        "is_critical": row["is_critical"],
        "last_success": told(row["last_successful_sync"]),
        "last_failure": told(row["last_failure_at"]),
        "failure_count": row["failure_count"],
        "monitor": _monitor(use, row["monitor"]),
    }


def _monitor(use: Resources, monitor: dict[str, Any] | None) -> str | None:
    if monitor is None:
        return None
    if monitor.get("paused"):
        return "Paused"
    interval = monitor.get("interval")
    every = parse_duration(interval) if interval else use.policy.current.monitoring.interval
    return f"Checked every {phrases.roughly(every)}".replace("every 1 ", "every ")
