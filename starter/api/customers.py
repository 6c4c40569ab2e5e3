"""Customers: who they are, who looks after them, and whom to write to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from activities.customers import CustomerWrite
from starter.api.auth import AdminKey, ReadKey, only_own
from starter.api.limits import body_of
from starter.api.models import CustomerAnswer, Page
from starter.api.openapi import takes
from starter.api.paths import ExternalId, Limit
from starter.api.problems import answers, created
from starter.api.resources import Use

router = APIRouter(tags=["Customers"])


@router.put(
    "/v1/customers/{external_id}",
    summary="Create or replace a customer",
    response_model=CustomerAnswer,
    responses=created(CustomerAnswer, "It is new") | answers(401, 403, 404, 413, 415, 422, 429, 503),
    openapi_extra=takes(CustomerWrite),
)
async def put_customer(
    external_id: ExternalId,
    key: AdminKey,
    customer: Annotated[CustomerWrite, body_of(CustomerWrite)],
    response: Response,
    use: Use,
) -> object:
    """Replaces the whole object, except `health_score`, which stays if it is left out.

    People are recognised by their address and keep their ids; who is not listed any more is told nothing more.
    """
    only_own(key, external_id)
    stored, created = await use.customers.put(external_id, customer)
    response.status_code = 201 if created else 200
    return stored


@router.get(
    "/v1/customers/{external_id}",
    summary="One customer",
    response_model=CustomerAnswer,
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def get_customer(external_id: ExternalId, key: ReadKey, use: Use) -> object:
    """With its people, whose ids `send-fix-instructions` and `schedule-tech-call` take as `contact_id`."""
    return await use.customers.get(external_id, key.customer_id)


@router.get(
    "/v1/customers",
    summary="All customers",
    response_model=Page[CustomerAnswer],
    responses=answers(401, 403, 422, 429, 503),
)
async def list_customers(key: ReadKey, use: Use, limit: Limit = 50, cursor: str | None = None) -> object:
    """In the order of their external ids."""
    scope = f"customers/{key.customer_id}"
    after = use.cursors.read(scope, cursor).decode() if cursor is not None else None
    found = await use.customers.list(key.customer_id, after, limit + 1)
    items = found[:limit]
    more = use.cursors.make(scope, items[-1]["external_id"].encode()) if len(found) > limit else None
    return {"items": items, "next_cursor": more}
