"""What a person decides about an incident, from the API, Slack or a page: a fact first, then a bell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

import asyncpg

from activities.calls import Proposal
from activities.customers import ContactWrite
from activities.db.customers import add_contact
from activities.db.incidents import UnknownIncidentError, close, lock
from activities.db.integrations import add_bell, add_hint
from activities.db.ledger import ASKED, CUSTOMER, TECH_CALL, Intent, intend, intend_note
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from workflows.contracts import Bell, Resolution, Status
from workflows.domain.policy import Policy, Severity

_SQL = queries("actions")
_DOUBLE_CLICK = timedelta(seconds=60)
_FRESH_LINK = timedelta(minutes=15)
MOST_SNOOZED = timedelta(days=30)

Recipient: TypeAlias = UUID | ContactWrite | None
"""A technical contact by id, one to be added, or None for the first with an address."""


class ActionRefusedError(Exception):
    """It can't be done: 409 as things stand, or 422 as it was asked; `field` says where, the message what to do."""

    def __init__(self, status: Literal[409, 422], message: str, field: str = "") -> None:
        super().__init__(message)
        self.status, self.field, self.message = status, field, message


@dataclass(frozen=True)
class Actor:
    """Who acts, as they call themselves: the address, Slack id or name of one of the customer's people is recognised.

    `person` says who it is where that is known already; `only` limits whose incidents may be named.
    """

    name: str
    person: UUID | None = None
    only: UUID | None = None


By: TypeAlias = Actor | str
"""A name is enough where nothing else is known."""


@dataclass(frozen=True)
class _Case:
    """A locked incident that is not over, and who acts on it."""

    connection: Connection
    health: asyncpg.Record
    row: asyncpg.Record
    name: str
    person: UUID | None

    @property
    def id(self) -> UUID:
        incident: UUID = self.row["id"]
        return incident

    @property
    def actor(self) -> str:
        """For the timeline, which never holds names or addresses."""
        return f"person:{self.person}" if self.person else "operator"

    @property
    def policy(self) -> Policy:
        return Policy.stored(self.row["policy"])

    async def record(self, kind: str, bell: Bell, **details: Any) -> None:
        await add_to_timeline(self.connection, self.id, kind, self.actor, **details)
        await add_bell(self.connection, self.id, bell)

    async def note(self, kind: str, ordinal: object, **details: Any) -> None:
        by = {"by_person": self.person} if self.person else {}
        await intend_note(self.connection, self.id, kind, ordinal, **by, **details)


class Actions:
    """Each is one transaction and returns whether it changed anything; then the incident is to be rung.

    All raise UnknownIncidentError, and ActionRefusedError (409) if the incident is over.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def acknowledge(self, incident: UUID, by: By) -> bool:
        """Somebody is on it: escalation pauses. The first one counts, until it has expired."""
        async with self._case(incident, by) as case:
            row = case.row
            if row["acknowledged_at"] is not None and row["acknowledged_at"] != row["ack_expired_at"]:
                return False
            await case.connection.execute(queries("incidents")["acknowledge"], incident, case.name)
            ladder = case.policy.ladder(Severity(row["severity"]))
            until = {"until": datetime.now(UTC) + ladder.ack_timeout} if ladder.steps else {}
            await case.record("acknowledged", Bell.ACKNOWLEDGED)
            await case.note("acknowledged", _moment(), **until)
            return True

    async def snooze(self, incident: UUID, by: By, until: datetime) -> bool:
        """Nobody is escalated to or reminded before that time (aware, later than now, at most 30 days ahead).

        A later snooze replaces an earlier one, unless both end at the same time: a double click is one. Raises
        ActionRefusedError (422) for another time.
        """
        now = datetime.now(UTC)
        if not now < until <= now + MOST_SNOOZED:
            raise ActionRefusedError(422, "give a time in the future, at most 30 days ahead", "until")
        async with self._case(incident, by) as case:
            before = case.row["snoozed_until"]
            if before is not None and before > now and abs(until - before) < _DOUBLE_CLICK:
                return False
            await case.connection.execute(queries("incidents")["snooze"], incident, until)
            await case.record("snoozed", Bell.SNOOZED, until=until)
            await case.note("snoozed", _moment(), until=until)
            return True

    async def report_fixed(self, incident: UUID, by: By) -> bool:
        """A person's word starts a verification; it closes nothing."""
        async with self._case(incident, by) as case:
            return await add_hint(case.connection, case.row, "person", case.actor, by=case.name)

    async def close(self, incident: UUID, by: By, resolution: Resolution, note: str | None = None) -> bool:
        """By hand, as no_longer_used or false_alarm: from any state, at once."""
        async with self._case(incident, by) as case:
            await close(case.connection, case.health, case.row, resolution, actor=case.actor, by=case.name, note=note)
            await add_bell(case.connection, incident, Bell.CLOSED)
            return True

    async def send_fix_instructions(self, incident: UUID, by: By, to: Recipient = None) -> bool:
        """Mails the fix to a technical contact, once more if it was mailed before; a double click is one.

        Raises ActionRefusedError (422) if there is no such contact, or none at all.
        """
        async with self._case(incident, by) as case:
            contact = await _mail(case, CUSTOMER, to)
            if contact is None:
                return False
            await case.record("fix_instructions_requested", Bell.MESSAGE_REQUESTED, person=contact)
            await case.note("mail_sent", f"{contact}/{_moment()}", person=contact)
            return True

    async def schedule_tech_call(
        self, incident: UUID, by: By, to: Recipient = None, proposal: Proposal | None = None
    ) -> bool:
        """Offers a technical contact a call by mail, at the proposed times if there are any.

        Raises ActionRefusedError as `send_fix_instructions` does, and (422) for times that can't be meant.
        """
        if proposal and (wrong := proposal.wrong(datetime.now(UTC))):
            raise ActionRefusedError(422, wrong, "times")
        async with self._case(incident, by) as case:
            when = proposal.dump() if proposal else {}
            contact = await _mail(case, TECH_CALL, to, **when)
            if contact is None:
                return False
            booking = bool(case.policy.people.booking_url)
            await case.record("tech_call_requested", Bell.MESSAGE_REQUESTED, person=contact, **when)
            await case.note("tech_call_requested", f"{contact}/{_moment()}", person=contact, booking=booking, **when)
            return True

    async def send_fresh_link(self, incident: UUID, person: UUID) -> bool:
        """Somebody holds a link that has expired: the same mail once more, to its own recipient, not too often."""
        try:
            async with self._case(incident, Actor(str(person), person)) as case:
                contact = await _mail(case, CUSTOMER, person, at_most_every=_FRESH_LINK)
                if contact is not None:
                    await case.record("fresh_link_requested", Bell.MESSAGE_REQUESTED, person=contact)
                return contact is not None
        except (ActionRefusedError, UnknownIncidentError):
            return False

    async def page_opened(self, incident: UUID, person: UUID | None) -> bool:
        """The customer pressed the button behind the link: what fetching it does not show. The CSM hears of it once."""
        details = {"person": person} if person else {}
        async with self._pool.acquire() as connection, connection.transaction():
            await lock(connection, incident)
            if person is not None:
                await connection.execute(queries("deliveries")["mark_opened"], incident, person)
            if await connection.fetchval(_SQL["noted"], incident, "page_opened", details):
                return False
            actor = f"person:{person}" if person else "relink"
            await add_to_timeline(connection, incident, "page_opened", actor, **details)
            await intend_note(connection, incident, "page_opened", person or "", **details)
            await add_bell(connection, incident, Bell.MESSAGE_REQUESTED)
            return True

    async def page_fetched(self, incident: UUID, person: UUID | None) -> None:
        """Somebody, perhaps a mail scanner, looked: one line for each recipient of a link, however often it happens."""
        details = {"person": person} if person else {}
        if await self._pool.fetchval(_SQL["noted"], incident, "page_fetched", details):
            return
        async with self._pool.acquire() as connection, connection.transaction():
            await lock(connection, incident)
            if not await connection.fetchval(_SQL["noted"], incident, "page_fetched", details):
                await add_to_timeline(connection, incident, "page_fetched", "relink", **details)

    async def hint(self, incident: UUID, kind: str, person: UUID | None = None) -> bool:
        """Something says that the connection works again; what is over is over, and no error."""
        async with self._pool.acquire() as connection, connection.transaction():
            _, row = await lock(connection, incident)
            return await add_hint(connection, row, kind, f"person:{person}" if person else "relink")

    @asynccontextmanager
    async def _case(self, incident: UUID, by: By) -> AsyncIterator[_Case]:
        actor = Actor(by) if isinstance(by, str) else by
        async with self._pool.acquire() as connection, connection.transaction():
            health, row = await lock(connection, incident)
            if actor.only is not None and row["customer_id"] != actor.only:
                raise UnknownIncidentError(str(incident))
            if row["status"] in {Status.CLOSED, Status.CANCELLED}:
                raise ActionRefusedError(409, f"the incident is over: {row['status']} ({row['resolution']})")
            person = actor.person
            if person is None:
                name = actor.name.strip().lower()
                person = await connection.fetchval(_SQL["person_named"], row["customer_id"], name)
            yield _Case(connection, health, row, actor.name, person)


async def contacts_of(connection: Connection | Pool, customer: UUID) -> list[asyncpg.Record]:
    """The technical contacts who have an address, in order of preference: id, name, email."""
    return await connection.fetch(_SQL["contacts"], customer)


async def _mail(
    case: _Case, template: str, to: Recipient, *, at_most_every: timedelta = _DOUBLE_CLICK, **details: Any
) -> UUID | None:
    """Intends a mail to a contact and returns who that is; None if they are being told the same just now."""
    if case.row["status"] == Status.RECOVERING:
        raise ActionRefusedError(409, "the connection works again and only has to hold; there is nothing to mail")
    contact, address = await _recipient(case, to)
    before = await case.connection.fetchrow(_SQL["told_before"], case.id, template, contact, at_most_every)
    assert before is not None  # an aggregate always has a row
    if before["just_now"]:
        return None
    # The first has the key that the workflow's own first mail would have, so that the two are one.
    ordinal = f"again{before['count']}" if before["count"] else ""
    asked = {ASKED: True, **details}
    intent = Intent(case.id, "email", template, "technical_contact", address, contact, ordinal, asked)
    await intend(case.connection, intent)
    return contact


async def _recipient(case: _Case, to: Recipient) -> tuple[UUID, str]:
    customer = case.row["customer_id"]
    if isinstance(to, ContactWrite):
        if to.email is None:
            raise ActionRefusedError(422, "give the contact's email", "contact.email")
        return await add_contact(case.connection, customer, to), to.email
    contacts = await contacts_of(case.connection, customer)
    chosen = next((c for c in contacts if to in {None, c["id"]}), None)
    if chosen is not None:
        return chosen["id"], chosen["email"]
    if to is not None:
        raise ActionRefusedError(422, "this customer has no technical contact of this id with an address", "contact_id")
    raise ActionRefusedError(
        422,
        'this customer has no technical contact with an address: give one here, {"contact": {"email": …, "name": …}}, '
        "or in technical_contacts of PUT /v1/customers/{external_id}",
        "contact",
    )


def _moment() -> int:
    """Tells two decisions of the same kind apart."""
    return int(datetime.now(UTC).timestamp())
