"""Everything that customers have connected, what is down of it first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from activities.db.pool import Pool
from activities.db.sql import queries

_SQL = queries("fleet")
Row: TypeAlias = dict[str, Any]


class Show(StrEnum):
    """Down: with an open incident, those included that recover. Degraded: limping, without one yet."""

    DOWN = "down"
    DEGRADED = "degraded"
    HEALTHY = "healthy"
    ALL = "all"


class Sort(StrEnum):
    """Severity: the worst first, and of these the longest down."""

    SEVERITY = "severity"
    LONGEST = "longest"
    NEWEST = "newest"
    ARR = "arr"
    CUSTOMER = "customer"


@dataclass(frozen=True, kw_only=True)
class FleetWanted:
    """Which rows. `only` is the customer that somebody is limited to; `after` is `place` of the last row before.

    `csm` is `csm_key` of a row, or empty for customers without one; `search` is looked for in names and ids as it is.
    """

    only: UUID | None = None
    show: Show = Show.DOWN
    severity: Sequence[str] | None = None
    provider: str | None = None
    csm: str | None = None
    customer: str | None = None
    search: str | None = None
    sort: Sort = Sort.SEVERITY
    after: Sequence[str] | None = None
    limit: int = 50


class Fleet:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rows(self, wanted: FleetWanted) -> list[Row]:
        """In the order wanted; `place` is where a row stands in it."""
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(_SQL["plan_for_these_filters"])
            found = await connection.fetch(
                _SQL["rows"],
                wanted.only,
                wanted.show,
                wanted.severity,
                wanted.provider,
                wanted.csm,
                wanted.customer,
                wanted.search,
                wanted.sort,
                *(wanted.after or (None, None, None)),
                wanted.limit,
            )
        return [dict(row) for row in found]

    async def counts(self, only: UUID | None) -> Mapping[str, list[Row]]:
        """What is down now, counted: `all`, by `severity`, `provider` and `csm`, the most first."""
        counted = defaultdict(list)
        for row in await self._pool.fetch(_SQL["counts"], only):
            counted[row["facet"]].append({name: row[name] for name in ("value", "name", "count")})
        return counted

    async def totals(self, only: UUID | None) -> Row:
        """How many integrations there are: healthy, degraded, total."""
        row = await self._pool.fetchrow(_SQL["totals"], only)
        assert row is not None  # an aggregate always has a row
        return dict(row)
