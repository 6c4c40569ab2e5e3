"""Integrations with monitors in a real database, and sweepers whose looks are scripted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from activities.db.events import EventStore
from activities.db.monitoring import ProbeStore
from activities.db.outages import OutageStore
from activities.db.pool import Pool
from activities.egress import Egress
from activities.playbooks import load_catalogue
from activities.policy import load_policy
from activities.probes.http import ProbeClient
from activities.probes.seen import Seen
from activities.sweeping import Sweeper, utc_now
from workflows.contracts import Check
from workflows.domain.diagnosis import Failure, Surface, diagnose
from workflows.domain.policy import Policy

WORKING = Seen(Check.WORKING, "answered 200", latency=timedelta(milliseconds=80))
API = {"kind": "api", "endpoints": [{"name": "me", "url": "https://api.provider.example/me"}]}


INSERT = (
    "insert into integration_health (customer_id, integration_type, integration_id, monitor)"
    " values ($1, $2, $3, $4) returning id"
)


def failing(check: Check = Check.INCONCLUSIVE, *, provider: str = "salesforce", **failure: Any) -> Seen:
    """A look that failed in this way, diagnosed as the monitors do."""
    what = Failure(provider=provider, **failure)
    return Seen(check, "it failed", what, diagnose(what, load_catalogue()), latency=timedelta(milliseconds=90))


REVOKED = failing(
    Check.BROKEN, surface=Surface.TOKEN_ENDPOINT, http_status=400, error_code="invalid_grant",
    error_description="expired access/refresh token",
)  # fmt: skip
UNAVAILABLE = failing(surface=Surface.REST_API, http_status=503, error_description="Service Unavailable")
LIMITED = failing(surface=Surface.REST_API, http_status=429, error_code="rate_limited")
TIMEOUT = Seen(
    Check.INCONCLUSIVE,
    "no answer",
    timed_out := Failure(surface=Surface.NETWORK, error_code="ETIMEDOUT", error_description="connect timed out"),
    diagnose(timed_out, load_catalogue()),
)


@dataclass
class RecordedBells:
    """Remembers which incidents were rung."""

    rung: list[UUID] = field(default_factory=list)

    async def soon(self, incidents: Iterable[UUID]) -> None:
        self.rung += incidents


@dataclass
class Scene:
    """One database of integrations; `looks` is what was looked at, in order; `answer` decides what was seen."""

    pool: Pool
    client: ProbeClient
    policy: Policy = field(default_factory=load_policy)
    now: Callable[[], datetime] = utc_now
    answer: Callable[[UUID], Awaitable[Seen]] | None = None
    looks: list[UUID] = field(default_factory=list)
    bells: RecordedBells = field(default_factory=RecordedBells)
    egress: Egress | None = None

    @property
    def events(self) -> EventStore:
        return EventStore(self.pool, lambda: self.policy, load_catalogue())

    def change(self, table: str, **values: Any) -> None:
        """Changes keys of one table of the policy."""
        whole = self.policy.model_dump()
        whole[table] |= values
        self.policy = Policy.model_validate(whole)

    def sweeper(self, **options: Any) -> Sweeper:
        async def look(integration: UUID) -> Seen:
            self.looks.append(integration)
            return await self.answer(integration) if self.answer else WORKING

        options = {"look": look, "lease": timedelta(minutes=2)} | options
        return Sweeper(
            ProbeStore(self.pool, self.events, load_catalogue(), chance=lambda: 0.0),
            OutageStore(self.pool),
            egress=self.egress or Egress(self.client),
            rings=self.bells,
            policy=lambda: self.policy,
            clock=self.now,
            **options,
        )

    async def sweep(self, **options: Any) -> int:
        """Everything that is due now; returns how many looks were recorded."""
        return (await self.sweeper(**options).sweep(120, linger=False)).looks

    def sees(self, *seen: Seen) -> None:
        """From now on every look shows this; of several, one after the other and then the last."""
        rest = list(seen)

        async def answer(_: UUID) -> Seen:
            return rest.pop(0) if len(rest) > 1 else rest[0]

        self.answer = answer

    async def add(
        self, count: int = 1, monitor: dict[str, Any] | None = None, type_: str = "salesforce", hosts: int = 0
    ) -> list[UUID]:
        """Registers integrations of the customer TechCorp with this monitor; `hosts` spreads them over so many."""
        customer = await self.pool.fetchval(
            "insert into customers (external_id, name, arr) values ('techcorp', 'TechCorp', 200000)"
            " on conflict (external_id) do update set name = excluded.name returning id"
        )
        before = await self.pool.fetchval("select count(*) from integration_health")
        ids = []
        for n in range(before, before + count):
            url = f"https://api{n % hosts}.provider.example/me" if hosts else "https://api.provider.example/me"
            shown = monitor or API | {"endpoints": [{"name": "me", "url": url}]}
            ids.append(await self.pool.fetchval(INSERT, customer, type_, f"integration-{n}", shown))
        return ids

    def pass_time(self, by: timedelta) -> None:
        """For sweepers made from now on; what is stamped by SQL stays."""
        before = self.now
        self.now = lambda: before() + by

    async def make_due(self) -> None:
        """Time passes: everything that waits for its next look is due."""
        await self.pool.execute("update probes set due_at = now() where due_at <> 'infinity' and claim_token is null")

    async def health(self, integration: UUID) -> asyncpg.Record:
        row = await self.pool.fetchrow("select * from integration_health where id = $1", integration)
        assert row is not None
        return row

    async def probe(self, integration: UUID) -> asyncpg.Record:
        row = await self.pool.fetchrow("select * from probes where integration_health_id = $1", integration)
        assert row is not None
        return row

    async def count(self, table: str) -> int:
        count: int = await self.pool.fetchval(f"select count(*) from {table}")
        return count

    async def waits_for(self, integration: UUID) -> timedelta:
        """How long after the newest look the next one is to come."""
        row = await self.probe(integration)
        wait: timedelta = row["due_at"] - row["probed_at"]
        return wait


def at(**ahead: float) -> datetime:
    return datetime.now(UTC) + timedelta(**ahead)
