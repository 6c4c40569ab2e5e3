"""A mail that its server took, and that came back later: the same consequences as a refusal on the spot."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg

from activities.db import together
from activities.db.intents import Claim, fall_back
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.db.views import ViewLoader
from activities.email import without_addresses
from activities.fallback import fallback
from activities.rendering_safety import one_line
from workflows.contracts import Bell, Told

_SQL = queries("bounces")
_OVER = {"closed", "cancelled"}


class UnknownDeliveryError(LookupError):
    """There is no such delivery, or it is not this key's."""


class NotSentError(Exception):
    """A message that did not go out by mail can't have bounced; the message says what became of it."""


class Bounces:
    def __init__(self, pool: Pool, views: ViewLoader) -> None:
        self._pool, self._views = pool, views

    async def report(self, key: str, reason: str, only: UUID | None = None) -> UUID | None:
        """The mail of this delivery failed: the next contact is mailed, or the CSM told that nobody was reached.

        Returns the incident that is to be rung; None if there is nothing to do, or if it was reported before.
        Raises UnknownDeliveryError and NotSentError.
        """
        row = await self._pool.fetchrow(_SQL["delivery"], key)
        if row is None or (only is not None and row["customer_id"] != only):
            raise UnknownDeliveryError(key)
        if row["channel"] != "email" or row["status"] not in {"sent", "unknown", "failed"}:
            raise NotSentError(f"this message went out by {row['channel']} or not at all: it is {row['status']}")
        error = one_line(without_addresses(reason), 300) or "it bounced"
        claim = await self._with_fallback(row)
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_SQL["bounce"], key, error) is None:
                return None
            return await _take_back(connection, claim, error)

    async def _with_fallback(self, row: asyncpg.Record) -> Claim:
        fields = {name: row[name] for name in ("channel", "template", "role", "recipient", "person_id", "details")}
        more = {name: row[name] for name in ("attempts", "created_at", "handed_over")}
        claim = Claim(key=row["delivery_key"], token=uuid4(), about=row["incident_id"], **fields, **more)
        if claim.about is None:
            return claim
        view, policy = await self._views.load_with_policy(claim.about)
        return replace(claim, instead=fallback(claim, view, policy))


async def _take_back(connection: Connection, claim: Claim, error: str) -> UUID | None:
    if claim.about is None:
        return None
    along = await together.told_along(connection, claim)
    stand = await together.standing(connection, [claim.about, *along])
    if stand[claim.about] not in _OVER:
        await fall_back(connection, claim, error)
        await connection.execute(queries("events")["add_doorbell"], claim.about, Bell.MESSAGE_REQUESTED)
    about = {"template": claim.template, "channel": claim.channel, "role": claim.role}
    await add_to_timeline(
        connection, claim.about, "notice_failed", **about, person=claim.person_id, error=error, bounced=True
    )
    await together.settle_along(connection, claim, Told.FAILED, error)
    return claim.about
