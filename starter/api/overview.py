"""What the pages of customers and providers show, for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from activities.reliability import FleetReport
from starter.api import reliability
from starter.api.auth import ReadKey, only_own
from starter.api.filters import CustomersFilter, Paged
from starter.api.histories import credential_rows
from starter.api.models import Answer, CustomerName, IntegrationName, Money, Page, Time
from starter.api.paths import Text, TypeInPath
from starter.api.problems import Problem, answers
from starter.api.reliability_models import FiguresAnswer, WindowAnswer, figures_answer, window_answer
from starter.api.resources import Resources, Use
from workflows.domain.blame import Blame, Verdict, blame
from workflows.domain.policy import Severity
from workflows.domain.reliability import Cause

router = APIRouter(tags=["Fleet"])


class CustomerRow(Answer):
    """A customer, and how it is doing now."""

    id: UUID
    external_id: str
    name: str
    arr: Money | None
    health_score: int
    csm: str | None
    integrations: int
    down: int = Field(description="With an open incident.")
    degraded: int = Field(description="Limping, without an incident yet.")
    severity: Severity | None = Field(description="The worst of its open incidents.")


class ProviderRow(Answer):
    """One integration type, of all customers. `down` has an open incident."""

    integration_type: str
    integrations: int
    customers: int
    down: int
    customers_down: int


class ProviderList(Answer):
    items: list[ProviderRow]


class BlameAnswer(Answer):
    """Is it them or is it the provider? Down here is down at this moment; what recovers is not."""

    verdict: Verdict
    customers: int
    customers_down: int
    integrations: int
    down: int
    together: int = Field(description="Of those down, how many failed within the policy's `[outage].window`.")
    together_since: Time | None
    down_by_cause: dict[Cause, int]


class OutageAnswer(Answer):
    """Each CSM has one digest of it; whoever is still down when it is over, or at `release_at`, is told by itself."""

    id: UUID
    began_at: Time
    release_at: Time


class ProviderAnswer(FiguresAnswer):
    """All connections to one provider, added up, over a window that ends now."""

    integration_type: str
    now: BlameAnswer
    outage: OutageAnswer | None = Field(
        description="While it fails for many at once: alerts and mails wait (`[outage]`)."
    )
    window: WindowAnswer


class Credential(Answer):
    """A token, key or certificate whose end is known."""

    kind: str = Field(examples=["certificate", "refresh_token"])
    label: str
    ends_at: Time
    renewed_by: str = Field(examples=["customer", "us"])
    known_since: Time
    customer: CustomerName
    integration: IntegrationName


class CredentialFilter(Paged):
    customer: Text | None = Field(None, description="The customer's external id.", examples=["techcorp"])
    integration: UUID | None = None


async def customer_rows(
    use: Resources, wanted: CustomersFilter, only: UUID | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of one page, and where the next one begins. Raises BadCursorError."""
    scope = wanted.scope("fleet/customers", only)
    rows = await use.overview.customers(wanted.wanted(only, use.cursors.read_place(scope, wanted.cursor)))
    return use.cursors.split_places(scope, rows, wanted.limit)


async def provider_report(use: Resources, integration_type: str, window: timedelta) -> tuple[FleetReport, Blame]:
    """How all connections to a provider were, and what those that are down have in common.

    Raises Problem (404) if nobody ever connected it.
    """
    report = await use.reliability.provider(integration_type, window, reliability.now())
    if not any(customer.known for customer in report.customers):
        raise Problem(404, "nobody has connected this provider")
    histories = [(c.id, i.subject.history) for c in report.customers for i in c.known]
    return report, blame(histories, report.window.end, use.policy.current.outage)


@router.get(
    "/v1/fleet/customers",
    summary="All customers, and how they are doing now",
    response_model=Page[CustomerRow],
    responses=answers(401, 403, 422, 429, 503),
)
async def list_customer_rows(key: ReadKey, wanted: Annotated[CustomersFilter, Query()], use: Use) -> object:
    """Counts are of integrations that were not removed."""
    items, more = await customer_rows(use, wanted, key.customer_id)
    return {"items": items, "next_cursor": more}


@router.get(
    "/v1/fleet/providers",
    summary="All providers, and how much of each is down now",
    response_model=ProviderList,
    responses=answers(401, 403, 404, 429, 503),
)
async def list_providers(key: ReadKey, use: Use) -> object:
    """What is down most first. Providers are seen across customers, so a key of one customer has nothing here."""
    _refuse_one_customer(key.customer_id)
    return {"items": await use.overview.providers()}


@router.get(
    "/v1/fleet/providers/{integration_type}",
    summary="One provider: is it them, or is it the provider?",
    response_model=ProviderAnswer,
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def get_provider(
    integration_type: TypeInPath, key: ReadKey, asked: Annotated[reliability.WindowQuery, Query()], use: Use
) -> object:
    """Of all customers, so a key of one customer has nothing here."""
    _refuse_one_customer(key.customer_id)
    report, now = await provider_report(use, integration_type, asked.window)
    return figures_answer(report.figures) | {
        "integration_type": integration_type,
        "now": {
            "verdict": now.verdict, "customers": now.customers, "customers_down": now.customers_down,
            "integrations": now.integrations, "down": now.down, "together": now.together,
            "together_since": now.together_since, "down_by_cause": now.by_cause,
        },
        "outage": await use.overview.outage(integration_type),
        "window": window_answer(report.window),
    }  # fmt: skip


@router.get(
    "/v1/credentials",
    summary="Tokens, keys and certificates whose end is known",
    response_model=Page[Credential],
    responses=answers(401, 403, 404, 422, 429, 503),
)
async def list_credentials(key: ReadKey, wanted: Annotated[CredentialFilter, Query()], use: Use) -> object:
    """The next to end first."""
    only = only_own(key, wanted.customer)
    if wanted.customer is not None:
        only = await use.customers.id_of(wanted.customer, only)
    if wanted.integration is not None:
        await use.reader.integration(wanted.integration, only)
    items, more = await credential_rows(use, only, wanted.integration, wanted.cursor, wanted.limit)
    return {"items": items, "next_cursor": more}


def _refuse_one_customer(only: UUID | None) -> None:
    if only is not None:
        raise Problem(404, "providers are of all customers; you may see one")
