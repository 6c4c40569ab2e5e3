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
from workflows.domain.outage import Standing, is_outage, is_over
from workflows.domain.policy import Outage, Policy

_SQL = queries("provider_outages")
_NOT_OVER = {Status.OPEN, Status.RECOVERING}


async def hold(connection: Connection, row: asyncpg.Record, now: datetime) -> bool:
    """Whether a message whose row is locked has to wait for the end of an outage; then its row says so.

    What a person asked for waits for nothing, nor does a copy that may have left us. A mail waits only where more than
    one customer is affected: what only one of them sees is theirs to mend.
    """
    may_wait = row["status"] == "pending" and not row["attempts"] and ASKED not in row["details"]
    if not (may_wait and row["template"] in FIRST_NOTICES and row["incident_status"] in _NOT_OVER):
        return False
    incident = row["incident_id"]
    outage = await connection.fetchrow(_SQL["of_incident"], incident, now)
    if outage is None and await _notice(connection, incident, now):
        outage = await connection.fetchrow(_SQL["of_incident"], incident, now)
    if outage is None or (row["template"] == CUSTOMER and not outage["of_many"]):
        return False
    rule = f"{outage['provider']} fails for many at once"
    await connection.execute(_SQL["hold"], row["delivery_key"], outage["id"], outage["release_at"], rule)
    if row["held_by"] != outage["id"]:
        about = {"template": row["template"], "role": row["role"], "person": row["person_id"]}
        about |= {"rule": rule, "until": outage["release_at"], "outage": outage["id"]}
        await add_to_timeline(connection, incident, "notice_held", **about)
    return True


async def _notice(connection: Connection, incident: UUID, now: datetime) -> bool:
    """Begins an outage, or lets it have begun earlier, if enough incidents came together with this one."""
    known = await connection.fetchrow(_SQL["rules"], incident)
    assert known is not None  # the incident of a delivery
    kind, rules = known["integration_type"], Policy.stored(known["policy"]).outage
    found = await connection.fetchrow(_SQL["together"], kind, known["detected_at"], rules.window)
    if found is None or found["together"] < rules.min_integrations:
        return False
    if not found["of_many"] and found["untold"] < rules.min_integrations:
        return False  # at one customer only what comes at one blow has one cause
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

    async def end_if_over(self, outage: asyncpg.Record, rules: Outage) -> set[UUID] | None:
        """If it is over: whoever is still down has their clocks start now. Returns whose bell is to be rung; None: it
        goes on. Asked under its lock, so that nobody begins to wait for it meanwhile."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_SQL["lock"], outage["id"]) is None:
                return set()
            of = outage["integration_type"], outage["began_at"]
            row = await connection.fetchrow(_SQL["standing"], *of)
            assert row is not None  # an aggregate
            standing = Standing(
                down=row["down"],
                recovering=row["recovering"],
                there=await connection.fetchval(_SQL["there"], outage["integration_type"]),
                last_change_at=row["last_change_at"] or outage["began_at"],
                release_at=outage["release_at"],
                now=outage["now"],
            )
            if not is_over(standing, rules):
                return None
            await connection.execute(_SQL["end"], outage["id"])
            return await _add_bells(connection, {row["id"] for row in await connection.fetch(_SQL["still_open"], *of)})

    async def release(self) -> set[UUID]:
        """What waits for an outage that has ended may go. Returns whose bell is to be rung."""
        async with self._pool.acquire() as connection, connection.transaction():
            incidents = {row["id"] for row in await connection.fetch(_SQL["to_release"])}
            await connection.execute(_SQL["release"], incidents)
            return await _add_bells(connection, incidents)


async def _add_bells(connection: Connection, incidents: set[UUID]) -> set[UUID]:
    bells = [(incident, Bell.MESSAGE_REQUESTED) for incident in sorted(incidents)]
    await connection.executemany(queries("events")["add_doorbell"], bells)
    return incidents
