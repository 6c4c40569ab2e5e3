"""The activity around a sweep, and what is done about monitoring once in a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from temporalio import activity

from activities.beat import heartbeating
from activities.db.metrics import MetricStore
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.sweeping import Sweeper
from workflows.contracts import SweepResult
from workflows.domain.policy import Policy

SWEEP_SECONDS = 50.0  # one activity a minute is enough: within it, what becomes due is looked at within a second


class Monitoring:
    def __init__(self, pool: Pool, sweeper: Sweeper, *, seconds: float = SWEEP_SECONDS) -> None:
        self.sweeper = sweeper
        self._pool, self._seconds = pool, seconds

    @activity.defn
    async def sweep(self) -> SweepResult:
        """Looks at every integration that is or becomes due within the next 50 seconds."""
        async with heartbeating():
            done = await self.sweeper.sweep(self._seconds, stop=activity.is_worker_shutdown)
        waiting = await self._pool.fetchval(queries("monitoring")["notices_waiting"])
        return SweepResult(looks=done.looks, failures=done.failures, incidents=len(done.bells), notices_waiting=waiting)


class Forgetting:
    """Deletes what the policy no longer wants to know."""

    def __init__(self, metrics: MetricStore, policy: Callable[[], Policy]) -> None:
        self._metrics, self._policy = metrics, policy

    @activity.defn
    async def forget_metrics(self) -> None:
        """Health metrics older than metrics.retention."""
        before = datetime.now(UTC) - self._policy().metrics.retention
        while await self._metrics.forget(before):
            activity.heartbeat()
