"""Weekly digests: whose week has been told, and what there is to tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from activities.db.pool import Pool
from activities.db.sql import queries
from activities.db.warnings import About, Addressee, intend_notice
from activities.digest_facts import DigestView, Ending, Fragile, Mended, StillOpen
from activities.provider_outage_facts import Outage, OutageView
from activities.views import Person
from workflows.domain.calendar import due_step
from workflows.domain.diagnosis import Catalogue
from workflows.domain.digest import Csm, Reader, Week
from workflows.domain.explanation import provider_name
from workflows.domain.policy import Policy, Role

_SQL = queries("digest")

DIGEST, OUTAGE_DIGEST = "weekly_digest", "provider_outage"


@dataclass(frozen=True)
class Digest:
    """One CSM's digest of one week, or of a provider's outage, which may be told to our engineers as well. `reader` is
    None where they are only named by the policy."""

    id: UUID
    began_at: datetime
    ended_at: datetime | None  # of the week
    customers: list[UUID]
    reader: Person | None
    outage: UUID | None = None
    role: Role = Role.CSM

    @property
    def outage_id(self) -> UUID:
        assert self.outage is not None  # whoever asks has checked
        return self.outage

    def of(self, outage: Outage) -> OutageView:
        """What of the outage is this reader's."""
        customers = set(self.customers)
        mine = tuple(member for member in outage.members if member.customer_id in customers)
        return OutageView(outage, mine, to_engineering=self.role == Role.ENGINEERING)

    @property
    def template(self) -> str:
        return OUTAGE_DIGEST if self.outage else DIGEST


class DigestStore:
    def __init__(self, pool: Pool, catalogue: Catalogue) -> None:
        self._pool, self._catalogue = pool, catalogue

    async def csms(
        self, fallback: Person | None, of: Sequence[UUID] | None = None, *, by_slack: bool = True
    ) -> list[Csm]:
        """The CSM of every customer, or `of` these, the newest first; `fallback` where there is none, or none who can
        be reached. `by_slack`: a Slack id is a way to reach somebody."""
        instead = _addresses(fallback.email, fallback.slack if by_slack else None) if fallback else frozenset()
        rows = await self._pool.fetch(_SQL["csms"], of)
        csms = [_csm(row, _addresses(row["email"], row["slack"] if by_slack else None), instead) for row in rows]
        return [csm for csm in csms if csm.addresses]

    async def begun(self, now: datetime) -> set[tuple[date, str]]:
        """Who has had a digest lately: its week, and each of the reader's addresses."""
        return {(row["week"], a) for row in await self._pool.fetch(_SQL["begun"], now) for a in row["addresses"]}

    async def begin(self, reader: Reader, week: Week) -> UUID | None:
        """Writes that this reader's week is to be told; None if it was already, to any of their addresses."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_SQL["lock"])
            digest: UUID | None = await connection.fetchval(
                _SQL["begin"],
                week.monday,
                week.began_at,
                week.ended_at,
                sorted(reader.addresses),
                reader.customers,
                reader.person,
            )
            return digest

    async def intend(self, digest: UUID, to: Addressee) -> None:
        """Intends to tell it by Slack or else by mail."""
        async with self._pool.acquire() as connection, connection.transaction():
            await intend_notice(connection, f"digest/{digest}", About(digest=digest), to)

    async def load(self, digest: UUID) -> Digest:
        row = await self._pool.fetchrow(_SQL["digest"], digest)
        assert row is not None  # digests are never deleted
        person = {"id": row["person_id"]} | {name: row[name] for name in ("name", "email", "slack", "timezone")}
        reader = Person.model_validate(person) if row["person_id"] else None
        whose = row["customers"], reader, row["provider_outage_id"], Role(row["role"])
        return Digest(row["id"], row["began_at"], row["ended_at"], *whose)

    async def unintended(self) -> list[UUID]:
        """Digests that were begun but are to be sent by no way yet."""
        return [row["id"] for row in await self._pool.fetch(_SQL["unintended"])]

    async def under_way(self) -> int:
        """How many messages wait or are being sent."""
        count: int = await self._pool.fetchval(_SQL["under_way"])
        return count

    async def to_send(self, now: datetime) -> list[str]:
        """The keys of the messages that can be sent now."""
        return [row["delivery_key"] for row in await self._pool.fetch(_SQL["to_send"], now)]

    async def again_at(self) -> datetime | None:
        """When the next message can be sent; None: none waits."""
        at: datetime | None = await self._pool.fetchval(_SQL["again_at"])
        return at

    async def about(self, key: str) -> Digest:
        """The digest that a message tells."""
        return await self.load(await self._pool.fetchval(_SQL["about"], key))

    async def hold_others(self, key: str) -> None:
        """Slack said "later" to this one: the others need not ask before."""
        await self._pool.execute(_SQL["hold_others"], key)

    async def view(self, digest: Digest, fragile: Sequence[Fragile], policy: Policy, now: datetime) -> DigestView:
        """What there is to tell: what ended in that week, and how the rest stands at `now`."""
        customers = digest.customers
        still_open = await self._pool.fetch(_SQL["still_open"], customers)
        mended = await self._pool.fetch(_SQL["resolved"], customers, digest.began_at, digest.ended_at)
        ending = await self._pool.fetch(_SQL["ending"], customers, now)
        return DigestView(
            began_at=digest.began_at,
            ended_at=digest.ended_at,
            still_open=tuple(StillOpen.model_validate(self._named(row)) for row in still_open),
            mended=tuple(Mended.model_validate(self._named(row)) for row in mended),
            fragile=tuple(fragile),
            ending=tuple(Ending.model_validate(self._named(row)) for row in self._due(ending, policy, now)),
        )

    def _named(self, row: asyncpg.Record) -> dict[str, Any]:
        kind = row["integration_type"]
        return {**row, "integration": row["display_name"] or provider_name(kind, self._catalogue.find(kind))}

    def _due(self, rows: Sequence[asyncpg.Record], policy: Policy, now: datetime) -> list[asyncpg.Record]:
        """Those that their people are warned of, too."""
        steps = policy.expiry.warn_before
        return [
            row
            for row in rows
            if due_step(row["ends_at"], row["known_since"], now, steps, renews_itself=row["kind"] == "refresh_token")
        ]


def _csm(row: asyncpg.Record, own: frozenset[str], instead: frozenset[str]) -> Csm:
    return Csm(row["customer"], row["person"], own, row["timezone"]) if own else Csm(row["customer"], None, instead)


def _addresses(*addresses: str | None) -> frozenset[str]:
    return frozenset(address.lower() for address in addresses if address)
