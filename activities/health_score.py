"""The customer's health score (PRD-101 section 4.2, update_health_score). Giving it back is part of closing."""

from __future__ import annotations

from temporalio import activity

from activities.db.incidents import lock
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from workflows.contracts import IncidentRef
from workflows.domain.policy import Policy

_SQL = queries("incidents")


class HealthScores:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @activity.defn
    async def update_health_score(self, incident: IncidentRef) -> None:
        """Lowers the score once if the integration is critical, whatever the severity; not after the incident ended."""
        async with self._pool.acquire() as connection, connection.transaction():
            health, row = await lock(connection, incident.incident_id)
            adjustment = Policy.stored(row["policy"]).health_score.critical_adjustment
            if row["closed_at"] is not None or not health["is_critical"] or adjustment == 0:
                return
            reason = "Critical integration disconnected"
            changed = await connection.fetchval(
                _SQL["adjust_health_score"], health["customer_id"], incident.incident_id, adjustment, reason
            )
            if changed is not None:
                await add_to_timeline(connection, incident.incident_id, "health_score_adjusted", adjustment=adjustment)
