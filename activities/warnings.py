"""Warnings and other messages that belong to no incident: who is told, in which words, by which way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import structlog
from temporalio import activity

from activities.db.calendar import CalendarStore, DueWarning
from activities.db.ledger import Claim, LeaseHeldError, Ledger
from activities.db.pool import Connection
from activities.db.warnings import EGRESS, EXPIRY, EXPIRY_CUSTOMER, Subject, SubjectLoader, intend_notice
from activities.email import EmailSender
from activities.links import Links
from activities.rendering import Renderer
from activities.slack import SlackSender
from activities.views import Person, Wording
from workflows.contracts import Told
from workflows.domain.policy import Policy, Role

_log = structlog.get_logger()


class Warnings:
    def __init__(
        self,
        calendar: CalendarStore,
        subjects: SubjectLoader,
        ledger: Ledger,
        slack: SlackSender,
        email: EmailSender,
        render: Renderer,
        links: Links,
        policy: Callable[[], Policy],
    ) -> None:
        self._calendar, self._subjects, self._ledger = calendar, subjects, ledger
        self._slack, self._email, self._render, self._links = slack, email, render, links
        self._policy = policy

    @activity.defn
    async def warn_of_expiry(self) -> None:
        """Writes the warnings that are due, each once; sending them is another step."""
        for due in await self._calendar.due(datetime.now(UTC), self._policy().expiry.warn_before):
            subject = await self._subjects.of_credential(due.integration, due.kind, due.label)
            if subject is not None:
                async with self._subjects.transaction() as connection:
                    await self._intend(connection, due, subject)

    @activity.defn
    async def send_notices(self) -> None:
        """Sends what waits. What can't be sent now is put back with a time, and asked for again by a later sweep."""
        for key in await self._subjects.to_send():
            activity.heartbeat()
            await self._send(key, datetime.now(UTC))

    async def _intend(self, connection: Connection, due: DueWarning, subject: Subject) -> None:
        view, policy = subject.view, self._policy()
        told = {Role.CSM: (EXPIRY, subject.csm(policy))}
        if due.only_customer_renews:
            told[Role.TECHNICAL_CONTACT] = (EXPIRY_CUSTOMER, next((c for c in view.contacts if c.email), None))
        else:
            told[Role.ENGINEERING] = (EXPIRY, subject.engineering(policy))
        for role, (template, person) in told.items():
            if person is None:
                continue
            by_slack = self._slack.is_configured and role is not Role.TECHNICAL_CONTACT
            await intend_notice(
                connection,
                due.key,
                template,
                role,
                slack=(person.slack or person.email) if by_slack else None,
                email=person.email,
                integration=due.integration,
                person=person.id,
                details={"kind": due.kind, "label": due.label, "ends_at": due.ends_at},
            )

    async def _send(self, key: str, now: datetime) -> None:
        try:
            claim = await self._ledger.claim(key, now)
        except LeaseHeldError:
            return
        if not isinstance(claim, Claim):
            return
        wording = await self._worded(claim, now)
        if wording is None:
            await self._ledger.suppress(claim, "it has been renewed, or removed, in the meantime")
            return
        sender = self._slack if claim.channel == "slack" else self._email
        told = await sender.send(replace(claim, wording=wording), now)
        if told is Told.FAILED:
            _log.warning("a warning could not be delivered", delivery=key, channel=claim.channel)
            await self._by_mail_instead(claim)

    async def _worded(self, claim: Claim, now: datetime) -> Wording | None:
        """The message as it is true now; None if there is nothing to be told any more."""
        if claim.template == EGRESS:
            return await self._our_network(claim, now)
        integration = await self._subjects.integration_of(claim.key)
        subject = await self._subjects.of_credential(integration, claim.details["kind"], claim.details["label"])
        if subject is None or subject.has_moved(datetime.fromisoformat(claim.details["ends_at"])):
            return None
        view, policy = subject.view, self._policy()
        if claim.role == Role.TECHNICAL_CONTACT:
            contact = next((c for c in view.contacts if c.id == claim.person_id), Person(email=claim.recipient))
            mail = self._render.ending_mail(view, contact=contact, now=now)
            return Wording(reader=contact, mail=mail, reply_to=subject.csm(policy))
        reader = (subject.csm if claim.role == Role.CSM else subject.engineering)(policy) or Person()
        status_url = self._links.status(integration, now)
        if claim.channel == "slack":
            return Wording(
                reader=reader, slack=self._render.ending(view, now=now, reader=reader, status_url=status_url)
            )
        return Wording(
            reader=reader, mail=self._render.ending_as_mail(view, now=now, reader=reader, status_url=status_url)
        )

    async def _our_network(self, claim: Claim, now: datetime) -> Wording | None:
        outage, began_at = await self._subjects.outage_of(claim.key)
        reader = Person(email=claim.recipient)
        if claim.channel == "slack":
            message = self._render.our_network(outage, began_at=began_at, now=now, reader=reader)
            return Wording(reader=reader, slack=message)
        return Wording(reader=reader, mail=self._render.our_network_as_mail(began_at=began_at, now=now, reader=reader))

    async def _by_mail_instead(self, claim: Claim) -> None:
        """Slack did not take it: the next round finds the mail that is written here."""
        if claim.channel != "slack":
            return
        person = await self._person_of(claim)
        if person is None or person.email is None:
            return
        async with self._subjects.transaction() as connection:
            await intend_notice(
                connection,
                claim.key.rsplit("/", 2)[0],
                claim.template,
                claim.role,
                slack=claim.recipient,
                email=person.email,
                person=claim.person_id,
                details=claim.details,
                **await self._subjects.about(claim.key),
            )

    async def _person_of(self, claim: Claim) -> Person | None:
        policy = self._policy()
        if claim.role == Role.ENGINEERING:
            return Person(email=policy.people.engineering.email or None)
        integration: UUID = await self._subjects.integration_of(claim.key)
        subject = await self._subjects.of_credential(integration, claim.details["kind"], claim.details["label"])
        return subject.csm(policy) if subject else None
