"""Email: sends what the ledger intends over SMTP, knowing at every moment what can't be taken back."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from activities.calls import Attendee, Proposal, attach, invitation
from activities.db.ledger import (
    ALERT,
    ALL_CLEAR,
    CUSTOMER,
    ENGINEERING,
    ESCALATION,
    FIRST_NOTICES,
    NOTE,
    REMINDER,
    TECH_CALL,
    Claim,
    Ledger,
)
from activities.db.views import ViewLoader, person_for
from activities.links import Links
from activities.rendering import Renderer
from activities.views import IncidentView, Mail, Person
from workflows.contracts import Told
from workflows.domain.policy import Policy

SMTP_TIMEOUT = 8  # seconds an SMTP command may take; below an activity's start-to-close
GIVE_UP_AFTER = timedelta(hours=12)
_BACKOFF = (5, 15, 30, 60, 120, 300)  # seconds between attempts at one mail


@dataclass(frozen=True)
class SmtpServer:
    """Where mail is handed over: `smtp://[user:pass@]host:port?tls=none|starttls|implicit` (RELINK_SMTP_URL)."""

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"]
    username: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, url: str) -> SmtpServer:
        """Raises ValueError saying what is wrong; never repeats the password."""
        parts = urlsplit(url)
        tls = parse_qs(parts.query).get("tls", ["starttls"])[-1]
        if parts.scheme != "smtp" or not parts.hostname or tls not in {"none", "starttls", "implicit"}:
            raise ValueError("RELINK_SMTP_URL: expected smtp://[user:password@]host:port?tls=none|starttls|implicit")
        port = parts.port or (465 if tls == "implicit" else 587)
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(parts.hostname, port, tls, user, password)  # type: ignore[arg-type]  # checked above

    def client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls == "implicit",
            start_tls=self.tls == "starttls",
            username=self.username,
            password=self.password,
            timeout=SMTP_TIMEOUT,
        )


class EmailSender:
    """`sender` is RELINK_EMAIL_FROM, "Name <address>"."""

    def __init__(
        self, server: SmtpServer, sender: str, ledger: Ledger, views: ViewLoader, render: Renderer, links: Links
    ) -> None:
        self._server, self._sender, self._ledger = server, sender, ledger
        self._views, self._render, self._links = views, render, links

    async def send(self, claim: Claim, now: datetime) -> Told:
        """Sends one claimed mail. FAILED means that its address does not take it: tell somebody else."""
        if claim.handed_over >= _copies(claim):
            return await self._ledger.settle(claim, Told.UNKNOWN, now, error="the worker died while handing it over")
        return await self._hand_over(claim, now, await self._compose(claim, now))

    async def _compose(self, claim: Claim, now: datetime) -> EmailMessage:
        worded = claim.wording
        if worded is not None and worded.mail is not None:
            return self._mime(claim, worded.reply_to, worded.reader, worded.mail)
        view, policy = await self._views.load_with_policy(claim.incident_id)
        reader = person_for(claim.role, view, policy, claim.person_id) or Person(email=claim.recipient)
        mail = await self._of_several(claim, view, reader, now) if claim.along else None
        message = self._mime(claim, view.csm, reader, mail or self._mail(claim, view, policy, reader, now))
        proposal = Proposal.load(claim.details) if claim.template == TECH_CALL else None
        if proposal and len(proposal.times) == 1:
            attach(message, self._invitation(claim, proposal, view.csm, reader, message))
        return message

    def _invitation(
        self, claim: Claim, proposal: Proposal, csm: Person | None, reader: Person, message: EmailMessage
    ) -> str:
        """For one proposed time. Whoever accepts it answers the CSM."""
        own = parseaddr(self._sender)
        text = message.get_body(("plain",))
        return invitation(
            uid=str(message["Message-ID"]).strip("<>"),
            stamped=claim.created_at,
            starts=proposal.times[0],
            minutes=proposal.minutes,
            summary=str(message["Subject"]),
            description=text.get_content() if text else "",
            organizer=Attendee(csm.name, csm.email) if csm and csm.email else Attendee(*own),
            attendee=Attendee(reader.name, claim.recipient),
            sent_by=own[1],
        )

    async def _of_several(self, claim: Claim, view: IncidentView, reader: Person, now: datetime) -> Mail:
        """One mail for all that broke at the same time, each with its fix and its own link."""
        views = [view, *[await self._views.load(incident) for incident in claim.along]]
        broken = [each for each in views if each.status == "open"] or [view]  # the rest may have ended since the claim
        linked = [(each, self._link(each, claim, now)) for each in broken]
        about: dict[str, Any] = {"contact": reader, "now": now, "reminder": int(claim.details.get("number", 0))}
        if len(linked) == 1:
            return self._render.customer_mail(linked[0][0], reconnect_link=linked[0][1], **about)
        return self._render.customer_mail_of_several(linked, **about)

    def _link(self, view: IncidentView, claim: Claim, now: datetime) -> str | None:
        return self._links.reconnect(view.incident_id, claim.person_id, now) if view.can_reconnect else None

    async def _hand_over(self, claim: Claim, now: datetime, message: EmailMessage) -> Told:
        stage = "connect"
        try:
            async with self._server.client() as client:
                await client.mail(parseaddr(self._sender)[1])
                stage = "recipient"
                await client.rcpt(claim.recipient)
                if not await self._ledger.hand_over(claim):
                    return Told.PENDING  # this attempt took too long, and another one has the mail now
                stage = "data"
                await client.data(message.as_bytes(policy=SMTP_POLICY.clone(max_line_length=998)))
                stage = "done"
        except aiosmtplib.SMTPResponseException as error:
            text = without_addresses(f"{error.code} {error.message}")[:300]
            if error.code >= 500 and stage in {"recipient", "data"}:
                return await self._ledger.settle(claim, Told.FAILED, now, error=text)
            if stage == "done":
                return await self._ledger.settle(claim, Told.SENT, now, external_id=message["Message-ID"])
            # Also our own login or sender refused: not this recipient's fault.
            return await self._later(claim, now, text, was_refused=stage == "data")
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            if stage == "data":
                return await self._lost_in_data(claim, now, error)
            if stage != "done":  # a goodbye that fails after the 250 changes nothing
                return await self._later(claim, now, f"no mail server: {type(error).__name__}")
        return await self._ledger.settle(claim, Told.SENT, now, external_id=message["Message-ID"])

    async def _lost_in_data(self, claim: Claim, now: datetime, error: Exception) -> Told:
        """The reply to DATA was lost: it may have arrived. A first notice is sent once more, the rest is not."""
        what = f"connection lost after DATA: {type(error).__name__}"
        if claim.handed_over + 1 < _copies(claim):
            return await self._ledger.retry_later(claim, now, timedelta(seconds=_BACKOFF[0]), what)
        return await self._ledger.settle(claim, Told.UNKNOWN, now, error=what)

    async def _later(self, claim: Claim, now: datetime, error: str, *, was_refused: bool = False) -> Told:
        if now - claim.created_at > GIVE_UP_AFTER:
            return await self._ledger.settle(claim, Told.FAILED, now, error=error)
        delay = timedelta(seconds=_BACKOFF[min(claim.attempts, len(_BACKOFF)) - 1])
        return await self._ledger.retry_later(claim, now, delay, error, was_refused=was_refused)

    def _mail(self, claim: Claim, view: IncidentView, policy: Policy, reader: Person, now: datetime) -> Mail:
        link = self._link(view, claim, now)
        match claim.template:
            case t if t == CUSTOMER:
                return self._render.customer_mail(view, contact=reader, now=now, reconnect_link=link)
            case t if t == REMINDER:
                number = int(claim.details["number"])
                return self._render.customer_mail(view, contact=reader, now=now, reconnect_link=link, reminder=number)
            case t if t == ALL_CLEAR:
                return self._render.customer_all_clear(view, contact=reader, now=now)
            case t if t == TECH_CALL:
                booking, when = policy.people.booking_url, Proposal.load(claim.details)
                return self._render.tech_call_invitation(
                    view, contact=reader, now=now, booking_url=booking, proposal=when
                )
        kind = {ALERT: "csm_alert", ESCALATION: "escalation", ENGINEERING: "engineering_page", NOTE: "csm_alert"}
        if view.closed_at is not None:
            kind[NOTE] = "resolved"
        status_url = self._links.status(view.integration_health_id, now)
        return self._render.slack_as_mail(
            kind[claim.template], view, now=now, reader=reader, status_url=status_url, role=claim.role
        )

    def _mime(self, claim: Claim, csm: Person | None, reader: Person, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = _address(reader.name, claim.recipient)
        if csm and csm.email and claim.role == "technical_contact":
            message["Reply-To"] = _address(csm.name, csm.email)
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = message_id(claim.key, self._sender)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
        message["X-Relink-Delivery"] = claim.key
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        return message


def _copies(claim: Claim) -> int:
    """How many copies may leave our hands: the same Message-ID once more for a first notice whose reply was lost."""
    return 2 if claim.template in FIRST_NOTICES else 1


def without_addresses(text: str) -> str:
    """Mail servers repeat the recipient; the timeline holds no addresses."""
    return re.sub(r"[^\s<>\"(),;:]+@[^\s<>\"(),;:]+", "(address)", text)


def message_id(delivery_key: str, sender: str) -> str:
    """The same for every copy of one intent, so that mail programs show it once."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "relink.invalid"
    return f"<{hashlib.sha256(delivery_key.encode()).hexdigest()[:32]}@{domain}>"


def _address(name: str | None, email: str) -> Address | str:
    printable = "".join(c for c in name or "" if c.isprintable())
    try:
        return Address(printable[:200], addr_spec=email)
    except (ValueError, IndexError):
        return email
