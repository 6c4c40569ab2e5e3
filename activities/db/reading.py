"""What the API and the pages show: integrations and incidents, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from activities.db.incidents import UnknownIncidentError
from activities.db.integrations import UnknownIntegrationError
from activities.db.pool import Pool
from activities.db.sql import queries

_SQL = queries("reading")
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which rows to list. `only` is the customer that a key is limited to; `after` the last row of the page before."""

    only: UUID | None = None
    status: Sequence[str] | None = None
    severity: Sequence[str] | None = None
    customer: str | None = None
    integration_type: str | None = None
    removed: bool = False
    after: tuple[datetime, UUID] | None = None
    limit: int = 50


class Reader:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def integrations(self, wanted: Wanted) -> list[Row]:
        """Oldest first."""
        return await self._integrations(wanted, None)

    async def integration(self, integration: UUID, only: UUID | None = None) -> Row:
        """One integration, also a removed one. Raises UnknownIntegrationError."""
        rows = await self._integrations(Wanted(only=only, removed=True, limit=1), integration)
        if not rows:
            raise UnknownIntegrationError(str(integration))
        return rows[0]

    async def incidents(self, wanted: Wanted) -> list[Row]:
        """Newest first."""
        return await self._incidents(wanted, None)

    async def incident(self, incident: UUID, only: UUID | None = None) -> Row:
        """Raises UnknownIncidentError."""
        rows = await self._incidents(Wanted(only=only, limit=1), incident)
        if not rows:
            raise UnknownIncidentError(str(incident))
        return rows[0]

    async def timeline(self, incident: UUID) -> list[Row]:
        """Oldest first."""
        return await self._fetch("timeline", incident)

    async def deliveries(self, incident: UUID) -> list[Row]:
        """Every message that was meant to be sent, oldest first."""
        return await self._fetch("deliveries", incident)

    async def adjustments(self, incident: UUID) -> list[Row]:
        """What the incident did to its customer's health score, oldest first."""
        return await self._fetch("adjustments", incident)

    async def incidents_of(self, integration: UUID) -> list[Row]:
        """The integration's newest 50 incidents, newest first."""
        return await self._fetch("incidents_of_integration", integration)

    async def names_of(self, customer: UUID) -> dict[UUID, str]:
        """The names (or else addresses) of a customer's people, also of those who left."""
        people = await self._pool.fetch(_SQL["people_of_customer"], customer)
        return {p["id"]: p["name"] or p["email"] or "somebody" for p in people}

    async def gauges(self) -> list[Row]:
        """Figures for /metrics: name, help, labels (name, value, …), value."""
        return await self._fetch("gauges")

    async def _integrations(self, wanted: Wanted, one: UUID | None) -> list[Row]:
        return await self._fetch(
            "integrations",
            wanted.only,
            one,
            wanted.status,
            wanted.customer,
            wanted.integration_type,
            wanted.removed,
            *_after(wanted),
            wanted.limit,
        )

    async def _incidents(self, wanted: Wanted, one: UUID | None) -> list[Row]:
        return await self._fetch(
            "incidents",
            wanted.only,
            one,
            wanted.status,
            wanted.customer,
            wanted.integration_type,
            wanted.severity,
            *_after(wanted),
            wanted.limit,
        )

    async def _fetch(self, query: str, *arguments: object) -> list[Row]:
        return [dict(row) for row in await self._pool.fetch(_SQL[query], *arguments)]


def _after(wanted: Wanted) -> tuple[Any, Any]:
    return wanted.after or (None, None)
