"""Mends what a crash, an outage or a wiped Temporal left behind: bells not rung, responses not running."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from temporalio import activity

from activities.db.events import EventStore
from activities.db.pool import Pool
from activities.db.sql import queries
from workflows.contracts import ReconcileResult, disconnection_workflow_id

_SQL = queries("incidents")
_AGE = timedelta(seconds=3)  # younger ones are being dealt with by whoever committed them
_AT_ONCE = 20


class Bells(Protocol):
    """What rings: starter.ring.Ring."""

    async def incident(self, incident: UUID) -> None: ...

    async def start(self, incident: UUID, integration: UUID, number: int) -> None: ...

    async def running(self) -> set[str]: ...


class Reconciler:
    def __init__(self, pool: Pool, events: EventStore, bells: Bells) -> None:
        self._pool, self._events, self._bells = pool, events, bells

    @activity.defn
    async def reconcile(self) -> ReconcileResult:
        """One round. Everything that it does is harmless when done twice."""
        degraded = await self._events.open_long_degraded()
        unrung = [row["incident_id"] for row in await self._pool.fetch(_SQL["unrung"], _AGE)]
        to_ring = set(unrung) | degraded
        missing = await self._missing()
        started = await self._few_at_once(self._bells.start(*incident) for incident in missing)
        rung = await self._few_at_once(self._bells.incident(incident) for incident in to_ring)
        return ReconcileResult(bells_rung=rung, workflows_started=started, degraded_opened=len(degraded))

    async def _missing(self) -> list[tuple[UUID, UUID, int]]:
        """Unfinished incidents that no running workflow cares for."""
        unfinished = []
        last = UUID(int=0)
        while rows := await self._pool.fetch(_SQL["unfinished"], _AGE, last):
            unfinished += [(row["id"], row["integration_health_id"], row["number"]) for row in rows]
            last = rows[-1]["id"]
            activity.heartbeat()
        if not unfinished:
            return []
        running = await self._bells.running()
        return [i for i in unfinished if disconnection_workflow_id(i[1], i[2]) not in running]

    async def _few_at_once(self, calls: Iterable[Awaitable[None]]) -> int:
        """How many succeeded. One incident that can't be rung must not keep the others waiting."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(call: Awaitable[None]) -> None:
            async with slots:
                await call
                activity.heartbeat()

        done = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
        failed = [result for result in done if isinstance(result, BaseException)]
        for error in failed[:10]:
            activity.logger.error("could not ring; the next round tries again", exc_info=error)
        return len(done) - len(failed)
