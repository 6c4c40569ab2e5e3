"""One integration's history: its events, what our looks at it measured, and how reliable it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from activities.db.metrics import Bucket
from activities.reliability import IntegrationReport
from starter.api import reliability
from starter.api.auth import ReadKey
from starter.api.filters import Paged
from starter.api.histories import event_rows
from starter.api.models import Answer, Page, Time
from starter.api.problems import Problem, answers
from starter.api.reliability_models import IntegrationReliability, Share, integration_answer
from starter.api.resources import Resources, Use
from workflows.domain.durations import format_duration

router = APIRouter(prefix="/v1/integrations/{integration}", tags=["Integrations"])
_ERRORS = answers(401, 403, 404, 422, 429, 503)


class EventAnswer(Answer):
    """What was said about an integration, and what it meant."""

    id: UUID
    event_type: str
    effect: str = Field(examples=["failure", "rate_limit", "success", "hint", "note"])
    source: str
    event_id: str
    occurred_at: Time
    created_at: Time = Field(description="When it was stored.")
    error: dict[str, Any] | None
    new_status: str | None = Field(description="The status that it told of, if it told of one.")
    endpoint: str | None
    incident: UUID | None


class BucketAnswer(Answer):
    """What our looks saw from `start` on, for the length of a bucket; times without a look have none."""

    start: Time
    probes: int
    successes: int
    failures: int
    success_rate: Share | None = Field(description="Null if nothing succeeded and nothing failed.")
    p50_seconds: float | None
    p95_seconds: float | None


class MetricsAnswer(Answer):
    bucket: str = Field(examples=["15m"])
    items: list[BucketAnswer]


class MetricsQuery(reliability.WindowQuery):
    window: reliability.Window = Field("24h", validate_default=True, examples=["24h", "7d"])


async def buckets(use: Resources, integration: UUID, window: timedelta) -> list[Bucket]:
    """Oldest first."""
    return await use.metrics.health_metrics(integration, reliability.now() - window)


async def integration_report(use: Resources, integration: UUID, window: timedelta) -> IntegrationReport | None:
    """None if it did not exist in the window."""
    return (await use.reliability.integrations([integration], window, reliability.now())).get(integration)


def bucket_answer(bucket: Bucket) -> dict[str, Any]:
    """As BucketAnswer."""
    tally = bucket.tally
    return {
        "start": bucket.start,
        "probes": tally.probes,
        "successes": tally.successes,
        "failures": tally.failures,
        "success_rate": tally.success_rate,
        "p50_seconds": tally.p50 and tally.p50.total_seconds(),
        "p95_seconds": tally.p95 and tally.p95.total_seconds(),
    }


@router.get("/events", summary="Everything that was said about it", response_model=Page[EventAnswer], responses=_ERRORS)
async def list_events(integration: UUID, key: ReadKey, wanted: Annotated[Paged, Query()], use: Use) -> object:
    """Newest first."""
    await use.reader.integration(integration, key.customer_id)
    items, more = await event_rows(use, integration, wanted.cursor, wanted.limit)
    return {"items": items, "next_cursor": more}


@router.get("/metrics", summary="What our looks measured (FR-1.5)", response_model=MetricsAnswer, responses=_ERRORS)
async def get_metrics(integration: UUID, key: ReadKey, asked: Annotated[MetricsQuery, Query()], use: Use) -> object:
    """Success rate and latency, oldest first; empty without a monitor."""
    await use.reader.integration(integration, key.customer_id)
    found = await buckets(use, integration, asked.window)
    length = use.policy.current.metrics.bucket
    return {"bucket": format_duration(length), "items": [bucket_answer(bucket) for bucket in found]}


@router.get(
    "/reliability",
    summary="How reliable it was",
    response_model=IntegrationReliability,
    responses=_ERRORS,
)
async def get_integration_reliability(
    integration: UUID, key: ReadKey, asked: Annotated[reliability.WindowQuery, Query()], use: Use
) -> object:
    """As `/v1/customers/{external_id}/reliability` tells it of each; not found if it did not exist in the window."""
    await use.reader.integration(integration, key.customer_id)
    report = await integration_report(use, integration, asked.window)
    if report is None:
        raise Problem(404, "the integration did not exist in this time")
    return integration_answer(report)
