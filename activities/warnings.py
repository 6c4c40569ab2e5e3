"""Warnings and other messages that belong to no incident: who is told, in which words, by which way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from temporalio import activity

from activities.attempt import attempt
from activities.db.calendar import CalendarStore, DueWarning
from activities.db.ledger import Claim, LeaseHeldError, Ledger
from activities.db.views import addressee
from activities.db.warnings import EXPIRY, EXPIRY_CUSTOMER, About, Addressee, NoticeStore
from activities.email import EmailSender
from activities.links import Links
from activities.rendering import Renderer
from activities.slack import SlackSender
from activities.sweeping import utc_now
from activities.views import EndingView, Person, Wording
from workflows.contracts import Told
from workflows.domain.calendar import is_same_end
from workflows.domain.policy import Policy, Role

_log = structlog.get_logger()


class Warnings:
    def __init__(
        self,
        calendar: CalendarStore,
        notices: NoticeStore,
        ledger: Ledger,
        slack: SlackSender,
        email: EmailSender,
        render: Renderer,
        links: Links,
        policy: Callable[[], Policy],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._calendar, self._notices, self._ledger = calendar, notices, ledger
        self._slack, self._email, self._render, self._links = slack, email, render, links
        self._policy, self._clock = policy, clock

    @activity.defn
    async def warn_of_expiry(self) -> None:
        """Writes the warnings that are due, each once; sending them is another step."""
        for due in await self._calendar.due(self._clock(), self._policy().expiry.warn_before):
            view = await self._notices.ending(due.integration, due.kind, due.label)
            if view is not None:
                await self._notices.intend(due.key, About(due.integration), self._told(view), _details(due))

    @activity.defn
    async def send_notices(self) -> None:
        """Sends what waits. What can't be sent now is put back with a time, and asked for again by a later sweep."""
        for key in await self._notices.to_send():
            activity.heartbeat()
            await self._send(key, self._clock())
        await self._slack.take_back_late(None, self._clock())

    def _told(self, view: EndingView) -> list[Addressee]:
        """The CSM always; the technical contact if only they can renew it, else our engineers."""
        people = [(Role.CSM, EXPIRY, self._person(Role.CSM, view))]
        if view.only_customer_renews:
            contact = next((c for c in view.contacts if c.email), None)
            people.append((Role.TECHNICAL_CONTACT, EXPIRY_CUSTOMER, contact))
        else:
            people.append((Role.ENGINEERING, EXPIRY, self._person(Role.ENGINEERING, view)))
        return [self._addressee(role, template, person) for role, template, person in people if person]

    def _addressee(self, role: Role, template: str, person: Person) -> Addressee:
        by_slack = self._slack.is_configured and role is not Role.TECHNICAL_CONTACT
        slack = (person.slack or person.email) if by_slack else None
        return Addressee(role, template, slack, person.email, person.id)

    def _person(self, role: Role, view: EndingView | None) -> Person | None:
        people = self._policy().people
        if role is Role.CSM:
            return (view and view.csm) or addressee(people.fallback_csm)
        return addressee(people.engineering)

    async def _send(self, key: str, now: datetime) -> None:
        try:
            claim = await self._ledger.claim(key, now)
        except LeaseHeldError:
            return
        if not isinstance(claim, Claim):
            return
        about = await self._notices.about(key)
        view = await self._current(about, claim)
        person = self._person(Role(claim.role), view)
        claim = replace(claim, mail_to=person.email if person else None)
        if await attempt(self._ledger, claim, now, self._tell(claim, about, view, now)) is Told.FAILED:
            _log.warning("a warning could not be delivered", delivery=key, channel=claim.channel)

    async def _tell(self, claim: Claim, about: About, view: EndingView | None, now: datetime) -> Told:
        if view is None and about.integration is not None:
            return await self._ledger.suppress(claim, "it has been renewed or removed meanwhile")
        wording = self._worded(claim, about, view, now)
        sender = self._slack if claim.channel == "slack" else self._email
        return await sender.send(replace(claim, wording=wording), now)

    async def _current(self, about: About, claim: Claim) -> EndingView | None:
        """The credential as it is now; None if this warning is no longer true."""
        if about.integration is None:
            return None
        told = claim.details
        view = await self._notices.ending(about.integration, told["kind"], told["label"])
        same = view is not None and is_same_end(datetime.fromisoformat(told["ends_at"]), view.ends_at)
        return view if same else None

    def _worded(self, claim: Claim, about: About, view: EndingView | None, now: datetime) -> Wording:
        if view is None:
            return self._our_network(claim, about, now)
        if claim.template == EXPIRY_CUSTOMER:
            contact = next((c for c in view.contacts if c.id == claim.person_id), Person(email=claim.recipient))
            mail = self._render.ending_mail(view, contact=contact, now=now)
            return Wording(reader=contact, mail=mail, reply_to=self._person(Role.CSM, view))
        reader = self._person(Role(claim.role), view) or Person(email=claim.recipient)
        how: dict[str, Any] = {
            "now": now,
            "reader": reader,
            "status_url": self._links.status(view.integration_health_id, now),
        }
        if claim.channel == "slack":
            return Wording(reader=reader, slack=self._render.ending(view, **how))
        return Wording(reader=reader, mail=self._render.ending_as_mail(view, **how))

    def _our_network(self, claim: Claim, about: About, now: datetime) -> Wording:
        assert about.outage is not None  # a message is about a credential or about an outage
        assert about.began_at is not None
        reader = self._person(Role.ENGINEERING, None) or Person(email=claim.recipient)
        how: dict[str, Any] = {"began_at": about.began_at, "now": now, "reader": reader}
        if claim.channel == "slack":
            return Wording(reader=reader, slack=self._render.our_network(about.outage, **how))
        return Wording(reader=reader, mail=self._render.our_network_as_mail(**how))


def _details(due: DueWarning) -> dict[str, Any]:
    return {"kind": due.kind, "label": due.label, "ends_at": due.ends_at}
