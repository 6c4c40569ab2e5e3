"""Whom the responses of one customer tell, in a played past: as activities/notices.py and activities/db/together.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from workflows.contracts import Kind, Status
from workflows.domain.backtest_facts import Customer
from workflows.domain.backtest_state import Connection, Response
from workflows.domain.mailing import in_company_until, why_not_mail, written_to_until
from workflows.domain.playbook import WhoFixes
from workflows.domain.policy import Policy, Role
from workflows.domain.response import clock_start, due_reminders, due_steps

_CUSTOMER_ACTS = {WhoFixes.CUSTOMER_USER, WhoFixes.CUSTOMER_ADMIN}


class Telling:
    """`alerted` is called once for each incident, when somebody hears of it for the first time."""

    def __init__(
        self,
        customer: Customer,
        policy: Policy,
        connections: dict[UUID, Connection],
        alerted: Callable[[Response, datetime], None],
    ) -> None:
        self._customer, self._policy, self._connections = customer, policy, connections
        self._alerted = alerted
        self._last_mail: datetime | None = None

    @property
    def responses(self) -> list[Response]:
        """Those that are not over."""
        return [c.response for c in self._connections.values() if c.response is not None]

    def respond(self, response: Response, now: datetime) -> None:
        """The first steps: the CSM, our engineers if the fault is ours, the customer if they can mend it."""
        became = response.became
        if not became.alerts and self._reaches(Role.CSM):
            became.alerts = 1
            self._heard(response, now)
        if became.kind is Kind.DISCONNECTED:
            ours = response.who_fixes == WhoFixes.OUR_ENGINEERING
            if ours and not became.pages and self._reaches(Role.ENGINEERING):
                became.pages = 1
                self._heard(response, now)
            auto_send = self._policy.customer.auto_send
            rule = why_not_mail(degraded=False, who_fixes=response.who_fixes, auto_send=auto_send)
            if rule is None and self._customer.contact and response.mail_intended_at is None:
                response.mail_intended_at = now
                self.claim_mail(response, now)
        response.informed = became.kind

    def claim_waiting(self, response: Response, now: datetime) -> None:
        """A mail that waited is looked at again."""
        if response.may_be_mailed and response.mail_waits_until and response.mail_waits_until <= now:
            self.claim_mail(response, now)
        else:
            self.claim_reminder(response, now)

    def claim_mail(self, response: Response, now: datetime) -> None:
        """The first mail goes, with those that wait for the same contact; or it waits itself."""
        assert response.mail_intended_at is not None  # whoever claims it has intended it
        rules = self._policy.customer
        until = written_to_until(rules, self._last_mail, now)
        if until is None:
            hold = self._policy.notify.hold
            coming = [(other.became.detected_at + hold, rules) for other in self._on_their_way(response)]
            until = in_company_until(rules, response.mail_intended_at, now, coming)
        response.mail_waits_until = until
        if until is None:
            response.became.first_mails = 1
            for each in (response, *(other for other in self.responses if other.may_be_mailed)):
                self._mailed(each, now)

    def send_by_hand(self, response: Response, now: datetime) -> None:
        """A person's mail does not wait, and replaces one that does."""
        response.became.by_hand += 1
        response.mail_intended_at = response.mail_intended_at or now
        self._mailed(response, now)

    def remind(self, response: Response, now: datetime) -> None:
        response.reminders_sent = due_reminders(response.situation(self._policy), now)
        response.reminder_due_at = now
        self.claim_reminder(response, now)

    def claim_reminder(self, response: Response, now: datetime) -> None:
        """The reminder goes, with those that wait for the same contact; or it waits itself; or it came too late."""
        response.reminder_waits_until = None
        if response.status is not Status.OPEN or response.reminder_due_at is None:
            return
        rules = self._policy.customer
        until = written_to_until(rules, self._last_mail, now)
        if until is None:
            coming = [(due, rules) for each in self.responses if each is not response for due in self._reminders(each)]
            until = in_company_until(rules, response.reminder_due_at, now, coming)
        response.reminder_waits_until = until
        if until is None:
            response.became.reminders += 1
            self._last_mail = now
            for each in self.responses:
                if each.status is Status.OPEN:
                    each.reminder_waits_until = None

    def escalate(self, response: Response, now: datetime) -> None:
        """Tells the highest reachable of the steps that are due."""
        due = due_steps(response.situation(self._policy), now)
        ladder = self._policy.ladder(response.became.severity).steps[:due]
        response.escalation_step = due
        if reached := [step.to for step in ladder if self._reaches(step.to)]:
            response.escalated.add((reached[-1], response.acknowledged_at))
            response.became.escalations = len(response.escalated)

    def _mailed(self, response: Response, now: datetime) -> None:
        response.mailed, response.mail_waits_until = True, None
        self._last_mail = now
        self._heard(response, now)

    def _heard(self, response: Response, now: datetime) -> None:
        if response.became.alerted_at is None:
            response.became.alerted_at = now
            self._alerted(response, now)

    def _on_their_way(self, response: Response) -> list[Response]:
        """The other incidents that will come to their first mail."""
        return [
            other
            for other in self.responses
            if other is not response and other.status is Status.OPEN and other.became.kind is Kind.DISCONNECTED
            and other.informed is None and other.who_fixes in _CUSTOMER_ACTS and other.mail_intended_at is None
        ]  # fmt: skip

    def _reminders(self, response: Response) -> list[datetime]:
        """When its next reminder will be due, if it comes to one."""
        known = response.situation(self._policy)
        waits = response.status is Status.OPEN and response.mailed and response.hinted_at is None
        if not waits or known.snoozed_until != known.unsnoozed_at:
            return []
        return [clock_start(known) + after for after in known.reminders[response.reminders_sent :][:1]]

    def _reaches(self, role: Role) -> bool:
        people = self._policy.people
        of_customer = {Role.CSM: self._customer.csm, Role.CSM_MANAGER: self._customer.csm_manager}
        of_policy = {
            Role.CSM: people.fallback_csm,
            Role.CS_LEADERSHIP: people.cs_leadership,
            Role.ENGINEERING: people.engineering,
        }
        named = of_policy.get(role)
        return of_customer.get(role, False) or bool(named and (named.slack or named.email))
