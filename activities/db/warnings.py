"""Messages that belong to no incident: a credential is about to end, our own network failed, how a week was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.views import EndingView, Person
from workflows.domain.diagnosis import Catalogue
from workflows.domain.explanation import provider_name
from workflows.domain.policy import Role

_SQL = queries("monitoring")

EXPIRY = "credential_expiring"
EXPIRY_CUSTOMER = "credential_expiring_customer"
EGRESS = "egress_outage"


@dataclass(frozen=True)
class About:
    """What a message is about: an integration, an outage of our own network, or a CSM's week."""

    integration: UUID | None = None
    outage: UUID | None = None
    digest: UUID | None = None
    began_at: datetime | None = None


@dataclass(frozen=True)
class Addressee:
    """Somebody to be told once, by Slack or else by mail."""

    role: Role
    template: str
    slack: str | None
    email: str | None
    person: UUID | None = None


async def intend_notice(
    connection: Connection, key: str, about: About, to: Addressee, details: dict[str, Any] | None = None
) -> None:
    """Writes the intent to tell somebody by Slack, or else by mail. How often it is called makes no difference. What
    Slack does not take becomes a mail when that is settled (`Claim.mail_to`)."""
    channel, recipient = ("slack", to.slack) if to.slack else ("email", to.email)
    if recipient is None:
        return
    name = f"{key}/{to.person or to.role}/{channel}"
    subject = (about.integration, about.outage, about.digest, channel, to.template, recipient, to.role, to.person)
    await connection.execute(_SQL["intend_notice"], name, *subject, details or {})


class NoticeStore:
    def __init__(self, pool: Pool, catalogue: Catalogue) -> None:
        self._pool, self._catalogue = pool, catalogue

    async def to_send(self) -> list[str]:
        """The keys of the messages that wait."""
        return [row["delivery_key"] for row in await self._pool.fetch(_SQL["notices_to_send"])]

    async def about(self, key: str) -> About:
        row = await self._pool.fetchrow(_SQL["notice_about"], key)
        assert row is not None  # deliveries are never deleted
        return About(row["integration_health_id"], row["egress_outage_id"], began_at=row["began_at"])

    async def intend(self, key: str, about: About, to: list[Addressee], details: dict[str, Any]) -> None:
        """All of them, or none."""
        async with self._pool.acquire() as connection, connection.transaction():
            for addressee in to:
                await intend_notice(connection, key, about, addressee, details)

    async def ending(self, integration: UUID, kind: str, label: str) -> EndingView | None:
        """A credential whose end is known, with those who are to be told; None if it is gone."""
        row = await self._pool.fetchrow(_SQL["ending"], integration, kind, label)
        if row is None:
            return None
        people: dict[str, list[Person]] = {}
        for person in row["people"]:
            people.setdefault(person["role"], []).append(Person.model_validate(person))
        playbook = self._catalogue.find(row["integration_type"])
        return EndingView(
            **{name: value for name, value in row.items() if name in EndingView.model_fields},
            csm=next(iter(people.get(Role.CSM, [])), None),
            contacts=tuple(people.get(Role.TECHNICAL_CONTACT, [])),
            provider_name=provider_name(row["integration_type"], playbook),
        )
