"""Assess impact and record it as a risk signal (FR-2.1 to FR-2.4)."""

from __future__ import annotations

from temporalio import activity

from activities.db.incidents import lock
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.db.views import ViewLoader
from workflows.contracts import Assessment, IncidentRef
from workflows.domain.policy import Severity
from workflows.domain.severity import judge_severity

_SQL = queries("incidents")


class Impact:
    def __init__(self, pool: Pool, views: ViewLoader) -> None:
        self._pool, self._views = pool, views

    @activity.defn
    async def assess_impact(self, incident: IncidentRef) -> Assessment:
        """How critical is it, what is the customer worth, what stopped working? Once for each kind of trouble."""
        view, policy = await self._views.load_with_policy(incident.incident_id)
        severity = judge_severity(policy.severity, is_critical=view.is_critical, arr=view.arr)
        if view.kind == "degraded":
            severity = Severity.LOW
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.execute(_SQL["assess"], incident.incident_id, severity, view.kind) != "UPDATE 0":
                await add_to_timeline(
                    connection,
                    incident.incident_id,
                    "assessed",
                    severity=severity,
                    is_critical=view.is_critical,
                    arr=view.arr,
                    category=view.category,
                    who_fixes=view.who_fixes,
                    previous=view.previous_count,
                )
        return Assessment(severity=severity)

    @activity.defn
    async def create_risk_signal(self, incident: IncidentRef) -> None:
        """The signal with type, reason, scope and steps (FR-2.1, FR-2.2, FR-2.3), unless the incident is over."""
        view = await self._views.load(incident.incident_id)
        details = {
            "integration_type": view.integration_type,
            "failure_reason": view.reason,
            "error_code": view.error_code,
            "impact_scope": list(view.impact),
            "troubleshooting_steps": list(view.steps),
        }
        async with self._pool.acquire() as connection, connection.transaction():
            _, row = await lock(connection, incident.incident_id)
            if row["closed_at"] is not None:
                return
            created = await connection.fetchval(
                _SQL["create_risk_signal"], view.customer_id, incident.incident_id, view.severity, details
            )
            if created:
                await add_to_timeline(connection, incident.incident_id, "risk_signal_created")
