"""A customer and the store that takes events about their integrations: real PostgreSQL, nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from activities.customers import IntegrationWrite
from activities.db.actions import Actions
from activities.db.events import EventStore, Outcome
from activities.db.integrations import IntegrationStore
from activities.db.pool import Pool
from activities.events import Event
from activities.playbooks import load_catalogue
from activities.policy import load_policy
from activities.secrets import SecretBox
from workflows.contracts import Resolution
from workflows.domain.policy import Policy

NOON = datetime(2026, 1, 29, 12, tzinfo=UTC)
CUSTOMERS = (
    "insert into customers (external_id, name, arr) values ('techcorp', 'TechCorp', 200000), ('tiny', 'Tiny', null)"
)


class Store:
    """What tests say and ask. An event is about TechCorp's Salesforce unless it says otherwise."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.policy = load_policy()
        self.events = EventStore(pool, lambda: self.policy, load_catalogue())
        self.integrations = IntegrationStore(pool, SecretBox(None))
        self.actions = Actions(pool)

    def set_policy(self, table: str, **values: Any) -> None:
        wanted = self.policy.model_dump(mode="json")
        wanted[table] |= values
        self.policy = Policy.model_validate(wanted)

    async def take(self, *events: dict[str, Any], only_customer: UUID | None = None) -> list[Outcome]:
        """An array of events."""
        outcomes, _ = await self.events.take([event(**fields) for fields in events], only_customer=only_customer)
        return outcomes

    async def say(self, event_type: str, **fields: Any) -> Outcome:
        return (await self.take({"event_type": event_type, **fields}))[0]

    async def fail(self, minute: float | None = None, **fields: Any) -> Outcome:
        """A terminal failure, so many minutes after noon."""
        return await self.say("auth_failure", **_at(minute), **fields)

    async def limp(self, minute: float | None = None, **fields: Any) -> Outcome:
        """A failure that may pass by itself."""
        return await self.say("sync_error", **_at(minute), **fields)

    async def work(self, minute: float | None = None, **fields: Any) -> Outcome:
        return await self.say("sync_succeeded", **_at(minute), **fields)

    async def put(self, integration_id: str = "crm-sync", type_: str = "salesforce", **fields: Any) -> UUID:
        customer = await self.value("select id from customers where external_id = 'techcorp'")
        stored = await self.integrations.put(customer, type_, integration_id, IntegrationWrite.model_validate(fields))
        return stored.id

    async def remove(self, integration_id: str = "crm-sync", type_: str = "salesforce") -> frozenset[UUID]:
        customer = await self.value("select id from customers where external_id = 'techcorp'")
        return await self.integrations.remove(customer, type_, integration_id)

    async def close(self, incident: UUID | None, resolution: Resolution, *, minute: float | None = None) -> None:
        """By hand; with `minute`, as if it had been done then."""
        assert incident is not None
        await self.actions.close(incident, "maria@vendor.example", resolution)
        if minute is not None:
            at = NOON + timedelta(minutes=minute)
            await self.pool.execute("update incidents set closed_at = $2 where id = $1", incident, at)
            await self.pool.execute("update integration_health set last_closed_at = $1", at)

    async def value(self, statement: str, *arguments: Any) -> Any:
        return await self.pool.fetchval(statement, *arguments)

    async def health(self, type_: str = "salesforce") -> asyncpg.Record:
        row = await self.pool.fetchrow("select * from integration_health where integration_type = $1", type_)
        assert row is not None
        return row

    async def incident(self, incident: UUID | None) -> asyncpg.Record:
        row = await self.pool.fetchrow("select * from incidents where id = $1", incident)
        assert row is not None
        return row

    async def timeline(self, incident: UUID | None) -> list[str]:
        rows = await self.pool.fetch("select kind from incident_timeline where incident_id = $1 order by id", incident)
        return [row["kind"] for row in rows]

    async def bells(self, incident: UUID | None) -> list[str]:
        rows = await self.pool.fetch("select kind from doorbells where incident_id = $1 order by id", incident)
        return [row["kind"] for row in rows]

    async def counts(self) -> tuple[int, int]:
        """Events stored, incidents opened."""
        row = await self.pool.fetchrow(
            "select (select count(*) from integration_events), (select count(*) from incidents)"
        )
        assert row is not None
        return row[0], row[1]


def event(**fields: Any) -> Event:
    about: dict[str, Any] = {"integration_type": "salesforce", "integration_id": "crm-sync"}
    if "customer_id" not in fields:
        about["customer_external_id"] = "techcorp"
    return Event.model_validate({k: v for k, v in {**about, **fields}.items() if v is not None})


def _at(minute: float | None) -> dict[str, str]:
    return {} if minute is None else {"occurred_at": (NOON + timedelta(minutes=minute)).isoformat()}
