"""The weekly digest of each CSM: begun on their Monday morning, written when it is sent, sent once. And the digest of a
provider's outage, which is sent once too, and edited while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from temporalio import activity

from activities import phrases
from activities.attempt import attempt
from activities.db.digest import Digest, DigestStore
from activities.db.ledger import Claim, LeaseHeldError, Ledger
from activities.db.outage_digests import CLOSING, OutageDigestStore
from activities.db.outage_digests import Told as ToldDigest
from activities.db.pool import UNAVAILABLE
from activities.db.views import addressee
from activities.db.warnings import Addressee
from activities.digest_facts import Fragile
from activities.discretion import note_unexpected
from activities.email import EmailSender
from activities.links import Links
from activities.provider_outage_facts import Outage
from activities.reliability import Reliability
from activities.rendering import Renderer
from activities.slack import NotNowError, SlackSender
from activities.views import Person, Wording
from workflows.contracts import DigestsAt, DigestsSent, Told
from workflows.domain.digest import readers, week_due
from workflows.domain.policy import Policy, Role

# On their way at the same time. More would only wait, and what waits for Slack too long goes by mail.
AT_ONCE = 25
_LEAST_WAIT = timedelta(seconds=1)  # PostgreSQL's clock and ours may differ
_log = structlog.get_logger()


class Digests:
    def __init__(
        self,
        store: DigestStore,
        ledger: Ledger,
        slack: SlackSender,
        email: EmailSender,
        render: Renderer,
        links: Links,
        reliability: Reliability,
        outages: OutageDigestStore,
        policy: Callable[[], Policy],
    ) -> None:
        self._store, self._ledger, self._outages = store, ledger, outages
        self._slack, self._email, self._render, self._links = slack, email, render, links
        self._reliability, self._policy = reliability, policy

    @activity.defn
    async def send_digests(self, at: DigestsAt) -> DigestsSent:
        """Begins the digests that are due, a few at a time, and sends what can be sent now. Whatever is repeated of it
        does nothing again: first a row says whose week is to be told, then one what is to be sent to them."""
        progress = await self._begin(at.now)
        for digest in await self._store.unintended():
            activity.heartbeat()
            await self._intend(digest)
        for key in await self._store.to_send(at.now):
            activity.heartbeat()
            progress += await self._send(key, at.now) is not None
        await self._bring_up_to_date(at.now)
        if progress:
            return DigestsSent(again_at=at.now)
        again_at = await self._store.again_at()
        return DigestsSent(again_at=again_at and max(again_at, at.now + _LEAST_WAIT))

    async def _begin(self, now: datetime) -> int:
        """Begins what is due, as far as there is room; returns how many."""
        rules = self._policy().digest
        room = AT_ONCE - await self._store.under_way()
        if not rules.enabled or room <= 0:
            return 0
        had = await self._store.begun(now)
        begun = 0
        for reader in readers(await self._store.csms(self._fallback())):
            week = week_due(now, rules.at, phrases.zone(reader.timezone))
            if week is None or any((week.monday, address) in had for address in reader.addresses):
                continue
            begun += await self._store.begin(reader, week) is not None
            if begun >= room:
                break
        return begun

    async def _intend(self, digest_id: UUID) -> None:
        digest = await self._store.load(digest_id)
        reader = self._reader(digest)
        if reader is None:
            return  # the policy no longer names one
        slack = (reader.slack or reader.email) if self._slack.is_configured else None
        await self._store.intend(digest.id, Addressee(digest.role, digest.template, slack, reader.email, reader.id))

    async def _send(self, key: str, now: datetime) -> Told | None:
        """What became of it; None: somebody else may be sending it."""
        try:
            claim = await self._ledger.claim(key, now)
        except LeaseHeldError:
            return None
        if not isinstance(claim, Claim):
            return claim
        digest = await self._store.about(key)
        reader = self._reader(digest)
        claim = replace(claim, mail_to=reader.email if reader else None)
        told = await attempt(self._ledger, claim, now, self._tell(claim, digest, reader, now))
        if told is Told.PENDING and claim.channel == "slack":
            await self._store.hold_others(key)
        if told is Told.FAILED:
            _log.warning("a digest could not be delivered", delivery=key, channel=claim.channel)
        return told

    async def _tell(self, claim: Claim, digest: Digest, reader: Person | None, now: datetime) -> Told:
        reader = reader or Person(email=claim.recipient)
        if digest.outage:
            return await self._tell_outage(claim, digest, reader, now)
        view = await self._store.view(digest, await self._fragile(digest, now), self._policy(), now)
        if view.is_quiet:
            return await self._ledger.suppress(claim, "a week without news")
        own = (digest.reader.email or digest.reader.slack) if digest.reader else None
        how: dict[str, Any] = {"now": now, "reader": reader, "fleet_url": self._links.fleet(own)}
        if claim.channel == "slack":
            wording = Wording(reader=reader, slack=self._render.digest(digest.id, view, **how))
        else:
            wording = Wording(reader=reader, mail=self._render.digest_as_mail(view, **how))
        return await self._sender(claim).send(replace(claim, wording=wording), now)

    async def _tell_outage(self, claim: Claim, digest: Digest, reader: Person, now: datetime) -> Told:
        view = digest.of(await self._outages.load(digest.outage_id))
        is_closing = CLOSING in claim.details
        if not is_closing and (view.outage.ended_at or not view.down):
            return await self._ledger.suppress(claim, "there is nothing to tell any more")
        url = self._links.provider(view.outage.integration_type)
        if claim.channel == "slack":
            said = self._render.provider_outage(digest.id, view, now=now, reader=reader, url=url)
            wording = Wording(reader=reader, slack=said)
        else:
            mail = self._render.provider_outage_as_mail(view, now=now, reader=reader, url=url)
            wording = Wording(reader=reader, mail=mail)
        told = await self._sender(claim).send(replace(claim, wording=wording), now)
        if told in {Told.SENT, Told.UNKNOWN} and not is_closing:
            await self._outages.told(digest, view, now)
        return told

    async def _bring_up_to_date(self, now: datetime) -> None:
        """What was told of an outage says how it stands now, and in the end that it is over."""
        outages: dict[UUID, Outage] = {}
        for told in await self._outages.to_edit():
            activity.heartbeat()
            if told.outage not in outages:
                outages[told.outage] = await self._outages.load(told.outage)
            try:
                await self._tell_again(told, outages[told.outage], now)
            except NotNowError:
                return  # the next round begins with those that were left out
            except UNAVAILABLE:
                raise
            except Exception as error:  # noqa: BLE001 - one that can't be written must not hold up the others
                note_unexpected(error)

    async def _tell_again(self, told: ToldDigest, outage: Outage, now: datetime) -> None:
        digest = await self._store.load(told.digest)
        view, reader = digest.of(outage), self._reader(digest) or Person()
        if told.shown is not None and view.in_short == told.shown:
            if not view.to_engineering and any(member.alerted_at is None for member in view.down):
                await self._outages.told(digest, view, now, before=told.shown)
            return
        if told.slack is not None:
            url = self._links.provider(outage.integration_type)
            said = self._render.provider_outage(digest.id, view, now=now, reader=reader, url=url)
            await self._slack.edit(told.key, told.slack, said)
        elif outage.ended_at is not None:
            await self._outages.intend_closing(digest, _by_mail(digest, reader))
        elif told.shown is not None:
            return  # a mail stays as it is
        await self._outages.told(digest, view, now, before=told.shown)

    def _sender(self, claim: Claim) -> SlackSender | EmailSender:
        return self._slack if claim.channel == "slack" else self._email

    def _reader(self, digest: Digest) -> Person | None:
        if digest.role == Role.ENGINEERING:
            return addressee(self._policy().people.engineering)
        return digest.reader or self._fallback()

    async def _fragile(self, digest: Digest, now: datetime) -> list[Fragile]:
        """The policy's `[chronic]`, the least reliable first."""
        report = await self._reliability.customers(digest.customers, self._policy().chronic.window, now)
        return [
            Fragile(
                customer=integration.subject.customer_name,
                integration=integration.subject.label,
                reason=integration.fragile.reason,
                suggestion=integration.fragile.suggestion,
            )
            for integration in report.integrations
            if integration.fragile is not None
        ]

    def _fallback(self) -> Person | None:
        return addressee(self._policy().people.fallback_csm)


def _by_mail(digest: Digest, reader: Person) -> Addressee:
    return Addressee(digest.role, digest.template, None, reader.email, reader.id)
