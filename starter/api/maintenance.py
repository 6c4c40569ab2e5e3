"""Planned maintenance: time that counts neither as up nor as down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from activities.customers import Line
from activities.events import IntegrationType
from starter.api.auth import AdminKey, ReadKey, only_own
from starter.api.limits import body_of
from starter.api.models import Answer, Page, Time
from starter.api.openapi import takes
from starter.api.paths import Limit, Text
from starter.api.problems import Problem, answers
from starter.api.resources import Use
from workflows.domain.intervals import Span

router = APIRouter(tags=["Maintenance"])
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class MaintenanceWrite(BaseModel):
    """Which integrations, and when: those of a customer, of a type, of both, or a single one. Also afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Line | None = Field(None, description="External id; absent: of all customers.", examples=["techcorp"])
    integration_type: IntegrationType | None = Field(None, examples=["salesforce"])
    integration_id: Line | None = Field(None, description="Needs the other two.", examples=["crm-sync"])
    from_: Annotated[AwareDatetime, Field(alias="from", ge=_EARLIEST, le=_LATEST)]
    until: Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST, description="Later than `from`.")]
    note: Annotated[str, StringConstraints(max_length=500)] = Field("", examples=["Salesforce moves data centres"])

    @model_validator(mode="after")
    def _is_some_time_of_something(self) -> Self:
        if self.until <= self.from_:
            raise PydanticCustomError("field", "must be later than `from`", {"field": "until"})
        if self.customer is None and self.integration_type is None:
            raise PydanticCustomError("field", "give a customer, an integration_type or both", {"field": "customer"})
        if self.integration_id is not None and (self.customer is None or self.integration_type is None):
            wanted = "needs a customer and an integration_type beside it"
            raise PydanticCustomError("field", wanted, {"field": "integration_id"})
        return self


class MaintenanceAnswer(Answer):
    id: UUID
    customer: str | None
    integration_type: str | None
    integration_id: str | None
    from_: Time = Field(alias="from")
    until: Time
    note: str
    created_at: Time


class MaintenanceQuery(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    customer: Text | None = Field(None, description="The customer's external id.", examples=["techcorp"])
    limit: Limit = 50
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None


@router.post(
    "/v1/maintenance",
    status_code=201,
    summary="Plan maintenance",
    response_model=MaintenanceAnswer,
    responses=answers(401, 403, 404, 413, 415, 422, 429, 503),
    openapi_extra=takes(MaintenanceWrite),
)
async def plan_maintenance(
    key: AdminKey, wanted: Annotated[MaintenanceWrite, body_of(MaintenanceWrite)], use: Use
) -> object:
    """Its time counts neither as up nor as down, also for integrations that are registered later. Incidents in it are
    handled as any others."""
    only = only_own(key, wanted.customer)
    if only is not None and wanted.customer is None:
        raise Problem.at("customer", "this API key may plan for its own customer only: name it")
    customer = None if wanted.customer is None else await use.customers.id_of(wanted.customer, only)
    planned = await use.reliability_store.plan_maintenance(
        customer=customer,
        integration_type=wanted.integration_type,
        integration_id=wanted.integration_id,
        time=Span(wanted.from_, wanted.until),
        note=wanted.note,
    )
    if planned is None:
        named = (
            "integration_id" if wanted.integration_id else "integration_type" if wanted.integration_type else "customer"
        )
        raise Problem.at(named, "there is no such integration; GET /v1/integrations lists them")
    (row,) = await use.reliability_store.maintenance(only, one=planned)
    return row


@router.get(
    "/v1/maintenance",
    summary="All planned maintenance",
    response_model=Page[MaintenanceAnswer],
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def list_maintenance(key: ReadKey, asked: Annotated[MaintenanceQuery, Query()], use: Use) -> object:
    """The latest first, past ones too. A key of one customer sees what was planned for it by name."""
    only = only_own(key, asked.customer)
    scope = f"maintenance/{only}/{asked.customer}"
    rows = await use.reliability_store.maintenance(
        only, customer=asked.customer, after=use.cursors.read_after(scope, asked.cursor), limit=asked.limit + 1
    )
    items, more = use.cursors.split(scope, rows, asked.limit, by="from")
    return {"items": items, "next_cursor": more}


@router.delete(
    "/v1/maintenance/{maintenance}",
    status_code=204,
    summary="Cancel maintenance",
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def cancel_maintenance(maintenance: UUID, key: AdminKey, use: Use) -> Response:
    """Its time counts again, also what has passed of it."""
    await use.reliability_store.cancel_maintenance(maintenance, key.customer_id)
    return Response(status_code=204)
