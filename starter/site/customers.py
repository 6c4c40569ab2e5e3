"""All customers: who they are, and how they are doing now."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import HTMLResponse, StreamingResponse

from activities import phrases
from activities.db.overview import CustomerSort
from starter.api.filters import CustomersFilter
from starter.api.overview import customer_rows
from starter.api.resources import Use
from starter.site.access import Viewer
from starter.site.pages import show, site_router
from starter.site.tables import all_pages, csv_file

router = site_router()
_SORT = MappingProxyType(
    {
        CustomerSort.NAME: "Name",
        CustomerSort.DOWN: "Most down",
        CustomerSort.SCORE: "Lowest score",
        CustomerSort.ARR: "ARR",
    }
)
_COLUMNS = (
    "external_id", "name", "arr", "csm", "health_score", "integrations", "down", "degraded", "severity"
)  # fmt: skip


@router.get("/customers")
async def customers(
    request: Request, session: Viewer, wanted: Annotated[CustomersFilter, Query()], use: Use
) -> HTMLResponse:
    rows, more = await customer_rows(use, wanted, session.only)
    shown = [{**row, "money": phrases.money(row["arr"]) if row["arr"] is not None else None} for row in rows]
    return show(request, "customers.html", session, wanted=wanted, rows=shown, more=more, sorts=_SORT)


@router.get("/customers.csv")
async def customers_csv(session: Viewer, wanted: Annotated[CustomersFilter, Query()], use: Use) -> StreamingResponse:
    """All rows of this search."""

    async def page(cursor: str | None) -> tuple[list[dict[str, object]], str | None]:
        return await customer_rows(use, wanted.model_copy(update={"limit": 500, "cursor": cursor}), session.only)

    return csv_file("customers", all_pages(page), *_COLUMNS)
