"""Mends what a crash, an outage or a wiped Temporal left behind: bells not rung, responses not running."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from temporalio import activity

from activities.db.events import EventStore
from activities.db.pool import UNAVAILABLE, Pool
from activities.db.sql import queries
from activities.discretion import note_unexpected
from activities.provider_outages import ProviderOutages
from workflows.contracts import ReconcileResult, disconnection_workflow_id

_SQL = queries("incidents")
_AGE = timedelta(seconds=3)  # younger ones are being dealt with by whoever committed them
_AT_ONCE = 20
_AT_MOST = 8  # seconds for starting, and for ringing: in a storm the next round goes on, and outages are looked after


class Bells(Protocol):
    """What rings: starter.ring.Ring."""

    async def incident(self, incident: UUID) -> None: ...

    async def start(self, incident: UUID, integration: UUID, number: int) -> None: ...

    async def running(self) -> set[str]: ...


class Reconciler:
    def __init__(self, pool: Pool, events: EventStore, outages: ProviderOutages, bells: Bells) -> None:
        self._pool, self._events, self._outages, self._bells = pool, events, outages, bells

    @activity.defn
    async def reconcile(self) -> ReconcileResult:
        """One round. Everything that it does is harmless when done twice."""
        released, digests_waiting = await self._look_after_outages()
        degraded = await self._events.open_long_degraded()
        unrung = [row["incident_id"] for row in await self._pool.fetch(_SQL["unrung"], _AGE)]
        to_ring = set(unrung) | degraded | released
        missing = await self._missing()
        started = await self._few_at_once(partial(self._bells.start, *incident) for incident in missing)
        rung = await self._few_at_once(partial(self._bells.incident, incident) for incident in to_ring)
        return ReconcileResult(
            bells_rung=rung, workflows_started=started, degraded_opened=len(degraded), digests_waiting=digests_waiting
        )

    async def _look_after_outages(self) -> tuple[set[UUID], bool]:
        """A mistake in there must not stop the mending of everything else."""
        try:
            return await self._outages.look_after()
        except UNAVAILABLE:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            note_unexpected(error)
            return set(), False

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

    async def _few_at_once(self, calls: Iterable[Callable[[], Awaitable[None]]]) -> int:
        """How many succeeded in time. One incident that can't be rung must not keep the others waiting."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(call: Callable[[], Awaitable[None]]) -> None:
            async with slots:
                await call()
                activity.heartbeat()

        ringing = [asyncio.ensure_future(one(call)) for call in calls]
        if not ringing:
            return 0
        try:
            done, late = await asyncio.wait(ringing, timeout=_AT_MOST)
        finally:
            for task in ringing:
                task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        failed = [error for task in done if (error := task.exception()) is not None]
        for error in failed[:10]:
            activity.logger.error("could not ring; the next round tries again", exc_info=error)
        return len(done) - len(failed)
