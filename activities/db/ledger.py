"""The ledger of messages: one row per intent, written in the transaction of the fact that it tells.

A send is claimed (`sending`, with an attempt's token and a lease), done, and settled by that token; so a worker that
died or froze in between is noticed, and only one attempt at a time can settle.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from activities.db import together
from activities.db.intents import (
    ALERT,
    ALL_CLEAR,
    CUSTOMER,
    ENGINEERING,
    ESCALATION,
    NOTE,
    REMINDER,
    TECH_CALL,
    Intent,
    intend,
    intend_note,
)
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.views import Wording
from workflows.contracts import Told

__all__ = [
    *("ALERT", "ALL_CLEAR", "CUSTOMER", "ENGINEERING", "ESCALATION", "NOTE", "REMINDER", "TECH_CALL"),
    *("Claim", "FIRST_NOTICES", "Intent", "LEASE", "LeaseHeldError", "Ledger", "intend", "intend_note"),
]

_SQL = queries("deliveries")

FIRST_NOTICES = {ALERT, CUSTOMER, ENGINEERING}
_ONLY_WHILE_OPEN = {ESCALATION, REMINDER, TECH_CALL}
_NOT_WHEN_OVER = FIRST_NOTICES | _ONLY_WHILE_OPEN

# HTTP and SMTP time-outs < an activity's start-to-close (12 s) < the lease: a new attempt never overlaps a live one.
LEASE = timedelta(seconds=15)


class LeaseHeldError(Exception):
    """Another attempt may still be sending this message; try again when its lease has run out."""


@dataclass(frozen=True)
class Claim:
    """The right to send one message now. `attempts` counts this one; `handed_over` the copies of a mail that left our
    hands before and may have arrived."""

    key: str
    token: UUID
    about: UUID | None  # an incident; None: a message that belongs to none, such as a warning
    channel: str
    template: str
    role: str
    recipient: str
    person_id: UUID | None
    details: dict[str, Any]
    attempts: int
    created_at: datetime
    handed_over: int
    instead: Intent | None = None  # what is intended, in the same transaction, if this one can't be delivered
    wording: Wording | None = None  # what it says, where that does not follow from an incident

    @property
    def incident_id(self) -> UUID:
        assert self.about is not None  # whoever asks has checked, or deals with incidents only
        return self.about


class Ledger:
    """Claims and settles."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, key: str, now: datetime) -> Claim | Told:
        """The right to send, or what already became of it. Raises LeaseHeldError."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_SQL["lock_for_claim"], key, now)
            if row is None:
                return Told.SUPPRESSED
            if row["status"] not in {"pending", "sending"}:
                return Told(row["status"])
            if row["status"] == "sending" and not row["lease_expired"]:
                raise LeaseHeldError(key)
            if (rule := _forbidden(row)) is not None:
                await _suppress(connection, row["incident_id"], key, rule)
                return Told.SUPPRESSED
            if row["status"] == "pending" and row["too_early"]:
                return Told.PENDING
            token = uuid4()
            await connection.execute(_SQL["claim"], key, token, LEASE)
            return _claim(row, token)

    async def hand_over(self, claim: Claim) -> bool:
        """Commits that a copy is about to leave our hands, which can't be taken back. False if the claim was lost."""
        return await self._pool.execute(_SQL["hand_over"], claim.key, claim.token) != "UPDATE 0"

    async def settle(
        self, claim: Claim, told: Told, now: datetime, *, external_id: str | None = None, error: str | None = None
    ) -> Told:
        """Records what became of a claimed send (sent, failed or unknown); ignored if the claim was lost meanwhile."""
        async with self._pool.acquire() as connection, connection.transaction():
            mine = await connection.fetchval(_SQL["settle"], claim.key, claim.token, told, external_id, error)
            if mine is None:
                return told
            if told is Told.FAILED:
                await _fall_back(connection, claim, error)
            elif claim.template in FIRST_NOTICES:  # before the timeline: integration, then incident, as everywhere
                await connection.execute(queries("incidents")["alerted_health"], claim.incident_id)
                await connection.execute(queries("incidents")["alerted"], claim.incident_id, now)
            if claim.about is not None:
                await add_to_timeline(
                    connection,
                    claim.about,
                    f"notice_{told}",
                    template=claim.template,
                    channel=claim.channel,
                    role=claim.role,
                    person=claim.person_id,
                    error=error,
                    **({"note": claim.details["kind"]} if "kind" in claim.details else {}),
                )
        return told

    async def retry_later(
        self, claim: Claim, now: datetime, delay: timedelta, error: str, *, was_refused: bool = False
    ) -> Told:
        """Puts a message back; it is sent again after `delay`. `was_refused`: the copy handed over did not arrive."""
        await self._pool.execute(_SQL["retry_later"], claim.key, claim.token, now, delay, error, int(was_refused))
        return Told.PENDING

    async def suppress(self, claim: Claim, rule: str) -> Told:
        """Decides not to send what was claimed, and says which rule decided it."""
        async with self._pool.acquire() as connection, connection.transaction():
            await _suppress(connection, claim.about, claim.key, rule)
            await _fall_back(connection, claim, rule)
        return Told.SUPPRESSED

    async def due(self, incident: UUID, now: datetime) -> list[str]:
        """The keys of the messages that are to be sent now."""
        return [row["delivery_key"] for row in await self._pool.fetch(_SQL["due"], incident, now)]


async def _fall_back(connection: Connection, claim: Claim, error: str | None) -> None:
    if claim.instead is not None:
        await intend(connection, claim.instead)
    if claim.channel == "email" and claim.role == "technical_contact" and claim.about is not None:
        next_person = claim.instead.person_id if claim.instead else None
        await intend_note(
            connection,
            claim.incident_id,
            "mail_failed",
            claim.key,
            person=claim.person_id,
            next_person=next_person,
            reason=error,
        )


async def _suppress(connection: Connection, incident: UUID | None, key: str, rule: str) -> None:
    if await connection.fetchval(_SQL["suppress"], key, rule) is not None and incident is not None:
        await add_to_timeline(connection, incident, "notice_suppressed", delivery=key, rule=rule)


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
