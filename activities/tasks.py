"""The CSM's task (PRD-101 section 4.2, create_task)."""

from __future__ import annotations

from temporalio import activity

from activities.db.incidents import lock
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.db.views import ViewLoader
from workflows.contracts import IncidentAt

_SQL = queries("incidents")


class Tasks:
    def __init__(self, pool: Pool, views: ViewLoader) -> None:
        self._pool, self._views = pool, views

    @activity.defn
    async def create_task(self, at: IncidentAt) -> None:
        """One task an incident, due `task.due_after` from now; priority critical or high. None if it is over."""
        view, policy = await self._views.load_with_policy(at.incident_id)
        title = f"Integration disconnected: {view.integration_type} for {view.customer_name}"
        priority = "critical" if view.severity == "critical" else "high"
        assignee = view.csm and (view.csm.email or view.csm.slack or view.csm.name)
        async with self._pool.acquire() as connection, connection.transaction():
            _, row = await lock(connection, at.incident_id)
            if row["closed_at"] is not None:
                return
            task = await connection.fetchval(
                _SQL["create_task"],
                view.customer_id,
                at.incident_id,
                title,
                at.now + policy.task.due_after,
                priority,
                assignee,
            )
            if task is not None:
                await add_to_timeline(connection, at.incident_id, "task_created", task=task, priority=priority)
