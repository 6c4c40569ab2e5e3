"""What the pages and the API list beside the fleet: customers, providers, and one integration's history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from activities.db.pool import Pool
from activities.db.sql import queries
from workflows.domain.success import Name

_SQL = queries("overview")
_PLAN = queries("fleet")["plan_for_these_filters"]
Row: TypeAlias = dict[str, Any]
After: TypeAlias = tuple[datetime, UUID] | None
_NAMED = {
    Name.DETECTED: "named_incidents",
    Name.UNNOTICED: "named_incidents",
    Name.TICKETS: "named_reports",
    Name.UPTIME: "named_integrations",
}


class CustomerSort(StrEnum):
    """Down: most integrations down first. Score: the lowest first. ARR: the highest first."""

    NAME = "name"
    DOWN = "down"
    SCORE = "score"
    ARR = "arr"


@dataclass(frozen=True, kw_only=True)
class CustomersWanted:
    """As FleetWanted."""

    only: UUID | None = None
    search: str | None = None
    csm: str | None = None
    sort: CustomerSort = CustomerSort.NAME
    after: Sequence[str] | None = None
    limit: int = 50


class Overview:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def customers(self, wanted: CustomersWanted) -> list[Row]:
        """In the order wanted, with how many of their integrations are down; `place` is where a row stands in it."""
        after = wanted.after or (None, None, None)
        return await self._listed(
            "customers", wanted.only, wanted.search, wanted.csm, wanted.sort, *after, wanted.limit
        )

    async def incidents(self, customer: UUID, integration: UUID | None, after: After, limit: int) -> list[Row]:
        """Of one customer, or of one of its integrations; newest first."""
        return await self._listed("incidents", customer, integration, *(after or (None, None)), limit)

    async def events(self, integration: UUID, after: After, limit: int) -> list[Row]:
        """What was said about one integration, newest first."""
        return await self._listed("events", integration, *(after or (None, None)), limit)

    async def credentials(
        self, customer: UUID | None, integration: UUID | None, after: Sequence[str] | None, limit: int
    ) -> list[Row]:
        """Those whose end is known, the next to end first; what has ended stays at the top until it is renewed."""
        place = after or (None, None, None, None)
        return await self._listed("credentials", customer, integration, *place, limit)

    async def providers(self) -> list[Row]:
        """How much is connected to each, and how much of that is down; most down first."""
        return await self._listed("providers")

    async def outage(self, integration_type: str) -> Row | None:
        """The provider's outage that has not ended: since when, and until when at the latest; None: there is none."""
        return next(iter(await self._listed("open_outage", integration_type)), None)

    async def named(self, measure: Name, ids: Iterable[UUID]) -> dict[UUID, Row]:
        """The names of what a measure of success was computed from."""
        return {row["id"]: row for row in await self._listed(_NAMED[measure], list(ids))}

    async def _listed(self, statement: str, *arguments: object) -> list[Row]:
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(_PLAN)
            return [dict(row) for row in await connection.fetch(_SQL[statement], *arguments)]
