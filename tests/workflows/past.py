"""A past that really happened in a minute: instead of waiting, everything that is stored grows older."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from activities.db.incidents import IncidentStore
from tests.workflows.world import World
from workflows.contracts import Bell
from workflows.domain.response import next_due

AGEING = """
select format('update %I set %s', table_name,
  string_agg(format('%1$I = %1$I - $1::interval', column_name), ', ')) as statement
from information_schema.columns
where table_schema = 'public' and data_type = 'timestamp with time zone' and table_name <> 'schema_migrations'
group by table_name order by table_name
"""
SNOOZES = """
update incident_timeline
set details = details || jsonb_build_object('until', (details ->> 'until')::timestamptz - $1::interval)
where details ? 'until'
"""
ROUNDS = """
update deliveries d set delivery_key = replace(d.delivery_key,
  to_char(i.acknowledged_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
  to_char((i.acknowledged_at - $1::interval) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'))
from incidents i where i.id = d.incident_id and d.template = 'integration_disconnected_escalation'
  and i.acknowledged_at is not null
"""


@dataclass
class Past:
    """Drives a world whose worker runs: what is due happens when its time has come, one deadline after the other."""

    world: World
    _ageing: list[str] = field(default_factory=list)  # a statement for each table

    async def passes(self, span: timedelta) -> None:
        """So much time passes; the responses do what they do at its own time."""
        end = timedelta(0)
        while end < span:
            step = min(await self._until_next(), span - end)
            await self._grow_older(step)
            end += step
            await self._wake()

    async def _until_next(self) -> timedelta:
        """How long until something is due."""
        now = datetime.now(UTC)
        dues = [
            due.at
            for incident in await self._open()
            if (due := next_due(await IncidentStore(self.world.pool).situation(incident), now))
        ]
        after = self.world.policy.current.detection.degraded_alert_after
        rows = await self.world.pool.fetch(
            "select degraded_since from integration_health h where degraded_since is not null and status = 'degraded'"
            " and not muted and not exists (select from incidents i where i.integration_health_id = h.id"
            " and i.status in ('open', 'recovering'))"
        )
        dues += [row["degraded_since"] + after for row in rows]
        return max(min(dues, default=now + timedelta(days=99)) - now, timedelta(0)) + timedelta(milliseconds=5)

    async def _grow_older(self, span: timedelta) -> None:
        async with self.world.pool.acquire() as connection, connection.transaction():
            await connection.execute("set local session_replication_role = replica")  # no trigger minds
            await connection.execute(ROUNDS, span)
            self._ageing = self._ageing or [row["statement"] for row in await connection.fetch(AGEING)]
            for statement in self._ageing:
                await connection.execute(statement, span)
            await connection.execute(SNOOZES, span)

    async def _wake(self) -> None:
        for incident in await self.world.events.open_long_degraded():
            await self.world.ring.incident(incident)
        for incident in await self._open():
            await self.world.ring_bell(incident, Bell.FAILURE_RECURRED)
        await self.settles()

    async def settles(self) -> None:
        """Waits until no response has anything to do now."""
        for incident in await self._open():
            await self.world.until_waiting(incident)

    async def _open(self) -> list[UUID]:
        rows = await self.world.pool.fetch("select id from incidents where announced_at is null order by detected_at")
        return [row["id"] for row in rows]

    async def incident_of(self, integration_type: str) -> UUID | None:
        """The open incident of TechCorp's integration of this type."""
        found: Any = await self.world.value(
            "select i.id from incidents i join integration_health h on h.id = i.integration_health_id"
            " where h.integration_type = $1 and i.status in ('open', 'recovering')",
            integration_type,
        )
        return found
