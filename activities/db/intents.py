"""What is to be told to somebody: a row each, written in the transaction of the fact that it tells; and the right to
tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from activities.db.pool import Connection
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.views import Wording

_SQL = queries("deliveries")

ALERT = "integration_disconnected_alert"
NOTE = "integration_disconnected_note"
ESCALATION = "integration_disconnected_escalation"
ENGINEERING = "integration_disconnected_engineering"
CUSTOMER = "integration_disconnected_customer"
REMINDER = "integration_disconnected_reminder"
ALL_CLEAR = "integration_reconnected_customer"
TECH_CALL = "tech_call_invitation"
ASKED = "asked"  # in the details of a message that a person asked for
FIRST_NOTICES = {ALERT, CUSTOMER, ENGINEERING}


@dataclass(frozen=True)
class Intent:
    """Something to be told to somebody, once. `recipient` is an email address or a Slack id; of a note in a thread that
    of the thread's reader (empty if that is nobody yet)."""

    incident_id: UUID
    channel: str
    template: str
    role: str
    recipient: str
    person_id: UUID | None = None
    ordinal: str = ""
    details: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """The same intent always has the same key, whoever computes it."""
        parts = (self.incident_id, self.channel, self.template, self.person_id or self.role, self.ordinal)
        return "/".join(str(part) for part in parts if part)


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
    along: tuple[UUID, ...] = ()  # other incidents that the same mail tells of
    instead: Intent | None = None  # what is intended, in the same transaction, if this one can't be delivered
    mail_to: str | None = None  # where that mail goes, if the message belongs to no incident
    wording: Wording | None = None  # what it says, where that does not follow from an incident

    @property
    def incident_id(self) -> UUID:
        assert self.about is not None  # whoever asks has checked, or deals with incidents only
        return self.about


async def intend(connection: Connection, intent: Intent) -> bool:
    """Writes the intent; False if it was there already."""
    return (
        await connection.fetchval(
            _SQL["intend"],
            intent.key,
            intent.incident_id,
            intent.channel,
            intent.template,
            intent.recipient,
            intent.role,
            intent.person_id,
            intent.details or {},
        )
        is not None
    )


async def intend_note(connection: Connection, incident: UUID, kind: str, ordinal: object = "", **details: Any) -> None:
    """A line for the thread below the CSM's message."""
    key = f"{kind}/{ordinal}" if ordinal != "" else kind
    reader = await connection.fetchval(_SQL["reader_of_thread"], incident)
    said = {"kind": kind, **details}
    await intend(connection, Intent(incident, "slack", NOTE, "csm", reader, ordinal=key, details=said))


async def fall_back(connection: Connection, claim: Claim, error: str | None) -> None:
    """What could not be delivered is told to the next one, and to the CSM whose customer was not reached."""
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


async def intend_as_mail(connection: Connection, claim: Claim) -> None:
    """What belongs to no incident and was not taken by Slack is told by mail."""
    if claim.channel == "slack" and claim.mail_to is not None:
        await connection.execute(_SQL["intend_as_mail"], claim.key, claim.mail_to)


async def suppress(connection: Connection, incident: UUID | None, key: str, rule: str) -> None:
    """Decides not to send it, and says which rule decided it."""
    if await connection.fetchval(_SQL["suppress"], key, rule) is not None and incident is not None:
        await add_to_timeline(connection, incident, "notice_suppressed", delivery=key, rule=rule)
