"""One mail for several integrations of one customer that break at the same time; and nobody is written to more often
than the policy allows (customer.min_between_mails, customer.group_within).

The first mail of an incident, and each reminder, is decided on when it is claimed, under a lock on its contact, so that
the responses of one customer decide one after the other. It goes at once, unless this contact was written to a moment
ago, or more integrations of this customer are on their way to being told: then it waits. The one that goes takes along
those of its kind that wait for the same contact: their rows become `suppressed`, with the delivery that tells of them
in `told_with`, and share what becomes of it. A mail that a person asked for does not wait and takes nothing along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from activities.db.intents import ASKED, CUSTOMER, REMINDER, Claim, fall_back, intend_note, suppress
from activities.db.pool import Connection
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from workflows.contracts import Bell, Told
from workflows.domain.mailing import IN_COMPANY, SNOOZED, WRITTEN_TO, in_company_until, snoozed_until, written_to_until
from workflows.domain.policy import CustomerRules, Policy

_SQL = queries("together")

BY_HAND = "a person sent it meanwhile"
LEFT_OUT = "the mail that was to tell of it did not go out"
_OVER = {"closed", "cancelled"}


async def lock_contact(connection: Connection, key: str) -> None:
    """Decisions about mails to one contact are taken one after the other. To be locked before any delivery."""
    await connection.execute(_SQL["lock_contact"], key)


def tells_of_several(row: asyncpg.Record) -> bool:
    """Whether this delivery is one that may wait, and may tell of several."""
    return row["template"] in {CUSTOMER, REMINDER} and row["channel"] == "email" and row["person_id"] is not None


async def prepare(connection: Connection, row: asyncpg.Record, forbidden: str | None, now: datetime) -> Told | None:
    """Decides about a mail whose contact and row are locked; None: it goes now, with those that it takes along.

    UNKNOWN: it is too late for it, but a copy may have arrived.
    """
    key, lead = row["delivery_key"], row["incident_id"]
    too_early = row["status"] == "pending" and row["too_early"]
    may_wait = not row["attempts"] and ASKED not in row["details"] and row["incident_status"] == "open"
    if may_wait and not too_early and (told := await _held_back(connection, row, now)):
        return told
    # Only now: who came in between finds us when they claim, and takes us along.
    along = await connection.fetch(_SQL["along"], key)
    waiting = await connection.fetch(_SQL["waiting"], row["person_id"], key, row["template"])
    stand = await standing(connection, [lead, *(r["incident_id"] for r in (*along, *waiting))])
    if row["handed_over"]:  # once more under the same Message-ID, if there is still somebody to tell
        broken = "open" in (stand[lead], *(stand[r["incident_id"]] for r in along))
        return Told.UNKNOWN if not broken else Told.PENDING if too_early else None
    if stand[lead] != "open":
        await _let_go(connection, along, stand)
        if forbidden is None:  # recovering: if it fails again, it is told; if it holds, it is over
            await connection.execute(_SQL["put_back"], key)
            return Told.PENDING
        await suppress(connection, lead, key, forbidden)
        return Told.SUPPRESSED
    if too_early:
        return Told.PENDING
    if ASKED not in row["details"]:
        await _let_go(connection, [r for r in along if stand[r["incident_id"]] != "open"], stand)
        await _take_along(connection, row, [r for r in waiting if stand[r["incident_id"]] == "open"])
    return None


async def told_along(connection: Connection, claim: Claim) -> list[UUID]:
    """The other incidents that this delivery tells of."""
    return [row["incident_id"] for row in await connection.fetch(_SQL["along"], claim.key)]


async def settle_along(connection: Connection, claim: Claim, told: Told, error: str | None) -> None:
    """What became of a mail became of all that it told of: where it bounced, each goes to the next contact."""
    along = await connection.fetch(_SQL["along"], claim.key)
    stand = await standing(connection, [row["incident_id"] for row in along])
    for row in along:
        incident, key = row["incident_id"], row["delivery_key"]
        about: dict[str, Any] = {"template": claim.template, "channel": "email", "role": claim.role}
        about |= {"person": claim.person_id, "error": error, "told_with": claim.key}
        if told is Told.FAILED:
            await connection.execute(_SQL["fail"], key, error)
        if stand[incident] not in _OVER:
            await _tell_csm(connection, claim, row, len(along), error if told is Told.FAILED else None)
        await add_to_timeline(connection, incident, f"notice_{told}", **about)
        await _ring(connection, incident)


async def _tell_csm(
    connection: Connection, claim: Claim, row: asyncpg.Record, others: int, bounced: str | None
) -> None:
    incident, key = row["incident_id"], row["delivery_key"]
    if bounced is None:
        number = row["details"].get("number")
        reminder = {"reminder": number} if number else {}
        told = {"person": claim.person_id, "together": others, **reminder}
        await intend_note(connection, incident, "mail_sent", key, **told)
        return
    own, number = dict(row["details"]), str(row["details"].get("number", ""))
    instead = claim.instead and replace(claim.instead, incident_id=incident, details=own, ordinal=number)
    await fall_back(connection, replace(claim, key=key, about=incident, details=own, instead=instead), bounced)


async def _held_back(connection: Connection, row: asyncpg.Record, now: datetime) -> Told | None:
    key = row["delivery_key"]
    if (meanwhile := await connection.fetchval(_SQL["sent_by_hand"], key)) is not None:
        await suppress(connection, row["incident_id"], key, f"{BY_HAND}: delivery {meanwhile}")
        return Told.SUPPRESSED
    return Told.PENDING if await _has_to_wait(connection, row, now) else None


async def _has_to_wait(connection: Connection, row: asyncpg.Record, now: datetime) -> bool:
    incident, key = row["incident_id"], row["delivery_key"]
    known = await connection.fetchrow(_SQL["rules"], incident, row["person_id"], key, now)
    assert known is not None  # the incident of a delivery
    rules, at, rule = Policy.stored(known["policy"]).customer, known["at"], SNOOZED
    until = snoozed_until(known["snoozed_until"], at) if row["template"] == REMINDER else None
    if until is None:
        rule, until = WRITTEN_TO, written_to_until(rules, known["last_mail"], at)
    if until is None:
        rule, coming = IN_COMPANY, await _on_their_way(connection, row, known["customer_id"])
        until = in_company_until(rules, _due(row, known["clock_start"], rules), at, coming)
    if until is None:
        return False
    await connection.execute(_SQL["hold"], key, until, rule)
    if not await connection.fetchval(queries("incidents")["was_held"], incident, row["role"], rule):
        about = {"template": row["template"], "role": row["role"], "person": row["person_id"]}
        await add_to_timeline(connection, incident, "notice_held", **about, rule=rule, until=until)
        if rule == WRITTEN_TO and row["template"] == CUSTOMER:
            await intend_note(connection, incident, "mail_held", key, person=row["person_id"], until=until)
    return True


def _due(row: asyncpg.Record, clock_start: datetime, rules: CustomerRules) -> datetime:
    """Since when a mail could go: a first one since it is intended, a reminder since its time has come."""
    number = int(row["details"].get("number", 0)) if row["template"] == REMINDER else 0
    return clock_start + rules.reminders[number - 1] if number else row["created_at"]


async def _on_their_way(
    connection: Connection, row: asyncpg.Record, customer: UUID
) -> list[tuple[datetime, CustomerRules]]:
    """The other incidents of this customer that will come to such a mail: when, and by which rules."""
    if row["template"] == REMINDER:
        return await _reminders_on_their_way(connection, row, customer)
    rows = await connection.fetch(_SQL["on_their_way"], customer, row["incident_id"])
    policies = [(other["detected_at"], Policy.stored(other["policy"])) for other in rows]
    return [(detected_at + policy.notify.hold, policy.customer) for detected_at, policy in policies]


async def _reminders_on_their_way(
    connection: Connection, row: asyncpg.Record, customer: UUID
) -> list[tuple[datetime, CustomerRules]]:
    rows = await connection.fetch(_SQL["reminders_on_their_way"], customer, row["incident_id"], row["person_id"])
    found = [(other, Policy.stored(other["policy"]).customer) for other in rows]
    return [
        (other["clock_start"] + rules.reminders[other["reminders_sent"]], rules)
        for other, rules in found
        if other["reminders_sent"] < len(rules.reminders)
    ]


async def _take_along(connection: Connection, row: asyncpg.Record, waiting: Sequence[asyncpg.Record]) -> None:
    rule = f"told together with incident {row['incident_id']}, delivery {row['delivery_key']}"
    for other in waiting:
        await suppress(connection, other["incident_id"], other["delivery_key"], rule)
        await connection.execute(_SQL["tell_with"], other["delivery_key"], row["delivery_key"])


async def _let_go(connection: Connection, along: Sequence[asyncpg.Record], stand: Mapping[UUID, str]) -> None:
    """Those who were to be told of by a mail that does not go out, or not with them, are told of by themselves."""
    for row in along:
        incident, key = row["incident_id"], row["delivery_key"]
        if stand[incident] in _OVER:
            await connection.execute(_SQL["tell_with"], key, None)
            await add_to_timeline(connection, incident, "notice_suppressed", delivery=key, rule="the incident is over")
        else:
            await connection.execute(_SQL["let_go"], key)
            await add_to_timeline(
                connection, incident, "notice_held", template=row["template"], delivery=key, rule=LEFT_OUT
            )
            await _ring(connection, incident)


async def standing(connection: Connection, incidents: list[UUID]) -> dict[UUID, str]:
    """The status of each, which stays so until the commit. Locked in the order in which everybody locks."""
    found = await connection.fetch(_SQL["states"], incidents) if incidents else []
    return {row["id"]: row["status"] for row in found}


async def _ring(connection: Connection, incident: UUID) -> None:
    await connection.execute(queries("events")["add_doorbell"], incident, Bell.MESSAGE_REQUESTED)
