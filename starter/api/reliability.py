"""Reliability over time (US-4), the measures of success (PRD-101 1.3), and the ledger of a customer's health score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from starter import tables
from starter.api.auth import ReadKey, only_own
from starter.api.histories import ledger_rows
from starter.api.paths import ExternalId, Limit, Text
from starter.api.problems import answers
from starter.api.reliability_models import (
    CustomerReliability,
    ScoreLedger,
    SuccessAnswer,
    customer_answer,
    item_answer,
    success_answer,
)
from starter.api.reliability_tables import INTEGRATION_COLUMNS, MEASURE_COLUMNS, integration_rows, measure_rows
from starter.api.resources import Use
from workflows.domain.durations import Duration
from workflows.domain.success import Name

router = APIRouter(tags=["Reliability"])
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


def now() -> datetime:
    """When every window ends."""
    return datetime.now(UTC)


def not_empty(window: timedelta) -> timedelta:
    if not window:
        raise ValueError('must be longer than nothing, such as "90d"')
    return window


Window: TypeAlias = Annotated[Duration, AfterValidator(not_empty)]


class WindowQuery(BaseModel):
    """Over which time that ends now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: Window = Field("90d", validate_default=True, examples=["90d", "24h"])


class ReliabilityQuery(WindowQuery):
    format: Literal["json", "csv"] | None = Field(None, description="Instead of the header `Accept: text/csv`.")

    def wants_csv(self, request: Request) -> bool:
        accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0]
        return self.format == "csv" or (self.format is None and accepted.strip().lower() == "text/csv")


class SuccessQuery(ReliabilityQuery):
    window: Window = Field("30d", validate_default=True, examples=["30d", "24h"])
    customer: Text | None = Field(None, description="Only this customer; the baseline of tickets is of all together.")
    measure: Name | None = Field(None, description="Only this one; as CSV: everything that it was computed from.")
    limit: Annotated[int, Field(ge=0, le=500)] = Field(50, description="At most so many `items` of each measure.")


@router.get(
    "/v1/customers/{external_id}/reliability",
    summary="How reliable a customer's integrations were",
    response_model=CustomerReliability,
    responses=_CSV | answers(401, 403, 404, 422, 429, 503),
)
async def get_reliability(
    external_id: ExternalId, key: ReadKey, asked: Annotated[ReliabilityQuery, Query()], request: Request, use: Use
) -> object:
    """Over a window that ends now: uptime, how fast we noticed and mended, whose fault it was, and what is chronic.

    As CSV: one line for each integration.
    """
    customer = await use.customers.get(external_id, key.customer_id)
    report = await use.reliability.customer(customer["id"], external_id, customer["name"], asked.window, now())
    answer = customer_answer(report)
    if asked.wants_csv(request):
        return csv(f"{external_id}-reliability", integration_rows([answer]), *INTEGRATION_COLUMNS)
    return answer


@router.get(
    "/v1/metrics/success",
    summary="Whether Relink does what it is for: the four measures of PRD-101 §1.3",
    response_model=SuccessAnswer,
    responses=_CSV | answers(401, 403, 404, 422, 429, 503),
)
async def get_success(key: ReadKey, asked: Annotated[SuccessQuery, Query()], request: Request, use: Use) -> object:
    """Of all customers, or of one, over a window that ends now. Each with what it was computed from."""
    only = only_own(key, asked.customer)
    if asked.customer is not None:
        only = await use.customers.id_of(asked.customer, only)
    report = await use.reliability.success(asked.window, now(), only)
    if asked.measure is not None:
        report = report.only(asked.measure)
    if not asked.wants_csv(request):
        return success_answer(report, asked.limit)
    if asked.measure is not None:
        return csv(asked.measure, map(item_answer, report.measures[0].items), "id", "good", "amount")
    return csv("success", measure_rows(success_answer(report, 0)), *MEASURE_COLUMNS)


@router.get(
    "/v1/customers/{external_id}/health-score",
    summary="A customer's health score, and every change of it",
    response_model=ScoreLedger,
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def get_health_score(
    external_id: ExternalId, key: ReadKey, use: Use, limit: Limit = 50, cursor: str | None = None
) -> object:
    """Each change belongs to an incident: lowered once, and given back when it ends."""
    customer = await use.customers.get(external_id, key.customer_id)
    score = await use.reliability_store.score(customer["id"])
    items, more = await ledger_rows(use, customer["id"], cursor, limit)
    return {
        "customer": customer,
        "health_score": score["shown"],
        "base": score["base"],
        "adjustments": score["adjustments"],
        "items": items,
        "next_cursor": more,
    }


def csv(name: str, rows: Iterable[Mapping[str, object]], *columns: str) -> Response:
    """A table to be saved under this name."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}.csv"'}
    return Response(tables.to_csv(rows, *columns), media_type=tables.MEDIA_TYPE, headers=headers)
