"""Who is told what, and by which way: the activities that decide and send. Every decision is a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from temporalio import activity

from activities.attempt import attempt
from activities.db.incidents import UnknownIncidentError, lock
from activities.db.ledger import (
    ALERT,
    CUSTOMER,
    ENGINEERING,
    ESCALATION,
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
from activities.errors import edit_later, incident_unknown, lease_held
from activities.fallback import fallback
from activities.slack import NotNowError, SlackSender
from activities.views import IncidentView, Person
from workflows.contracts import EscalateInput, IncidentAt, NoticeResult, RemindInput, Told
from workflows.domain.diagnosis import WhoFixes
from workflows.domain.mailing import why_not_mail
from workflows.domain.policy import Policy, Role, Severity

_SQL = queries("incidents")
_STANDS_IN = "the csm has neither Slack nor an email address: people.fallback_csm is told instead"


class Notices:
    """Tells people: Slack first, email where Slack can't, the next contact where an address bounces."""

    def __init__(self, pool: Pool, ledger: Ledger, views: ViewLoader, slack: SlackSender, email: EmailSender) -> None:
        self._pool, self._ledger, self._views = pool, ledger, views
        self._slack, self._email = slack, email

    @activity.defn
    async def notify_csm(self, at: IncidentAt) -> NoticeResult:
        """The alert of PRD-101 section 5.1, to the customer's CSM."""
        view, _ = await self._load(at.incident_id)
        if view.csm_stands_in:
            async with self._pool.acquire() as connection, connection.transaction():
                await lock(connection, at.incident_id)
                await _intend_or_hold(connection, at.incident_id, Role.CSM, _STANDS_IN)
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
        rule = why_not_mail(degraded=view.kind == "degraded", who_fixes=view.who_fixes, auto_send=view.auto_send)
        intent = rule or _mail_intent(at.incident_id, view.contacts, CUSTOMER)
        return await self._commit_and_deliver(at, Role.TECHNICAL_CONTACT, intent)

    @activity.defn
    async def remind_technical_contact(self, at: RemindInput) -> NoticeResult:
        """The same mail again, while the connection is still down; after an outage of ours, only once."""
        view, _ = await self._load(at.incident_id)
        due = at.due_reminders
        intent = _mail_intent(at.incident_id, view.contacts, REMINDER, number=due)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock(connection, at.incident_id)
            if await connection.execute(_SQL["mark_reminded"], at.incident_id, due) != "UPDATE 0":
                await add_to_timeline(connection, at.incident_id, "reminder_due", reminder=due)
                await _intend_or_hold(connection, at.incident_id, Role.TECHNICAL_CONTACT, intent)
        return await self._deliver_if(at, intent)

    @activity.defn
    async def escalate(self, step: EscalateInput) -> NoticeResult:
        """Tells the highest step that is due and can be reached; the steps below it are skipped and named."""
        view, policy = await self._load(step.incident_id)
        ladder = policy.ladder(Severity(view.severity)).steps[: step.due_steps]
        round_ = view.acknowledged_at.isoformat() if view.acknowledged_at else ""
        intents = [
            self._intent(step.incident_id, ESCALATION, s.to, person_for(s.to, view, policy), ordinal=f"{i}{round_}")
            for i, s in enumerate(ladder)
        ]
        chosen = max((i for i, intent in enumerate(intents) if isinstance(intent, Intent)), default=None)
        told = chosen is not None
        to = ladder[chosen if chosen is not None else -1].to
        kind = "escalated" if told else "escalation_skipped"
        async with self._pool.acquire() as connection, connection.transaction():
            await lock(connection, step.incident_id)
            if await connection.execute(_SQL["mark_escalated"], step.incident_id, step.due_steps) != "UPDATE 0":
                skipped = [s.to for i, s in enumerate(ladder) if i != chosen]
                await add_to_timeline(connection, step.incident_id, kind, to=to, skipped=skipped)
                await intend_note(connection, step.incident_id, kind, f"{step.due_steps}{round_}", role=to)
                if chosen is not None:
                    await _intend_or_hold(connection, step.incident_id, to, intents[chosen])
        return await self._deliver_if(step, intents[chosen] if chosen is not None else "")

    @activity.defn
    async def send_waiting(self, at: IncidentAt) -> NoticeResult:
        """Sends what has been asked for or was put back."""
        told = Told.SUPPRESSED
        for key in await self._ledger.due(at.incident_id, at.now):
            told = await self._deliver(at, key)
        await self._slack.take_back_late(at.incident_id, at.now)
        return NoticeResult(told=told)

    @activity.defn
    async def update_csm_message(self, at: IncidentAt) -> None:
        """Edits the CSM's Slack message: the same layout, the state as it is now. Slack says when to try again."""
        try:
            await self._slack.refresh(at.incident_id, at.now)
        except NotNowError as error:
            raise edit_later(error.retry_after) from None

    async def _load(self, incident: UUID) -> tuple[IncidentView, Policy]:
        try:
            return await self._views.load_with_policy(incident)
        except UnknownIncidentError:
            raise incident_unknown(incident) from None

    async def _tell(self, at: IncidentAt, template: str, role: Role, person: Person | None) -> NoticeResult:
        return await self._commit_and_deliver(at, role, self._intent(at.incident_id, template, role, person))

    async def _commit_and_deliver(self, at: IncidentAt, role: Role, intent: Intent | str) -> NoticeResult:
        async with self._pool.acquire() as connection, connection.transaction():
            await lock(connection, at.incident_id)
            await _intend_or_hold(connection, at.incident_id, role, intent)
        return await self._deliver_if(at, intent)

    async def _deliver_if(self, at: IncidentAt, intent: Intent | str) -> NoticeResult:
        return NoticeResult(told=await self._deliver(at, intent.key) if isinstance(intent, Intent) else Told.SUPPRESSED)

    def _intent(
        self, incident: UUID, template: str, role: Role, person: Person | None, *, ordinal: str = ""
    ) -> Intent | str:
        """By Slack if the person may be there, else by email; or the rule why they can't be told."""
        if person is None:
            return f"nobody is set as {role}"
        slack_name = person.slack or person.email
        if slack_name and self._slack.is_configured:
            return Intent(incident, "slack", template, role, slack_name, person.id, ordinal)
        if person.email:
            return Intent(incident, "email", template, role, person.email, person.id, ordinal)
        if slack_name:
            return f"{role} has no email address, and no Slack bot token is set"
        return f"{role} has neither Slack nor an email address"

    async def _deliver(self, at: IncidentAt, key: str) -> Told:
        """Claims and sends one message; where it can't be taken, tells the same another way."""
        try:
            claim = await self._ledger.claim(key, at.now)
        except LeaseHeldError as held:
            raise lease_held(held.left + timedelta(milliseconds=100)) from None
        if not isinstance(claim, Claim):
            return claim
        view, policy = await self._load(at.incident_id)
        claim = replace(claim, instead=fallback(claim, view, policy))
        sender = self._slack if claim.channel == "slack" else self._email
        told = await attempt(self._ledger, claim, at.now, sender.send(claim, at.now))
        if told in {Told.FAILED, Told.SUPPRESSED} and claim.instead is not None:
            return await self._deliver(at, claim.instead.key)
        return told


def _mail_intent(incident: UUID, contacts: tuple[Person, ...], template: str, **details: int) -> Intent | str:
    """A mail to the first technical contact that has an address; or the rule why there is none."""
    contact = next((c for c in contacts if c.email), None)
    if contact is None or contact.email is None:
        return "no technical contact has an email address"
    ordinal = "/".join(str(number) for number in details.values())
    return Intent(
        incident, "email", template, Role.TECHNICAL_CONTACT, contact.email, contact.id, ordinal, dict(details)
    )


async def _intend_or_hold(connection: Connection, incident: UUID, role: Role, intent: Intent | str) -> None:
    """Writes the intent, or one line that says by which rule nobody is told."""
    if isinstance(intent, Intent):
        await intend(connection, intent)
    elif not await connection.fetchval(_SQL["was_held"], incident, role, intent):
        await add_to_timeline(connection, incident, "notice_held", role=role, rule=intent)
