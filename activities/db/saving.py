"""Writes what judging found: the integration's row, its incident, the timeline and the doorbells."""

from __future__ import annotations

from uuid import UUID

from activities.db.incidents import reopen
from activities.db.judging import IntegrationUnderJudgement, OpenIncident
from activities.db.ledger import intend_note
from activities.db.pool import Connection
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from workflows.domain.diagnosis import Diagnosis
from workflows.domain.policy import Policy, Severity

_SQL = queries("events")


async def save(connection: Connection, integration: IntegrationUnderJudgement, policy: Policy) -> None:
    """Writes one integration and its incident as judged."""
    if not integration.touched:
        return
    incident = integration.incident
    await connection.execute(
        _SQL["save_health"],
        integration.id,
        integration.health.status,
        integration.counted,
        integration.health.failing_since,
        integration.health.degraded_since,
        integration.health.last_success_at,
        integration.health.last_failure_at,
        integration.last_successful_sync,
        integration.failure_reason,
        integration.error_code,
        integration.health.muted,
        integration.next_number,
    )
    if incident is None:
        return
    if incident.is_new:
        await insert_incident(connection, incident, integration.id, integration.customer_id, policy)
    elif incident.seen or incident.customer_reported_at:
        await _attach(connection, incident)
    await connection.executemany(_SQL["add_doorbell"], [(incident.id, bell) for bell in sorted(integration.bells)])


async def insert_incident(
    connection: Connection, incident: OpenIncident, integration: UUID, customer: UUID, policy: Policy
) -> None:
    """Opens an incident: the row, and the first line of its timeline."""
    diagnosis, severity = _diagnosed(incident)
    await connection.execute(
        _SQL["open_incident"],
        incident.id,
        integration,
        customer,
        incident.number,
        incident.kind,
        severity,
        diagnosis.category,
        diagnosis.who_fixes,
        diagnosis,
        diagnosis.reason,
        incident.error_code,
        incident.failures,
        incident.opened_at,
        policy,
        policy.recovery.quiet_window,
    )
    await add_to_timeline(connection, incident.id, "detected", incident_kind=incident.kind, severity=severity)


async def _attach(connection: Connection, incident: OpenIncident) -> None:
    if incident.relapsed:
        await reopen(connection, incident.id)
    await connection.execute(
        _SQL["attach_to_incident"],
        incident.id,
        incident.seen,
        incident.failures,
        incident.opened_at,
        incident.hint,
        incident.customer_reported_at,
    )
    if incident.worsened:
        diagnosis, severity = _diagnosed(incident)
        await connection.execute(
            _SQL["worsen"],
            incident.id,
            severity,
            diagnosis.category,
            diagnosis.who_fixes,
            diagnosis,
            diagnosis.reason,
            incident.error_code,
        )
        await add_to_timeline(connection, incident.id, "worsened", severity=severity)
        await intend_note(connection, incident.id, "worsened")
    if incident.hint:
        await add_to_timeline(connection, incident.id, "recovery_hinted", hint=incident.hint)
    if incident.customer_reported_at:
        await add_to_timeline(connection, incident.id, "customer_reported")


def _diagnosed(incident: OpenIncident) -> tuple[Diagnosis, Severity]:
    assert incident.diagnosis is not None  # both are set when it is opened or worsened
    assert incident.severity is not None
    return incident.diagnosis, incident.severity
