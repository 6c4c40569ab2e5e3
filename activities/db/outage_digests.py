"""Who is told of a provider's outage in one digest, what it says, and whether that is still so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from activities.db.digest import Digest, DigestStore
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.db.warnings import About, Addressee, intend_notice
from activities.provider_outage_facts import Member, Outage, OutageView
from activities.views import Person
from workflows.domain.diagnosis import Catalogue
from workflows.domain.digest import readers
from workflows.domain.explanation import provider_name
from workflows.domain.policy import Role

_SQL = queries("provider_outages")
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """A digest that was sent and may no longer say how things stand.

    `slack` is where it is, `channel:ts`; None: a mail, which stays as it is. `shown` is what it said, see
    OutageView.in_short; None: whoever sent it did not come to write that down.
    """

    digest: UUID
    outage: UUID
    key: str
    slack: str | None
    shown: str | None


class OutageDigestStore:
    def __init__(self, pool: Pool, digests: DigestStore, catalogue: Catalogue) -> None:
        self._pool, self._digests, self._catalogue = pool, digests, catalogue

    async def begin_for_csms(self, outage: asyncpg.Record, fallback: Person | None, *, by_slack: bool) -> None:
        """Sees to it that the CSM of every customer who is down has a digest; each human one, that grows. Who can't be
        reached (`by_slack`: Slack is there) has none."""
        untold = await self._untold(outage, Role.CSM)
        csms = await self._digests.csms(fallback, untold, by_slack=by_slack) if untold else []
        for reader in readers(csms):
            await self._begin(outage, Role.CSM, reader.addresses, reader.customers, reader.person)
        await self._pool.execute(_SQL["revive"], outage["id"], outage["integration_type"], outage["began_at"])

    async def begin_for_engineering(self, outage: asyncpg.Record, engineering: Person, *, by_slack: bool) -> None:
        """One digest of all customers for our engineers, whose app at the provider it may be."""
        customers = await self._untold(outage, Role.ENGINEERING)
        addresses = frozenset(a.lower() for a in (engineering.email, engineering.slack if by_slack else None) if a)
        if customers and addresses:
            await self._begin(outage, Role.ENGINEERING, addresses, customers, None)

    async def _untold(self, outage: asyncpg.Record, role: Role) -> list[UUID]:
        """The customers who are down, and in nobody's digest for this role."""
        of = outage["integration_type"], outage["began_at"], outage["id"]
        return [row["customer_id"] for row in await self._pool.fetch(_SQL["untold"], *of, role)]

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

    async def to_edit(self) -> list[Told]:
        rows = await self._pool.fetch(_SQL["to_edit"])
        return [Told(row["id"], row["outage"], row["delivery_key"], _in_slack(row), row["shown"]) for row in rows]

    async def load(self, outage: UUID) -> Outage:
        """All of it, for whichever digest."""
        row = await self._pool.fetchrow(_SQL["load"], outage)
        assert row is not None  # outages are never deleted
        kind = row["integration_type"]
        provider = provider_name(kind, self._catalogue.find(kind))
        members = await self._pool.fetch(_SQL["members"], kind, row["began_at"], row["ended_at"] or _NEVER)
        return Outage(
            provider=provider,
            integration_type=kind,
            began_at=row["began_at"],
            release_at=row["release_at"],
            ended_at=row["ended_at"],
            there=await self._pool.fetchval(_SQL["there"], kind),
            members=tuple(Member.model_validate({**m, "integration": m["display_name"] or provider}) for m in members),
        )

    async def told(self, digest: Digest, view: OutageView, now: datetime, before: str | None = None) -> None:
        """The digest says this now, and said `before`. For whom it was the first notice, it is recorded, once."""
        async with self._pool.acquire() as connection, connection.transaction():
            first = [] if view.to_engineering else [m.id for m in view.down if m.alerted_at is None]
            if first:  # in the order in which everybody locks: integrations, then incidents
                await connection.execute(queries("incidents")["alerted_health"], first)
            for row in await connection.fetch(_SQL["first_told"], first, now):
                await add_to_timeline(connection, row["id"], "told_in_digest", outage=digest.outage)
            await connection.execute(_SQL["shown"], digest.id, view.in_short, before)

    async def intend_closing(self, digest: Digest, to: Addressee) -> None:
        """A mail can't be edited: that it is over is another one, once."""
        async with self._pool.acquire() as connection, connection.transaction():
            await intend_notice(connection, f"digest/{digest.id}/over", About(digest=digest.id), to, {CLOSING: True})


CLOSING = "closing"  # in the details of that mail


def _in_slack(row: asyncpg.Record) -> str | None:
    return row["external_id"] if row["channel"] == "slack" else None
