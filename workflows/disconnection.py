"""The response to one disconnection, from the first failure to the verified repair (PRD-101 section 4.2)."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.health_score import HealthScores
    from activities.impact import Impact
    from activities.incidents import Incidents
    from activities.notices import Notices
    from activities.tasks import Tasks
    from activities.verification import Verification
    from workflows.contracts import (
        Check,
        EscalateInput,
        IncidentAt,
        IncidentRef,
        InformedInput,
        Kind,
        RemindInput,
        ResolveInput,
        ResponseResult,
        Situation,
        Told,
    )
    from workflows.domain.response import Due, News, due_reminders, due_steps, next_due
    from workflows.options import DATABASE, EDIT, LAST_EDIT, NOTIFY, PROBE, SITUATION, named

_OUT = {Told.SENT, Told.UNKNOWN, Told.FAILED}  # a mail of which there is something to say


@workflow.defn
class IntegrationDisconnectionResponse:
    """One run per incident. The facts are rows; this is the process that acts on them and waits between them."""

    @workflow.init
    def __init__(self, incident: IncidentRef) -> None:
        self._incident = incident
        self._bells = 0
        self._situation: Situation | None = None

    @workflow.run
    async def run(self, incident: IncidentRef) -> ResponseResult:
        del incident  # kept by __init__
        await self._read_situation()
        await self._confirm_failure()
        while (news := await self._await_news()) is not News.IT_IS_OVER:
            match news:
                case News.RESPONSE_DUE:
                    await self._respond()
                case News.RECOVERY_HINTED:
                    await self._verify_connection()
                case News.HELD_LONG_ENOUGH:
                    await self._resolve()
                case News.MESSAGE_WAITING:
                    await self._send_waiting_messages()
                case News.ESCALATION_DUE:
                    await self._escalate()
                case News.ACKNOWLEDGEMENT_EXPIRED:
                    await self._expire_acknowledgement()
                case News.SNOOZE_ENDED:
                    await self._end_snooze()
                case News.REMINDER_DUE:
                    await self._remind_technical_contact()
        return await self._tell_that_it_is_over()

    async def _respond(self) -> None:
        kind = self._known.kind
        await self._assess_impact()
        await self._create_risk_signal()
        if kind is Kind.DEGRADED:
            await self._notify_csm()
        else:
            _, mailed, *_ = await asyncio.gather(
                self._notify_csm(),
                self._notify_technical_contact(),
                self._notify_engineering(),
                self._create_task(),
                self._update_health_score(),
            )
            if mailed in _OUT and workflow.patched("alert-shows-the-mail"):
                await self._update_csm_message()
        await self._mark_informed(kind)

    async def _resolve(self) -> None:
        """The connection held for the quiet window: look once more, then close what has not changed meanwhile."""
        seen = self._known.last_seq
        if await self._verify_connection() in {Check.WORKING, Check.REPORTED_WORKING}:
            await self._close_incident(seen)

    async def _send_waiting_messages(self) -> None:
        await workflow.execute_activity_method(
            Notices.send_waiting, self._at, **named(NOTIFY, "Send what was asked for or put back")
        )
        await self._update_csm_message()

    async def _tell_that_it_is_over(self) -> ResponseResult:
        await self._update_csm_message(LAST_EDIT)
        await workflow.execute_activity_method(
            Incidents.mark_announced, self._incident, **named(DATABASE, "Everybody knows that it is over")
        )
        return ResponseResult(resolution=self._known.resolution)

    async def _await_news(self) -> News:
        """Reads where things stand; returns what is due, or waits for a bell or the next deadline and reads again."""
        while True:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._incident)  # everything is in the rows, so nothing is carried over
            heard = self._bells
            await self._read_situation()
            self._show_in_search()
            due = next_due(self._known, workflow.now())
            self._show_what_is_next(due)
            if due is not None and due.at <= workflow.now():
                return due.news
            await self._wait_for_bell(heard, due)

    async def _read_situation(self) -> None:
        self._situation = await workflow.execute_local_activity_method(
            Incidents.read_situation, self._incident, **SITUATION
        )

    async def _wait_for_bell(self, heard: int, due: Due | None) -> None:
        try:
            await workflow.wait_condition(
                lambda: self._bells > heard,
                timeout=due.at - workflow.now() if due else None,
                timeout_summary=due.what if due else None,
            )
        except TimeoutError:
            return  # a deadline is just another answer; the situation tells what it means

    # The steps, each with its options.

    async def _confirm_failure(self) -> None:
        await workflow.execute_activity_method(
            Verification.confirm_failure, self._at, **named(self._looking, "Is it really broken?")
        )

    async def _assess_impact(self) -> None:
        await workflow.execute_activity_method(
            Impact.assess_impact, self._incident, **named(DATABASE, "How critical is it, and for whom?")
        )

    async def _create_risk_signal(self) -> None:
        await workflow.execute_activity_method(
            Impact.create_risk_signal, self._incident, **named(DATABASE, "Risk signal integration_disconnected")
        )

    async def _notify_csm(self) -> None:
        await workflow.execute_activity_method(
            Notices.notify_csm, self._at, **named(NOTIFY, "Alert the CSM in Slack, else by email")
        )

    async def _notify_technical_contact(self) -> Told:
        notice = await workflow.execute_activity_method(
            Notices.notify_technical_contact, self._at, **named(NOTIFY, "Mail the fix to the technical contact")
        )
        return notice.told

    async def _notify_engineering(self) -> None:
        await workflow.execute_activity_method(
            Notices.notify_engineering, self._at, **named(NOTIFY, "Page engineering if the fault is ours")
        )

    async def _create_task(self) -> None:
        await workflow.execute_activity_method(Tasks.create_task, self._at, **named(DATABASE, "Task for the CSM"))

    async def _update_health_score(self) -> None:
        await workflow.execute_activity_method(
            HealthScores.update_health_score, self._incident, **named(DATABASE, "Lower the score if critical")
        )

    async def _mark_informed(self, kind: Kind) -> None:
        informed = InformedInput(incident_id=self._incident.incident_id, kind=kind)
        await workflow.execute_activity_method(
            Incidents.mark_informed, informed, **named(DATABASE, "People have been told")
        )

    async def _verify_connection(self) -> Check:
        result = await workflow.execute_activity_method(
            Verification.verify_connection, self._at, **named(self._looking, "Does the connection work again?")
        )
        return result.check

    async def _close_incident(self, seen_seq: int) -> None:
        await workflow.execute_activity_method(
            Verification.close_incident,
            ResolveInput(incident_id=self._incident.incident_id, seen_seq=seen_seq),
            **named(DATABASE, "Close, unless something arrived"),
        )

    async def _escalate(self) -> None:
        at = self._at
        step = EscalateInput(incident_id=at.incident_id, now=at.now, due_steps=due_steps(self._known, at.now))
        await workflow.execute_activity_method(
            Notices.escalate, step, **named(NOTIFY, f"Escalate, step {step.due_steps} of {len(self._known.ladder)}")
        )

    async def _expire_acknowledgement(self) -> None:
        await workflow.execute_activity_method(
            Incidents.expire_acknowledgement, self._at, **named(DATABASE, "Acknowledged, but still broken")
        )

    async def _end_snooze(self) -> None:
        await workflow.execute_activity_method(Incidents.end_snooze, self._at, **named(DATABASE, "The snooze is over"))

    async def _remind_technical_contact(self) -> None:
        at = self._at
        due = RemindInput(incident_id=at.incident_id, now=at.now, due_reminders=due_reminders(self._known, at.now))
        await workflow.execute_activity_method(
            Notices.remind_technical_contact, due, **named(NOTIFY, "Remind the technical contact")
        )

    async def _update_csm_message(self, options: workflow.ActivityConfig = EDIT) -> None:
        try:
            await workflow.execute_activity_method(
                Notices.update_csm_message, self._at, **named(options, "Bring the CSM's message up to date")
            )
        except ActivityError:
            workflow.logger.warning("The CSM's message could not be edited; the next change will try again")

    # What an operator sees.

    @property
    def _at(self) -> IncidentAt:
        return IncidentAt(incident_id=self._incident.incident_id, now=workflow.now())

    @property
    def _looking(self) -> workflow.ActivityConfig:
        """Where there is something to ask, on the probes' queue; else only rows are read."""
        return PROBE if self._known.can_be_checked else DATABASE

    @property
    def _known(self) -> Situation:
        assert self._situation is not None  # read before anything is decided
        return self._situation

    def _show_in_search(self) -> None:
        known = self._known
        values = {
            "CustomerId": str(known.customer_id),
            "IntegrationType": known.integration_type,
            "Severity": known.severity.value,
            "IncidentStatus": known.status.value,
        }
        shown = workflow.info().typed_search_attributes
        changes = []
        for name, value in values.items():
            key = SearchAttributeKey.for_keyword(name)
            if name in known.search_attributes and shown.get(key) != value:
                changes.append(key.value_set(value))
        if changes:
            workflow.upsert_search_attributes(changes)

    def _show_what_is_next(self, due: Due | None) -> None:
        known = self._known
        state = {"open": "waiting for reconnection", "recovering": "holding: the connection works again"}
        lines = [f"**{state.get(known.status, 'over')}** ({known.severity}, incident {known.number})"]
        if due is not None:
            lines.append(f"next: {due.what} at {due.at:%Y-%m-%d %H:%M:%S} UTC")
        workflow.set_current_details("\n\n".join(lines))

    @workflow.query
    def status(self) -> Situation | None:
        """The situation as last read; None before the first reading."""
        return self._situation

    # Doorbells: each says only "look again"; the fact was committed before it rang.

    @workflow.signal
    def failure_recurred(self) -> None:
        self._bells += 1

    @workflow.signal
    def reconnected(self) -> None:
        self._bells += 1

    @workflow.signal
    def acknowledged(self) -> None:
        self._bells += 1

    @workflow.signal
    def snoozed(self) -> None:
        self._bells += 1

    @workflow.signal
    def closed(self) -> None:
        self._bells += 1

    @workflow.signal
    def removed(self) -> None:
        self._bells += 1

    @workflow.signal
    def message_requested(self) -> None:
        self._bells += 1
