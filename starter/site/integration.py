"""What View Integration Status opens: one integration, its incident, who was told, and what happened."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from starlette.responses import HTMLResponse

from activities import phrases
from activities.links import BadTokenError, ExpiredTokenError, Purpose
from activities.playbooks.loader import load_catalogue
from activities.views import IncidentView, Person
from starter.api.resources import Resources, Use
from starter.site.access import Whoever
from starter.site.pages import SignedOutError, say, show, site_router
from starter.site.sessions import Session
from starter.site.staff import Role
from starter.site.words import Words
from workflows.domain.durations import parse_duration
from workflows.domain.explanation import provider_name

router = site_router()


@router.get("/integrations/{integration}")
async def integration_page(
    request: Request, integration: UUID, use: Use, session: Whoever, token: str = ""
) -> Response:
    """For staff: signed in, or by a signed link, which also signs in a viewer of that one customer. It never writes."""
    if session is None and not token:
        raise SignedOutError
    refused = _refused(request, use, integration, token)
    if session is None and refused:
        return refused
    row = await use.reader.integration(integration, session.only if session and refused else None)
    reader = session
    if session is None or session.only not in {None, row["customer_id"]}:
        reader = Session.begin("a link in Slack", Role.VIEWER, only=row["customer_id"])
    response = show(request, "integration.html", reader, **await _facts(use, row))
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
        "earlier": words.earlier(incidents, shown["id"] if shown else None),
        "times_are": "UTC" if where is UTC else f"in {reader.timezone}",
        "as_of": told(now),
    }


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
