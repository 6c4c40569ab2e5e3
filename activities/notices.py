"""Who is told what, and by which way: the activities that decide and send. Every decision is a row."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from temporalio import activity

from activities.db.incidents import UnknownIncidentError
from activities.db.ledger import (
    ALERT,
    CUSTOMER,
    ENGINEERING,
    ESCALATION,
    LEASE,
    NOTE,
    REMINDER,
    Claim,
    Intent,
    LeaseHeldError,
    Ledger,
    intend,
    intend_note,
)
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.db.views import ViewLoader, person_for
from activities.email import EmailSender
from activities.errors import incident_unknown, lease_held
from activities.slack import SlackSender
from activities.views import IncidentView, Person
from workflows.contracts import EscalateInput, IncidentAt, NoticeResult, Told
from workflows.domain.diagnosis import WhoFixes
from workflows.domain.policy import Policy, Role, Severity

_SQL = queries("incidents")
_CSM_NOTES_BY_MAIL = {"resolved", "closed", "removed"}


class Notices:
    """Tells people: Slack first, email where Slack can't, the next contact where an address bounces."""

    def __init__(self, pool: Pool, ledger: Ledger, views: ViewLoader, slack: SlackSender, email: EmailSender) -> None:
        self._pool, self._ledger, self._views = pool, ledger, views
        self._slack, self._email = slack, email

    @activity.defn
    async def notify_csm(self, at: IncidentAt) -> NoticeResult:
        """The alert of PRD-101 section 5.1, to the customer's CSM."""
        view, _ = await self._load(at.incident_id)
        return await self._tell(at, ALERT, Role.CSM, view.csm)

    @activity.defn
    async def notify_engineering(self, at: IncidentAt) -> NoticeResult:
        """Our own engineers, when the fault is ours."""
        view, policy = await self._load(at.incident_id)
        if view.who_fixes != WhoFixes.OUR_ENGINEERING:
            return NoticeResult(told=Told.SUPPRESSED)
        return await self._tell(at, ENGINEERING, Role.ENGINEERING, person_for(Role.ENGINEERING, view, policy))

    @activity.defn
    async def notify_technical_contact(self, at: IncidentAt) -> NoticeResult:
        """The mail of PRD-101 section 5.2, to the customer's first technical contact, if they can do something."""
        view, _ = await self._load(at.incident_id)
        rule = _why_not_mail(view)
        if rule is not None:
            await self._hold(at.incident_id, Role.TECHNICAL_CONTACT, rule)
            return NoticeResult(told=Told.SUPPRESSED)
        return await self._mail_contacts(at, view.contacts, CUSTOMER)

    @activity.defn
    async def remind_technical_contact(self, at: IncidentAt) -> NoticeResult:
        """The same mail again, while the connection is still down; after an outage of ours, only once."""
        view, policy = await self._load(at.incident_id)
        start = view.alerted_at or view.detected_at
        due = max(1, sum(start + after <= at.now for after in policy.customer.reminders))
        if not await self._note_change(at.incident_id, "mark_reminded", due, kind="reminder_due", reminder=due):
            return NoticeResult(told=Told.SUPPRESSED)
        return await self._mail_contacts(at, view.contacts, REMINDER, number=due)

    @activity.defn
    async def escalate(self, step: EscalateInput) -> NoticeResult:
        """Tells the highest step that is due and can be reached; the steps below it are skipped and named."""
        view, policy = await self._load(step.incident_id)
        ladder = policy.ladder(Severity(view.severity)).steps[: step.due_steps]
        reachable = [i for i, s in enumerate(ladder) if person_for(s.to, view, policy)]
        chosen = reachable[-1] if reachable else None
        round_ = view.acknowledged_at.isoformat() if view.acknowledged_at else ""
        skipped = [s.to for i, s in enumerate(ladder) if i != chosen]
        role = ladder[chosen].to if chosen is not None else None
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.execute(_SQL["mark_escalated"], step.incident_id, step.due_steps) != "UPDATE 0":
                await add_to_timeline(
                    connection,
                    step.incident_id,
                    "escalated" if role else "escalation_skipped",
                    to=role,
                    skipped=skipped,
                )
                kind = "escalated" if role else "escalation_skipped"
                await intend_note(
                    connection, step.incident_id, kind, f"{step.due_steps}{round_}", role=role or ladder[-1].to
                )
        if role is None:
            return NoticeResult(told=Told.SUPPRESSED)
        ordinal = f"{chosen}{round_}"
        return await self._tell(step, ESCALATION, role, person_for(role, view, policy), ordinal=ordinal)

    @activity.defn
    async def send_waiting(self, at: IncidentAt) -> NoticeResult:
        """Sends what has been asked for or was put back, then brings the CSM's message up to date."""
        told = Told.SUPPRESSED
        for key in await self._ledger.due(at.incident_id, at.now):
            told = await self._deliver(at, key)
        return NoticeResult(told=told)

    @activity.defn
    async def update_csm_message(self, at: IncidentAt) -> None:
        """Edits the CSM's Slack message: the same layout, the state as it is now."""
        await self._slack.refresh(at.incident_id, at.now)

    async def _load(self, incident: UUID) -> tuple[IncidentView, Policy]:
        try:
            return await self._views.load_with_policy(incident)
        except UnknownIncidentError:
            raise incident_unknown(incident) from None

    async def _tell(
        self, at: IncidentAt, template: str, role: Role, person: Person | None, *, ordinal: str = ""
    ) -> NoticeResult:
        """By Slack if the person may be there, else by email."""
        if person is None:
            await self._hold(at.incident_id, role, f"nobody is set as {role}")
            return NoticeResult(told=Told.SUPPRESSED)
        slack_name = person.slack or person.email
        if slack_name and self._slack.is_configured:
            intent = Intent(at.incident_id, "slack", template, role, slack_name, person.id, ordinal)
        elif person.email:
            intent = Intent(at.incident_id, "email", template, role, person.email, person.id, ordinal)
        else:
            await self._hold(at.incident_id, role, f"{role} has neither Slack nor an email address")
            return NoticeResult(told=Told.SUPPRESSED)
        async with self._pool.acquire() as connection, connection.transaction():
            await intend(connection, intent)
        return NoticeResult(told=await self._deliver(at, intent.key))

    async def _mail_contacts(
        self, at: IncidentAt, contacts: tuple[Person, ...], template: str, **details: int
    ) -> NoticeResult:
        contact = next((c for c in contacts if c.email), None)
        if contact is None or contact.email is None:
            await self._hold(at.incident_id, Role.TECHNICAL_CONTACT, "no technical contact has an email address")
            return NoticeResult(told=Told.SUPPRESSED)
        intent = Intent(
            at.incident_id,
            "email",
            template,
            Role.TECHNICAL_CONTACT,
            contact.email,
            contact.id,
            "/".join(str(n) for n in details.values()),
            dict(details),
        )
        async with self._pool.acquire() as connection, connection.transaction():
            await intend(connection, intent)
        return NoticeResult(told=await self._deliver(at, intent.key))

    async def _deliver(self, at: IncidentAt, key: str) -> Told:
        """Claims and sends one message; where it can't be taken, tells the same another way."""
        try:
            claim = await self._ledger.claim(key, at.now)
        except LeaseHeldError:
            raise lease_held(LEASE) from None
        if not isinstance(claim, Claim):
            return claim
        if claim.channel == "slack":
            told = await self._slack.send(claim, at.now)
        else:
            told = await self._email.send(claim, at.now)
        if told is Told.FAILED or (told is Told.SUPPRESSED and claim.template == NOTE):
            return await self._another_way(at, claim, told)
        return told

    async def _another_way(self, at: IncidentAt, claim: Claim, told: Told) -> Told:
        view, policy = await self._load(at.incident_id)
        intent = _fallback(claim, view, policy)
        async with self._pool.acquire() as connection, connection.transaction():
            if intent is not None:
                await intend(connection, intent)
            if claim.channel == "email" and claim.role == Role.TECHNICAL_CONTACT:
                await intend_note(connection, at.incident_id, "mail_failed", claim.key)
        return await self._deliver(at, intent.key) if intent else told

    async def _hold(self, incident: UUID, role: str, rule: str) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await _add_once(connection, incident, role, rule)

    async def _note_change(self, incident: UUID, statement: str, argument: int, *, kind: str, **details: Any) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.execute(_SQL[statement], incident, argument) == "UPDATE 0":
                return False
            await add_to_timeline(connection, incident, kind, **details)
            return True


def _why_not_mail(view: IncidentView) -> str | None:
    """The rule that keeps a customer from being mailed; None if they are to be."""
    if view.kind == "degraded":
        return "degraded: the customer is not asked to act"
    if view.who_fixes == WhoFixes.OUR_ENGINEERING:
        return "the fault is ours: the customer is not asked to act"
    if view.who_fixes in {WhoFixes.PROVIDER, WhoFixes.NOBODY}:
        return "there is nothing that the customer could do"
    if not view.auto_send:
        return "customer.auto_send is off: the CSM decides"
    return None


def _fallback(claim: Claim, view: IncidentView, policy: Policy) -> Intent | None:
    """Slack falls back to email; a bounced contact to the next contact."""
    if claim.channel == "slack":
        person = person_for(claim.role, view, policy, claim.person_id)
        if person is None or not person.email:
            return None
        if claim.template == NOTE and claim.details["kind"] not in _CSM_NOTES_BY_MAIL:
            return None
        ordinal = claim.key.rsplit(f"{claim.template}/", 1)[-1]
        return Intent(
            claim.incident_id, "email", claim.template, claim.role, person.email, person.id, ordinal, claim.details
        )
    if claim.role == Role.TECHNICAL_CONTACT:
        later = [c for c in view.contacts if c.email]
        tried = next((i for i, c in enumerate(later) if c.id == claim.person_id), len(later))
        if tried + 1 < len(later):
            contact = later[tried + 1]
            number = claim.details.get("number", "")
            return Intent(
                claim.incident_id, "email", claim.template, claim.role, contact.email or "", contact.id,
                str(number), claim.details,
            )  # fmt: skip
    return None


async def _add_once(connection: Connection, incident: UUID, role: str, rule: str) -> None:
    """A decision not to tell somebody: one line, however often the activity is repeated."""
    lines = await connection.fetch(
        "select details from incident_timeline where incident_id = $1 and kind = 'notice_held'", incident
    )
    if not any(line["details"] == {"role": role, "rule": rule} for line in lines):
        await add_to_timeline(connection, incident, "notice_held", role=role, rule=rule)
