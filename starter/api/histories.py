"""One page each of what customers and integrations have gone through: rows, and the cursor of the next page.

All raise BadCursorError.
"""

from __future__ import annotations

from typing import Any, TypeAlias
from uuid import UUID

from starter.api.resources import Resources

Rows: TypeAlias = tuple[list[dict[str, Any]], str | None]


async def incident_rows(
    use: Resources, customer: UUID, integration: UUID | None, cursor: str | None, limit: int
) -> Rows:
    """Incidents of a customer, or of one of its integrations, newest first."""
    scope = f"incidents-of/{customer}/{integration}"
    rows = await use.overview.incidents(customer, integration, use.cursors.read_after(scope, cursor), limit + 1)
    return use.cursors.split(scope, rows, limit, by="opened_at")


async def ledger_rows(use: Resources, customer: UUID, cursor: str | None, limit: int) -> Rows:
    """Changes of a customer's health score, newest first."""
    scope = f"health-score/{customer}"
    rows = await use.reliability_store.ledger(customer, use.cursors.read_after(scope, cursor), limit + 1)
    return use.cursors.split(scope, rows, limit, by="created_at")


async def event_rows(use: Resources, integration: UUID, cursor: str | None, limit: int) -> Rows:
    """What was said about an integration, newest first."""
    scope = f"events/{integration}"
    rows = await use.overview.events(integration, use.cursors.read_after(scope, cursor), limit + 1)
    return use.cursors.split(scope, rows, limit, by="occurred_at")


async def credential_rows(
    use: Resources, customer: UUID | None, integration: UUID | None, cursor: str | None, limit: int
) -> Rows:
    """Credentials whose end is known, the next to end first."""
    scope = f"credentials/{customer}/{integration}"
    rows = await use.overview.credentials(customer, integration, use.cursors.read_place(scope, cursor), limit + 1)
    return use.cursors.split_places(scope, rows, limit)
