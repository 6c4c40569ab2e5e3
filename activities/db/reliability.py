"""What happened to integrations over a time, for the mathematics of workflows/domain/reliability.py; the ledger of the
customers' scores; and planned maintenance."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from activities.db.pool import Pool
from activities.db.sql import queries
from workflows.contracts import Kind, Resolution
from workflows.domain.intervals import Span
from workflows.domain.reliability import History, Incident
from workflows.domain.status import HealthStatus

_SQL = queries("reliability")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An integration that existed for some of the time that was asked about: its names, and what happened to it."""

    customer: UUID
    customer_external_id: str
    customer_name: str
    integration_type: str
    integration_id: str | None
    display_name: str | None
    is_critical: bool
    status: HealthStatus
    removed_at: datetime | None
    history: History

    @property
    def label(self) -> str:
        """The integration as people call it."""
        return self.display_name or " ".join(filter(None, (self.integration_type, self.integration_id)))


class UnknownMaintenanceError(LookupError):
    """There is no such window, or it is not this key's."""


class ReliabilityStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def subjects(
        self,
        time: Span,
        *,
        customers: Sequence[UUID] | None = None,
        integrations: Sequence[UUID] | None = None,
        integration_type: str | None = None,
    ) -> list[Subject]:
        """The integrations that existed in this time, of these customers, these, of this type, or (None) all; also
        removed ones.

        In the order of the customers' external ids. Two statements, however many there are.
        """
        scope = (*time, _listed(customers), _listed(integrations), integration_type)
        uncounted: defaultdict[UUID, list[Span]] = defaultdict(list)
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(_SQL["histories"], *scope)
            for row in await connection.fetch(_SQL["uncounted"], *scope):
                uncounted[row["id"]].append(Span(row["starts_at"], row["ends_at"]))
        # Ten thousand take a second; others are served meanwhile.
        return await asyncio.to_thread(_subjects, rows, uncounted)

    async def reported(self, time: Span, customers: Sequence[UUID] | None = None) -> list[UUID]:
        """The events by which customers said in this time that something is broken, newest first."""
        return [row["id"] for row in await self._pool.fetch(_SQL["reported"], *time, _listed(customers))]

    async def score(self, customer: UUID) -> dict[str, Any]:
        """`base`, the sum of `adjustments`, the `score` that is stored, and what is `shown` of it (0 to 100)."""
        row = await self._pool.fetchrow(_SQL["score"], customer)
        assert row is not None  # whoever asks has looked the customer up
        return dict(row)

    async def ledger(self, customer: UUID, after: tuple[datetime, UUID] | None, limit: int) -> list[dict[str, Any]]:
        """Every change of the customer's score, newest first, from the one behind `after`."""
        return [dict(row) for row in await self._pool.fetch(_SQL["ledger"], customer, *(after or (None, None)), limit)]

    async def plan_maintenance(
        self,
        *,
        customer: UUID | None,
        integration_type: str | None,
        integration_id: str | None,
        time: Span,
        note: str,
    ) -> UUID | None:
        """Enters a window; None, and nothing is entered, if there is no integration that it would be about."""
        planned: UUID | None = await self._pool.fetchval(
            _SQL["plan_maintenance"], customer, integration_type, integration_id, *time, note
        )
        return planned

    async def maintenance(
        self,
        only: UUID | None,
        *,
        one: UUID | None = None,
        customer: str | None = None,
        after: tuple[datetime, UUID] | None = None,
        limit: int = 1,
    ) -> list[dict[str, Any]]:
        """Latest start first. `only` limits them to those of one customer, without those of everybody."""
        arguments = (only, one, customer, *(after or (None, None)), limit)
        return [dict(row) for row in await self._pool.fetch(_SQL["maintenance"], *arguments)]

    async def cancel_maintenance(self, window: UUID, only: UUID | None) -> None:
        """The time counts again. Raises UnknownMaintenanceError."""
        if await self._pool.execute(_SQL["cancel_maintenance"], window, only) == "DELETE 0":
            raise UnknownMaintenanceError(str(window))


def _listed(ids: Sequence[UUID] | None) -> list[UUID] | None:
    return None if ids is None else list(ids)


def _subjects(rows: list[asyncpg.Record], uncounted: Mapping[UUID, list[Span]]) -> list[Subject]:
    return [
        _subject(list(of_one), tuple(uncounted.get(integration, ())))
        for integration, of_one in groupby(rows, key=lambda row: row["id"])
    ]


def _subject(rows: list[asyncpg.Record], uncounted: tuple[Span, ...]) -> Subject:
    first = rows[0]
    return Subject(
        customer=first["customer_id"],
        customer_external_id=first["external_id"],
        customer_name=first["name"],
        integration_type=first["integration_type"],
        integration_id=first["integration_id"],
        display_name=first["display_name"],
        is_critical=first["is_critical"],
        status=HealthStatus(first["status"]),
        removed_at=first["removed_at"],
        history=History(
            integration=first["id"],
            created_at=first["created_at"],
            ended_at=first["ended_at"],
            incidents=tuple(_incident(row) for row in rows if row["incident"] is not None),
            uncounted=uncounted,
        ),
    )


def _incident(row: asyncpg.Record) -> Incident:
    return Incident(
        id=row["incident"],
        kind=Kind(row["kind"]),
        category=row["category"],
        who_fixes=row["who_fixes"],
        opened_at=row["opened_at"],
        detected_at=row["detected_at"],
        worsened_at=row["worsened_at"],
        acknowledged_at=row["first_acknowledged_at"],
        recovered_at=row["recovering_since"],
        closed_at=row["closed_at"],
        resolution=row["resolution"] and Resolution(row["resolution"]),
        customer_reported_at=row["customer_reported_at"],
    )
