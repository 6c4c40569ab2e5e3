"""What View Integration Status opens: one integration, its incident, who was told, and what happened."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from starlette.responses import HTMLResponse

from activities import phrases
from activities.db.integrations import UnknownIntegrationError
from activities.links import BadTokenError, ExpiredTokenError, Purpose
from activities.playbooks.loader import load_catalogue
from activities.views import IncidentView, Person
from starter.api.html import html, message
from starter.api.resources import Resources, Use
from starter.api.status_words import Words
from workflows.domain.durations import parse_duration
from workflows.domain.explanation import provider_name

router = APIRouter(tags=["Pages"], default_response_class=HTMLResponse)


@router.get("/static/relink.css", summary="The pages' style sheet", response_class=Response)
async def stylesheet(use: Use) -> Response:
    """Its own colours are at its top; RELINK_TEMPLATES_DIR may bring another."""
    return Response(
        use.renderer.stylesheet(),
        media_type="text/css; charset=utf-8",
        headers={"Cache-Control": "public, max-age=300"},
    )


@router.get("/integrations/{integration}", summary="The status page of an integration")
async def integration_page(integration: UUID, use: Use, token: str = "") -> Response:
    """For staff, by a signed link; it reads and never writes."""
    try:
        if use.links.read(Purpose.STATUS, token, datetime.now(UTC)).subject == integration:
            return html(use.renderer.page("integration.html", **await _facts(use, integration)))
    except ExpiredTokenError:
        return message(use.renderer, "This link is too old", "Open the page again from the Slack message.", 403)
    except UnknownIntegrationError:
        return message(use.renderer, "There is nothing here", "This integration does not exist.", 404)
    except BadTokenError:
        return message(use.renderer, "This link does not work", "It was cut off or changed on its way.", 403)
    return message(use.renderer, "This link does not work", "It was cut off or changed on its way.", 403)


async def _facts(use: Resources, integration: UUID) -> dict[str, Any]:
    now = datetime.now(UTC)
    row, incidents = await asyncio.gather(use.reader.integration(integration), use.reader.incidents_of(integration))
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
        "earlier": words.earlier(incidents, shown["id"] if shown else None),
        "times_are": "UTC" if where is UTC else f"in {reader.timezone}",
        "now": told(now),
    }


async def _history(use: Resources, words: Words, incident: dict[str, Any]) -> dict[str, list[dict[str, object]]]:
    timeline, deliveries = await asyncio.gather(
        use.reader.timeline(incident["id"]), use.reader.deliveries(incident["id"])
    )
    return {
        "funnel": words.funnel(deliveries, incident, timeline),
        "deliveries": words.deliveries(deliveries),
        "timeline": words.timeline(timeline),
    }


def _integration(use: Resources, row: dict[str, Any], view: IncidentView | None, told: Any) -> dict[str, object]:
    kind = row["integration_type"]
    provider = view.provider_name if view else provider_name(kind, load_catalogue().find(kind))
    return {
        "name": row["display_name"] or provider,
        "provider": provider,
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
