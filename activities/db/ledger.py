"""The ledger of messages: one row per intent, written in the transaction of the fact that it tells.

A send is claimed (`sending`, with an attempt's token and a lease), done, and settled by that token; so a worker that
died or froze in between is noticed, and only one attempt at a time can settle.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from activities.db import provider_outages, together
from activities.db.intents import (
    ALERT,
    ALL_CLEAR,
    ASKED,
    CUSTOMER,
    ENGINEERING,
    ESCALATION,
    FIRST_NOTICES,
    NOTE,
    REMINDER,
    TECH_CALL,
    Claim,
    Intent,
    fall_back,
    intend,
    intend_as_mail,
    intend_note,
    suppress,
)
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from workflows.contracts import Told

__all__ = [
    "ALERT",
    "ALL_CLEAR",
    "ASKED",
    "CUSTOMER",
    "ENGINEERING",
    "ESCALATION",
    "FIRST_NOTICES",
    "LEASE",
    "NOTE",
    "REMINDER",
    "TECH_CALL",
    "Claim",
    "Intent",
    "LeaseHeldError",
    "Ledger",
    "intend",
    "intend_note",
]

_SQL = queries("deliveries")

_ONLY_WHILE_OPEN = {ESCALATION, REMINDER, TECH_CALL}
_NOT_WHEN_OVER = FIRST_NOTICES | _ONLY_WHILE_OPEN

# HTTP and SMTP time-outs < an activity's start-to-close (12 s) < the lease: a new attempt never overlaps a live one.
LEASE = timedelta(seconds=15)


class LeaseHeldError(Exception):
    """Another attempt may still be sending this message; try again when its lease has run out, in `left`."""

    def __init__(self, key: str, left: timedelta) -> None:
        super().__init__(key)
        self.left = left


class Ledger:
    """Claims and settles."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, key: str, now: datetime) -> Claim | Told:
        """The right to send, or what already became of it. Raises LeaseHeldError."""
        async with self._pool.acquire() as connection, connection.transaction():
            await together.lock_contact(connection, key)
            row = await connection.fetchrow(_SQL["lock_for_claim"], key, now)
            if row is None:
                return Told.SUPPRESSED
            if row["status"] not in {"pending", "sending"}:
                return Told(row["status"])
            if row["status"] == "sending" and row["lease_left"] >= timedelta(0):
                raise LeaseHeldError(key, row["lease_left"])
            told = await _instead_of_sending(connection, row, now)
            if told not in {None, Told.UNKNOWN}:
                return told
            token = uuid4()
            await connection.execute(_SQL["claim"], key, token, LEASE)
            claim = _claim(row, token)
            if told is Told.UNKNOWN:
                return await _settle(connection, claim, told, now, error="it may have arrived; then it was too late")
            return replace(claim, along=tuple(await together.told_along(connection, claim)))

    async def hand_over(self, claim: Claim) -> bool:
        """Commits that a copy is about to leave our hands, which can't be taken back. False if the claim was lost."""
        return await self._pool.execute(_SQL["hand_over"], claim.key, claim.token) != "UPDATE 0"

    async def settle(
        self, claim: Claim, told: Told, now: datetime, *, external_id: str | None = None, error: str | None = None
    ) -> Told:
        """Records what became of a claimed send (sent, failed or unknown); ignored if the claim was lost meanwhile."""
        async with self._pool.acquire() as connection, connection.transaction():
            return await _settle(connection, claim, told, now, external_id=external_id, error=error)

    async def retry_later(
        self, claim: Claim, now: datetime, delay: timedelta, error: str, *, was_refused: bool = False
    ) -> Told:
        """Puts a message back; it is sent again after `delay`. `was_refused`: the copy handed over did not arrive."""
        await self._pool.execute(_SQL["retry_later"], claim.key, claim.token, now, delay, error, int(was_refused))
        return Told.PENDING

    async def suppress(self, claim: Claim, rule: str) -> Told:
        """Decides not to send what was claimed, and says which rule decided it."""
        async with self._pool.acquire() as connection, connection.transaction():
            await suppress(connection, claim.about, claim.key, rule)
            await fall_back(connection, claim, rule)
        return Told.SUPPRESSED

    async def due(self, incident: UUID, now: datetime) -> list[str]:
        """The keys of the messages that are to be sent now."""
        return [row["delivery_key"] for row in await self._pool.fetch(_SQL["due"], incident, now)]

    async def late(self, incident: UUID | None, now: datetime) -> list[asyncpg.Record]:
        """The Slack messages of an incident, or of none, of which an earlier attempt's copy may have arrived by now."""
        return await self._pool.fetch(_SQL["late"], incident, now)

    async def looked_again(self, key: str, now: datetime, *, again_after: timedelta | None) -> None:
        """Whether to look once more, and when."""
        await self._pool.execute(_SQL["looked_again"], key, now, again_after)


async def _settle(
    connection: Connection,
    claim: Claim,
    told: Told,
    now: datetime,
    *,
    external_id: str | None = None,
    error: str | None = None,
) -> Told:
    mine = await connection.fetchval(_SQL["settle"], claim.key, claim.token, told, external_id, error)
    if mine is None:
        return told
    along = await together.told_along(connection, claim)
    if told is Told.FAILED and claim.about is None:
        await intend_as_mail(connection, claim)
    elif told is Told.FAILED:
        await together.standing(connection, [claim.incident_id, *along])
        await fall_back(connection, claim, error)
    elif claim.template in FIRST_NOTICES:  # before the timeline: integration, then incident, as everywhere
        incidents = [claim.incident_id, *along]
        await connection.execute(queries("incidents")["alerted_health"], incidents)
        await connection.execute(queries("incidents")["alerted"], incidents, now)
    if claim.about is not None:
        more = {"note": claim.details["kind"]} if "kind" in claim.details else {}
        more |= {"together_with": along} if along else {}
        await add_to_timeline(
            connection,
            claim.about,
            f"notice_{told}",
            template=claim.template,
            channel=claim.channel,
            role=claim.role,
            person=claim.person_id,
            error=error,
            **more,
        )
    await together.settle_along(connection, claim, told, error)
    return told


async def _instead_of_sending(connection: Connection, row: asyncpg.Record, now: datetime) -> Told | None:
    """What becomes of a message that is not to be sent now; None: it is. UNKNOWN: a copy of it left us already."""
    rule = _forbidden(row)
    if rule is None and await provider_outages.hold(connection, row, now):
        return Told.PENDING
    if together.tells_of_several(row):
        return await together.prepare(connection, row, rule, now)
    if rule is not None:
        await suppress(connection, row["incident_id"], row["delivery_key"], rule)
        return Told.SUPPRESSED
    return Told.PENDING if row["status"] == "pending" and row["too_early"] else None


def _forbidden(row: asyncpg.Record) -> str | None:
    """The rule that forbids sending, as things stand now (promise 7: no notice claimed after a verified recovery)."""
    is_over = row["incident_status"] in {"closed", "cancelled"}
    if is_over and row["template"] in _NOT_WHEN_OVER:
        return "the incident is over"
    if row["incident_status"] == "recovering" and row["template"] in _ONLY_WHILE_OPEN:
        return "the connection has recovered"
    return None


def _claim(row: asyncpg.Record, token: UUID) -> Claim:
    return Claim(
        key=row["delivery_key"],
        token=token,
        about=row["incident_id"],
        channel=row["channel"],
        template=row["template"],
        role=row["role"],
        recipient=row["recipient"],
        person_id=row["person_id"],
        details=row["details"],
        attempts=row["attempts"] + 1,
        created_at=row["created_at"],
        handed_over=row["handed_over"],
    )
