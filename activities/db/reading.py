"""What the API and the pages show: integrations and incidents, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from activities.db.incidents import UnknownIncidentError
from activities.db.integrations import UnknownIntegrationError
from activities.db.pool import Pool
from activities.db.sql import queries

_SQL = queries("reading")


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

    async def integrations(self, wanted: Wanted) -> list[asyncpg.Record]:
        """Oldest first."""
        return await self._integrations(wanted, None)

    async def integration(self, integration: UUID, only: UUID | None = None) -> asyncpg.Record:
        """One integration, also a removed one. Raises UnknownIntegrationError."""
        rows = await self._integrations(Wanted(only=only, removed=True, limit=1), integration)
        if not rows:
            raise UnknownIntegrationError(str(integration))
        return rows[0]

    async def incidents(self, wanted: Wanted) -> list[asyncpg.Record]:
        """Newest first."""
        return await self._incidents(wanted, None)

    async def incident(self, incident: UUID, only: UUID | None = None) -> asyncpg.Record:
        """Raises UnknownIncidentError."""
        rows = await self._incidents(Wanted(only=only, limit=1), incident)
        if not rows:
            raise UnknownIncidentError(str(incident))
        return rows[0]

    async def timeline(self, incident: UUID) -> list[asyncpg.Record]:
        """Oldest first."""
        return await self._pool.fetch(_SQL["timeline"], incident)

    async def deliveries(self, incident: UUID) -> list[asyncpg.Record]:
        """Every message that was meant to be sent, oldest first."""
        return await self._pool.fetch(_SQL["deliveries"], incident)

    async def incidents_of(self, integration: UUID) -> list[asyncpg.Record]:
        """The integration's newest 50 incidents, newest first."""
        return await self._pool.fetch(_SQL["incidents_of_integration"], integration)

    async def names_of(self, customer: UUID) -> dict[UUID, str]:
        """The names (or else addresses) of a customer's people, also of those who left."""
        people = await self._pool.fetch(_SQL["people_of_customer"], customer)
        return {p["id"]: p["name"] or p["email"] or "somebody" for p in people}

    async def gauges(self) -> list[asyncpg.Record]:
        """Figures for /metrics: name, help, labels (name, value, …), value."""
        return await self._pool.fetch(_SQL["gauges"])

    async def _integrations(self, wanted: Wanted, one: UUID | None) -> list[asyncpg.Record]:
        return await self._pool.fetch(
            _SQL["integrations"],
            wanted.only,
            one,
            wanted.status,
            wanted.customer,
            wanted.integration_type,
            wanted.removed,
            *_after(wanted),
            wanted.limit,
        )

    async def _incidents(self, wanted: Wanted, one: UUID | None) -> list[asyncpg.Record]:
        return await self._pool.fetch(
            _SQL["incidents"],
            wanted.only,
            one,
            wanted.status,
            wanted.customer,
            wanted.integration_type,
            wanted.severity,
            *_after(wanted),
            wanted.limit,
        )


def _after(wanted: Wanted) -> tuple[Any, Any]:
    return wanted.after or (None, None)
