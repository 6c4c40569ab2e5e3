"""Integrations: what a customer has connected, and how it is doing."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from activities.customers import IntegrationWrite
from activities.probes.monitor import refused_urls
from starter.api.auth import AdminKey, ReadKey, only_own
from starter.api.filters import IntegrationFilter
from starter.api.limits import body_of
from starter.api.models import IntegrationAnswer, Page
from starter.api.openapi import takes
from starter.api.paths import ExternalId, IdInPath, TypeInPath
from starter.api.problems import Problem, answers, created
from starter.api.resources import Resources, Use

router = APIRouter(tags=["Integrations"])
_ONE = "/v1/customers/{external_id}/integrations/{integration_type}/{integration_id:path}"


def integration_answer(row: dict[str, Any], use: Resources) -> dict[str, Any]:
    """A row as the API shows it."""
    reason: str | None = row["failure_reason"]
    return {**row, "failure_reason": reason and reason.replace("{product_name}", use.settings.product_name)}


@router.put(
    _ONE,
    summary="Create or replace an integration",
    response_model=IntegrationAnswer,
    responses=created(IntegrationAnswer, "It is new, or was removed before")
    | answers(401, 403, 404, 413, 415, 422, 429, 503),
    openapi_extra=takes(IntegrationWrite),
)
async def put_integration(
    external_id: ExternalId,
    integration_type: TypeInPath,
    integration_id: IdInPath,
    key: AdminKey,
    wanted: Annotated[IntegrationWrite, body_of(IntegrationWrite)],
    response: Response,
    use: Use,
) -> object:
    """Replaces the whole object, except secrets of the monitor, which stay if they are left out.

    An integration that was registered by an event without an id is adopted if it is the only one of its type. One that
    was removed is revived. New secrets while an incident is open start a check at once.
    """
    only = only_own(key, external_id)
    if wanted.monitor is not None and not use.settings.probe_allow_private:
        for field, problem in (await refused_urls(wanted.monitor)).items():
            raise Problem.at(f"monitor.{field}", problem)
    customer = await use.customers.id_of(external_id, only)
    stored = await use.integrations.put(customer, integration_type, integration_id, wanted)
    await use.bells.soon(stored.bells)
    response.status_code = 201 if stored.created else 200
    return integration_answer(await use.reader.integration(stored.id), use)


@router.delete(
    _ONE,
    status_code=204,
    summary="Remove an integration",
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def delete_integration(
    external_id: ExternalId, integration_type: TypeInPath, integration_id: IdInPath, key: AdminKey, use: Use
) -> Response:
    """Its open incident is cancelled, its history kept; a PUT revives it. Removing it again changes nothing."""
    customer = await use.customers.id_of(external_id, only_own(key, external_id))
    await use.bells.soon(await use.integrations.remove(customer, integration_type, integration_id))
    return Response(status_code=204)


@router.get(
    "/v1/integrations",
    summary="All integrations",
    response_model=Page[IntegrationAnswer],
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def list_integrations(key: ReadKey, wanted: Annotated[IntegrationFilter, Query()], use: Use) -> object:
    """Oldest first, without those that were removed unless `removed=true`."""
    only = only_own(key, wanted.customer)
    scope = wanted.scope("integrations", only)
    rows = await use.reader.integrations(wanted.wanted(only, use.cursors.read_after(scope, wanted.cursor)))
    items, more = use.cursors.split(scope, rows, wanted.limit, by="created_at")
    return {"items": [integration_answer(row, use) for row in items], "next_cursor": more}


@router.get(
    "/v1/integrations/{integration}",
    summary="One integration",
    response_model=IntegrationAnswer,
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def get_integration(integration: UUID, key: ReadKey, use: Use) -> object:
    """Also one that was removed: then `removed_at` is set."""
    return integration_answer(await use.reader.integration(integration, key.customer_id), use)
