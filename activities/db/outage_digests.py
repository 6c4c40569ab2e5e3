"""Who is told of a provider's outage in one digest, what it says, and whether that is still so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from activities.db.digest import Digest, csms_in
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.outage_facts import Member, OutageView
from activities.views import Person
from workflows.domain.diagnosis import Catalogue
from workflows.domain.digest import readers
from workflows.domain.explanation import provider_name
from workflows.domain.policy import Role

_SQL = queries("provider_outages")


@dataclass(frozen=True)
class ToEdit:
    """A digest that was sent and may no longer say how things stand.

    `slack` is where it is, `channel:ts`; None: it went by mail. `shown` is what it said, see OutageView.in_short; None:
    whoever sent it did not come to write that down.
    """

    digest: UUID
    key: str
    slack: str | None
    shown: str | None


class OutageDigestStore:
    def __init__(self, pool: Pool, catalogue: Catalogue) -> None:
        self._pool, self._catalogue = pool, catalogue

    async def begin_for_csms(self, outage: asyncpg.Record, fallback: Person | None) -> None:
        """Sees to it that the CSM of every customer who is down has a digest; each human one, that grows."""
        for reader in readers(csms_in(await self._csms(outage, Role.CSM), fallback)):
            await self._begin(outage, Role.CSM, reader.addresses, reader.customers, reader.person)

    async def begin_for_engineering(self, outage: asyncpg.Record, engineering: Person) -> None:
        """One digest of all customers for our engineers, whose app at the provider it may be."""
        customers = [row["customer"] for row in await self._csms(outage, Role.ENGINEERING)]
        if customers:
            addresses = frozenset(a.lower() for a in (engineering.email, engineering.slack) if a)
            await self._begin(outage, Role.ENGINEERING, addresses, customers, None)

    async def _csms(self, outage: asyncpg.Record, role: Role) -> list[asyncpg.Record]:
        """Of the customers in whose digest for this role nothing says that they are down."""
        since = outage["integration_type"], outage["began_at"]
        untold = [row["customer_id"] for row in await self._pool.fetch(_SQL["untold"], *since, outage["id"], role)]
        return await self._pool.fetch(_SQL["csms_of"], untold) if untold else []

    async def _begin(
        self, outage: asyncpg.Record, role: Role, addresses: frozenset[str], customers: list[UUID], person: UUID | None
    ) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(queries("digest")["lock"])
            to = sorted(addresses)
            if await connection.execute(_SQL["add_to_digest"], outage["id"], role, to, customers) == "UPDATE 0":
                began_at = outage["began_at"]
                await connection.execute(_SQL["begin_digest"], outage["id"], role, began_at, to, customers, person)

    async def waiting(self) -> bool:
        """Whether a digest is to be sent, or to be looked at again."""
        waiting: bool = await self._pool.fetchval(_SQL["digests_waiting"])
        return waiting

    async def to_edit(self) -> list[ToEdit]:
        rows = await self._pool.fetch(_SQL["to_edit"])
        return [ToEdit(row["id"], row["delivery_key"], _in_slack(row), row["shown"]) for row in rows]

    async def view(self, digest: Digest) -> OutageView:
        """What there is to tell of it to this reader."""
        outage = await self._pool.fetchrow(_SQL["load"], digest.outage)
        assert outage is not None  # a digest's outage
        rows = await self._pool.fetch(_SQL["members"], digest.outage)
        there = await self._pool.fetchval(_SQL["there"], outage["integration_type"])
        kind = outage["integration_type"]
        provider = provider_name(kind, self._catalogue.find(kind))
        everyone = tuple(Member.model_validate({**row, "integration": row["display_name"] or provider}) for row in rows)
        mine = set(digest.customers)
        return OutageView(
            provider=provider,
            integration_type=kind,
            began_at=outage["began_at"],
            release_at=outage["release_at"],
            ended_at=outage["ended_at"],
            there=there,
            everyone=everyone,
            mine=tuple(member for member in everyone if member.customer_id in mine),
            to_engineering=digest.role == Role.ENGINEERING,
        )

    async def told(self, digest: Digest, view: OutageView, now: datetime) -> None:
        """The digest says this now; for whom it was the first notice, the clocks run. Harmless when repeated."""
        async with self._pool.acquire() as connection, connection.transaction():
            first = [] if view.to_engineering else [m.id for m in view.mine if m.is_down and m.alerted_at is None]
            if first:
                await self._alerted(connection, digest, first, now)
            await connection.execute(_SQL["shown"], digest.id, view.in_short)

    async def _alerted(
        self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], digest: Digest, first: Sequence[UUID],
        now: datetime,
    ) -> None:  # fmt: skip
        """In the order in which everybody locks: integrations, then incidents."""
        await connection.execute(queries("incidents")["alerted_health"], first)
        await connection.execute(queries("incidents")["alerted"], first, now)
        for incident in first:
            await add_to_timeline(connection, incident, "told_in_digest", outage=digest.outage)


def _in_slack(row: asyncpg.Record) -> str | None:
    return row["external_id"] if row["channel"] == "slack" else None
