"""Health metrics of integrations (FR-1.5): written in bulk, read as buckets, forgotten by policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from workflows.domain.metrics import Tally, bin_of, bucket_start

_SQL = queries("monitoring")


@dataclass(frozen=True)
class Observed:
    """One look at one integration; `worked` is None if it told nothing."""

    integration: UUID
    at: datetime
    worked: bool | None
    latency: timedelta | None

    @property
    def tally(self) -> Tally:
        latency = () if self.latency is None else (*(0,) * bin_of(self.latency), 1)
        return Tally(1, int(self.worked is True), int(self.worked is False), latency)


@dataclass(frozen=True)
class Bucket:
    """What was seen from `start` on, for the length of a bucket."""

    start: datetime
    tally: Tally


async def add_metrics(connection: Connection, observed: Sequence[Observed], bucket: timedelta) -> None:
    """Counts these looks, one statement for all. At most one look of each integration."""
    tallies = [one.tally for one in observed]
    await connection.execute(
        _SQL["add_metrics"],
        [one.integration for one in observed],
        [bucket_start(one.at, bucket) for one in observed],
        [tally.successes for tally in tallies],
        [tally.failures for tally in tallies],
        ["{%s}" % ",".join(map(str, tally.latency)) for tally in tallies],  # noqa: UP031 - braces of an SQL array
    )


async def recent(connection: Connection, since: Mapping[UUID, datetime]) -> dict[UUID, Tally]:
    """The looks at each of these integrations in the buckets that begin at its time or later."""
    found: dict[UUID, Tally] = {}
    for row in await connection.fetch(_SQL["window"], list(since), list(since.values())):
        integration = row["integration_health_id"]
        found[integration] = found.get(integration, Tally()) + _tally(row)
    return found


class MetricStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def health_metrics(self, integration: UUID, since: datetime) -> list[Bucket]:
        """One integration's buckets that begin at `since` or later, oldest first; times without a look have none.

        Tallies can be added up to longer times; `tally.success_rate`, `.p50` and `.p95` are what people want to see.
        """
        rows = await self._pool.fetch(_SQL["health_metrics"], integration, since)
        return [Bucket(row["bucket_start"], _tally(row)) for row in rows]

    async def forget(self, before: datetime) -> int:
        """Deletes up to 10,000 buckets that began before; returns how many, so that the caller knows if to go on."""
        return int((await self._pool.execute(_SQL["forget_metrics"], before)).split()[-1])


def _tally(row: asyncpg.Record) -> Tally:
    return Tally(row["probes"], row["successes"], row["failures"], tuple(row["latency"]))
