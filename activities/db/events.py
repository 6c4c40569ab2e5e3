"""Takes events in: stored, judged and attached to incidents in one transaction (contract: What an event does)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID, uuid4

import asyncpg

from activities.db.intake import EventRefusedError, Intake, Outcome
from activities.db.judging import OpenIncident
from activities.db.pool import Connection, Pool
from activities.db.saving import insert_incident
from activities.db.sql import queries
from activities.events import Event, diagnosis_of
from workflows.contracts import Bell, Kind, Status
from workflows.domain.diagnosis import Catalogue, Diagnosis
from workflows.domain.policy import Policy, Severity

__all__ = ["EventRefusedError", "EventStore", "Outcome"]

_SQL = queries("events")


class EventStore:
    """Events of the API, of callbacks and of monitors all come in here."""

    def __init__(self, pool: Pool, policy: Callable[[], Policy], catalogue: Catalogue) -> None:
        self._pool, self._policy, self._catalogue = pool, policy, catalogue

    async def take(
        self, events: Sequence[Event], *, only_customer: UUID | None = None, registers: bool = True
    ) -> tuple[list[Outcome], set[UUID]]:
        """Stores and judges all events, or none; returns their outcomes in order and the incidents whose bell is to
        be rung (the doorbells are committed: a ring that fails is made up for by the reconciler).

        `only_customer` limits what the sender may name; `registers` says whether an unknown integration is registered
        by its first event. Raises EventRefusedError.
        """
        for attempt in range(5):
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    intake = Intake(connection, self._policy(), self._catalogue, registers=registers)
                    return await intake.take(events, only_customer)
            except asyncpg.DeadlockDetectedError:
                # Two arrays that register several new integrations in opposite order; the loser was rolled back whole.
                if attempt == 4:
                    raise
        raise AssertionError("unreachable")

    async def take_within(
        self, connection: Connection, events: Sequence[Event], known: Mapping[str, Diagnosis]
    ) -> set[UUID]:
        """The same in a transaction of the caller's, who holds the locks of all integrations concerned; returns the
        incidents whose bell is to be rung. `known` are diagnoses by event id."""
        intake = Intake(connection, self._policy(), self._catalogue, known)
        return (await intake.take(events, None))[1]

    async def open_long_degraded(self) -> set[UUID]:
        """Opens a low-severity incident for each integration degraded for degraded_alert_after (FR-1.6)."""
        policy = self._policy()
        opened = set()
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_SQL["long_degraded"], policy.detection.degraded_alert_after)
            for row in rows:
                opened.add(await self._open_degraded(connection, row, policy))
        return opened

    async def _open_degraded(self, connection: Connection, row: asyncpg.Record, policy: Policy) -> UUID:
        last = await connection.fetchrow(_SQL["last_failure_of"], row["id"])
        event = Event.model_validate(
            {
                "customer_id": row["customer_id"],
                "integration_type": row["integration_type"],
                "event_type": last["event_type"] if last else "sync_error",
                "new_status": last["new_status"] if last else None,
                "error": last["error_details"] if last else None,
            }
        )
        incident = OpenIncident(
            uuid4(), row["next_number"], Kind.DEGRADED, Status.OPEN, is_new=True, failures=row["failure_count"], seen=1
        )
        incident.diagnosis = diagnosis_of(event, self._catalogue)
        incident.severity = Severity.LOW
        incident.error_code = row["error_code"]
        incident.opened_at = row["degraded_since"]
        await insert_incident(connection, incident, row["id"], row["customer_id"], policy)
        await connection.execute(_SQL["took_number"], row["id"])
        await connection.execute(_SQL["add_doorbell"], incident.id, Bell.FAILURE_RECURRED)
        return incident.id
