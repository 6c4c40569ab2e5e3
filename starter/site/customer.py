"""One customer: what is fragile, why, whose fault it was, what should change, and what is about to break."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.responses import HTMLResponse

from activities import phrases
from activities.reliability import CustomerReport
from starter.api import reliability
from starter.api.histories import credential_rows, incident_rows, ledger_rows
from starter.api.paths import ExternalId
from starter.api.reliability_models import customer_answer
from starter.api.reliability_tables import INTEGRATION_COLUMNS, integration_rows
from starter.api.resources import Resources, Use
from starter.reporting import customer_facts
from starter.site.access import Viewer
from starter.site.names import HEALTH, called, incident_row, named
from starter.site.pages import show, site_router
from starter.site.tables import Row, all_pages, csv_file
from workflows.domain.durations import parse_duration

router = site_router()
WINDOWS = MappingProxyType({"30d": "30 days", "90d": "90 days", "180d": "180 days"})
_OF_INTEGRATION = ("integration_type", "integration_id", "display_name")
INCIDENT_COLUMNS = (
    *_OF_INTEGRATION, "number", "kind", "status", "severity", "category", "who_fixes", "reason", "opened_at",
    "detected_at", "acknowledged_at", "recovered_at", "closed_at", "resolution", "id",
)  # fmt: skip
CREDENTIAL_COLUMNS = (*_OF_INTEGRATION, "kind", "label", "ends_at", "renewed_by", "known_since")
_LEDGER_COLUMNS = ("created_at", "adjustment", "reason", "incident", *_OF_INTEGRATION)
_ROWS = 10  # of each of the lists that have more pages


class WindowChosen(BaseModel):
    """Over which time that ends now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: Literal["30d", "90d", "180d"] = "90d"


class CustomerQuery(WindowChosen):
    """And where each of the page's lists begins."""

    incidents: str | None = None
    ledger: str | None = None
    credentials: str | None = None


class Table(StrEnum):
    """What can be downloaded."""

    INTEGRATIONS = "integrations"
    INCIDENTS = "incidents"
    LEDGER = "health-score"
    CREDENTIALS = "credentials"


@router.get("/customers/{external_id}")
async def customer(
    request: Request, external_id: ExternalId, session: Viewer, asked: Annotated[CustomerQuery, Query()], use: Use
) -> HTMLResponse:
    known = await use.customers.get(external_id, session.only)
    id_ = known["id"]
    report, score, ledger, incidents, credentials = await asyncio.gather(
        _report(use, known, asked),
        use.reliability_store.score(id_),
        ledger_rows(use, id_, asked.ledger, _ROWS),
        incident_rows(use, id_, None, asked.incidents, _ROWS),
        credential_rows(use, id_, None, asked.credentials, _ROWS),
    )
    now = reliability.now()
    facts = customer_facts(report)
    shown = zip(facts["integrations"], report.integrations, strict=False)  # of very many, not all are facts
    facts["integrations"] = [named(fact, one) for fact, one in shown]
    product_name = use.settings.product_name
    return show(
        request,
        "customer.html",
        session,
        customer=known,
        money=phrases.money(known["arr"]) if known["arr"] is not None else None,
        asked=asked,
        windows=WINDOWS,
        facts=facts,
        score=score,
        ledger=[{**row, "name": called(row["integration"])} for row in ledger[0]],
        ledger_more=ledger[1],
        incidents=[incident_row(row, now, product_name) for row in incidents[0]],
        incidents_more=incidents[1],
        credentials=[ending(row, now) for row in credentials[0]],
        credentials_more=credentials[1],
        health=HEALTH,
    )


@router.get("/customers/{external_id}/{table}.csv")
async def customer_csv(
    external_id: ExternalId, table: Table, session: Viewer, asked: Annotated[WindowChosen, Query()], use: Use
) -> Response:
    """All rows of one of the page's tables."""
    known = await use.customers.get(external_id, session.only)
    name, id_ = f"{external_id}-{table}", known["id"]
    match table:
        case Table.INTEGRATIONS:
            rows = integration_rows([customer_answer(await _report(use, known, asked))])
            return reliability.csv(name, rows, *INTEGRATION_COLUMNS)
        case Table.INCIDENTS:
            listed = all_pages(lambda at: incident_rows(use, id_, None, at, 500), flat)
            return csv_file(name, listed, *INCIDENT_COLUMNS)
        case Table.LEDGER:
            return csv_file(name, all_pages(lambda at: ledger_rows(use, id_, at, 500), flat), *_LEDGER_COLUMNS)
        case Table.CREDENTIALS:
            listed = all_pages(lambda at: credential_rows(use, id_, None, at, 500), flat)
            return csv_file(name, listed, *CREDENTIAL_COLUMNS)


async def _report(use: Resources, known: dict[str, Any], asked: WindowChosen) -> CustomerReport:
    window = parse_duration(asked.window)
    return await use.reliability.customer(known["id"], known["external_id"], known["name"], window, reliability.now())


def ending(row: dict[str, Any], now: Any) -> dict[str, Any]:
    """A credential in words."""
    left = row["ends_at"] - now
    return {
        **row,
        "name": called(row["integration"]),
        "ends_in": phrases.ahead(left) if left.total_seconds() > 0 else "has ended",
        "tone": "bad" if left.days < 7 else "warn" if left.days < 30 else "",
        "renewed_by": "The customer" if row["renewed_by"] == "customer" else "Us",
    }


def flat(row: Row) -> Row:
    """An integration's names beside what it is about."""
    return {**row["integration"], **row}
