"""Incidents as they are."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from starter.api.auth import ReadKey, only_own
from starter.api.filters import IncidentFilter
from starter.api.funnel import funnel
from starter.api.models import IncidentAnswer, IncidentInFull, Page
from starter.api.problems import answers
from starter.api.resources import Resources, Use
from workflows.domain.response import next_due

router = APIRouter(tags=["Incidents"])


async def incident_in_full(use: Resources, incident: UUID, only: UUID | None) -> dict[str, Any]:
    """An incident as `GET /v1/incidents/{id}` shows it. Raises UnknownIncidentError."""
    row = await use.reader.incident(incident, only)
    timeline, deliveries, situation = await asyncio.gather(
        use.reader.timeline(incident), use.reader.deliveries(incident), use.incidents.situation(incident)
    )
    due = None if situation.is_over else next_due(situation, datetime.now(UTC))
    next_action = due and {"kind": due.news.name.lower(), "at": due.at}
    steps = [asdict(step) for step in funnel(deliveries, row, timeline)]
    return {**row, "timeline": timeline, "deliveries": deliveries, "funnel": steps, "next_action": next_action}


@router.get(
    "/v1/incidents",
    summary="All incidents",
    response_model=Page[IncidentAnswer],
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def list_incidents(key: ReadKey, wanted: Annotated[IncidentFilter, Query()], use: Use) -> object:
    """Newest first."""
    only = only_own(key, wanted.customer)
    scope = wanted.scope("incidents", only)
    rows = await use.reader.incidents(wanted.wanted(only, use.cursors.read_after(scope, wanted.cursor)))
    items, more = use.cursors.split(scope, rows, wanted.limit, by="detected_at")
    return {"items": items, "next_cursor": more}


@router.get(
    "/v1/incidents/{incident}",
    summary="One incident, with its timeline, its messages and what happens next",
    response_model=IncidentInFull,
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def get_incident(incident: UUID, key: ReadKey, use: Use) -> object:
    """`next_action` is null when it is over, or when nothing but news can move it."""
    return await incident_in_full(use, incident, key.customer_id)
