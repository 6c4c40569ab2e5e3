"""One provider fails for many customers at once: first notices wait for the end of that, each CSM gets one digest, and
whoever is still down afterwards is told of by itself (policy: `[outage]`).

An outage is noticed when a first notice is about to be sent and so many incidents of its type were detected within the
same window, however long ago that was: we may have been away ourselves. From then on the first notices of that type
wait; the row of each says for which outage. Its end is decided elsewhere, and is a row first: what still waits for an
outage that has ended is released, however often that is asked.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg

from activities.db.intents import ASKED, CUSTOMER, FIRST_NOTICES
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from workflows.contracts import Bell, Status
from workflows.domain.outage import Standing, is_outage
from workflows.domain.policy import Policy

_SQL = queries("provider_outages")


async def hold(connection: Connection, row: asyncpg.Record, now: datetime) -> bool:
    """Whether a message whose row is locked has to wait for the end of an outage; then its row says so.

    What a person asked for waits for nothing, nor does a copy that may have left us. A mail waits only where more than
    one customer is affected: what only one of them sees is theirs to mend.
    """
    first = row["template"] in FIRST_NOTICES and row["incident_status"] == Status.OPEN
    if not first or row["status"] != "pending" or row["attempts"] or ASKED in row["details"]:
        return False
    incident = row["incident_id"]
    outage = await connection.fetchrow(_SQL["of_incident"], incident, now)
    if outage is None and await _notice(connection, incident, now):
        outage = await connection.fetchrow(_SQL["of_incident"], incident, now)
    if outage is None or (row["template"] == CUSTOMER and not outage["of_many"]):
        return False
    rule = f"{outage['integration_type']} fails for many at once"
    if await connection.fetchval(_SQL["hold"], row["delivery_key"], outage["id"], outage["release_at"], rule):
        about = {"template": row["template"], "role": row["role"], "person": row["person_id"]}
        await add_to_timeline(
            connection, incident, "notice_held", **about, rule=rule, until=outage["release_at"], outage=outage["id"]
        )
    return True


async def _notice(connection: Connection, incident: UUID, now: datetime) -> bool:
    """Begins an outage if enough incidents came together with this one; who notices first makes no difference."""
    known = await connection.fetchrow(_SQL["rules"], incident)
    assert known is not None  # the incident of a delivery
    kind, rules = known["integration_type"], Policy.stored(known["policy"]).outage
    found = await connection.fetchrow(_SQL["together"], kind, known["detected_at"], rules.window)
    if found is None or found["together"] < rules.min_integrations:
        return False
    if not is_outage(found["together"], await connection.fetchval(_SQL["there"], kind), rules):
        return False
    await connection.execute(_SQL["begin"], kind, found["began_at"], now, rules.hold_at_most)
    return True


class ProviderOutageStore:
    """What becomes of outages."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open(self) -> list[asyncpg.Record]:
        """Those that have not ended: id, integration_type, began_at, release_at."""
        return await self._pool.fetch(_SQL["open"])

    async def standing(self, outage: UUID, integration_type: str) -> Standing:
        row = await self._pool.fetchrow(_SQL["standing"], outage)
        assert row is not None  # outages are never deleted
        return Standing(there=await self._pool.fetchval(_SQL["there"], integration_type), **row)

    async def end(self, outage: asyncpg.Record) -> set[UUID]:
        """It is over: whoever is still down has their clocks start now. Returns whose bell is to be rung."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["end"], outage["id"])
            rows = await connection.fetch(_SQL["still_open"], outage["integration_type"], outage["began_at"])
            return await _add_bells(connection, {row["id"] for row in rows})

    async def release(self) -> set[UUID]:
        """What waits for an outage that has ended may go. Returns whose bell is to be rung."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_SQL["release"])
            return await _add_bells(connection, {row["incident_id"] for row in rows})


async def _add_bells(connection: Connection, incidents: set[UUID]) -> set[UUID]:
    bells = [(incident, Bell.MESSAGE_REQUESTED) for incident in sorted(incidents)]
    await connection.executemany(queries("events")["add_doorbell"], bells)
    return incidents
