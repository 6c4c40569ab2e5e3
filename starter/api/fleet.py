"""The whole fleet: what is down now, and everything else; the page /fleet shows the same."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from starter.api.auth import ReadKey, only_own
from starter.api.filters import FleetFilter
from starter.api.models import FleetPage
from starter.api.problems import answers
from starter.api.resources import Resources, Use

router = APIRouter(tags=["Fleet"])


async def fleet_page(use: Resources, wanted: FleetFilter, only: UUID | None) -> dict[str, Any]:
    """One page as `GET /v1/fleet` answers it. Raises BadCursorError."""
    (items, cursor), down, totals = await asyncio.gather(
        fleet_rows(use, wanted, only), use.fleet.counts(only), use.fleet.totals(only)
    )
    return {
        "items": items,
        "next_cursor": cursor,
        "down": sum(row["count"] for row in down["all"]),
        **{f"by_{facet}": down[facet] for facet in ("severity", "provider", "csm")},
        **totals,
    }


async def fleet_rows(use: Resources, wanted: FleetFilter, only: UUID | None) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of one page, and where the next one begins. Raises BadCursorError."""
    scope = wanted.scope("fleet", only)
    rows = await use.fleet.rows(wanted.wanted(only, use.cursors.read_place(scope, wanted.cursor)))
    items, more = use.cursors.split_places(scope, rows, wanted.limit)
    return [_named(row, use.settings.product_name) for row in items], more


def _named(row: dict[str, Any], product_name: str) -> dict[str, Any]:
    incident = row["incident"]
    if incident:
        incident["reason"] = incident["reason"].replace("{product_name}", product_name)
    return row


@router.get(
    "/v1/fleet",
    summary="All integrations, what is down of them first",
    response_model=FleetPage,
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def list_fleet(key: ReadKey, wanted: Annotated[FleetFilter, Query()], use: Use) -> object:
    """Without those that were removed."""
    return await fleet_page(use, wanted, only_own(key, wanted.customer))
