"""Plays what was observed of one customer's integrations through a policy, with the rules that the service runs by.

`judge` decides over events, `next_due` over what a response does next, `judge_severity` and `mailing` over whom it
tells. Only what the service keeps in rows is kept here in memory. Pure.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count

from workflows.contracts import Kind, Resolution
from workflows.domain.backtest_facts import Customer, Event, Incident, Reaction, Says
from workflows.domain.backtest_state import Connection, Response
from workflows.domain.backtest_telling import Telling
from workflows.domain.policy import Policy, Severity
from workflows.domain.response import Due, News, next_due
from workflows.domain.severity import judge_severity
from workflows.domain.status import Effect, Health, Observation, Weight, judge
from workflows.domain.sweep import Outcome, Pace, Streak, next_look

# A response gets to work so long after what it works on was stored; what is stored meanwhile is known to it.
_START = timedelta(milliseconds=500)


class Play:
    """One customer under one policy. `run` returns the incidents in the order in which they were opened."""

    def __init__(self, customer: Customer, policy: Policy, until: datetime) -> None:
        self._customer, self._policy, self._until = customer, policy, until
        self._connections = {of.id: Connection(of, Health(monitored=of.monitored)) for of in customer.integrations}
        self._telling = Telling(customer, policy, self._connections, self._plan_reactions)
        self._became: list[Incident] = []
        self._inputs: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = count()
        for event in customer.events:
            self._plan(event.at, partial(self._take, event))
        for reaction in customer.reactions:
            if reaction.after_alert is None:
                self._plan(reaction.at, partial(self._react, reaction))

    def run(self) -> list[Incident]:
        now = min((at for at, *_ in self._inputs), default=self._until)
        while True:
            dues = self._dues(now)
            first = min([self._until, *(at for at, _ in dues)])
            if self._inputs and self._inputs[0][0] <= first:
                at, _, do = heapq.heappop(self._inputs)
                do(now := max(now, at))
            elif first < self._until:
                now = max(now, first)
                for at, do in dues:
                    if at <= now:
                        do(now)
            else:
                return self._became

    def _plan(self, at: datetime, do: Callable[[datetime], None]) -> None:
        if at <= self._until:
            heapq.heappush(self._inputs, (at, next(self._order), do))

    def _dues(self, now: datetime) -> list[tuple[datetime, Callable[[datetime], None]]]:
        """What comes by itself: degraded for too long, and what the responses do next."""
        found: list[tuple[datetime, Callable[[datetime], None]]] = []
        for connection in self._connections.values():
            health = connection.health
            if connection.response is not None:
                if due := self._due(connection.response, now):
                    found.append((due.at, partial(self._go_on, connection.response)))
            elif health.degraded_since is not None and not health.muted:
                at = health.degraded_since + self._policy.detection.degraded_alert_after
                found.append((at, partial(self._open, connection, Kind.DEGRADED)))
        return found

    # What is observed.

    def _take(self, event: Event, now: datetime) -> None:
        connection = self._connections[event.integration]
        connection.last_failure_by = event.who_fixes or connection.last_failure_by
        self._observe(connection, event.observation, now)

    def _observe(self, connection: Connection, observation: Observation, now: datetime) -> None:
        confirm_failures = self._policy.detection.confirm_failures
        verdict = judge(connection.health, observation, confirm_failures=confirm_failures)
        connection.health = verdict.health
        if verdict.failed:
            newest = verdict.health.last_failure_at
            connection.last_failure_at = max(filter(None, (connection.last_failure_at, newest)))
        if connection.response is None and verdict.disconnects:
            self._open(connection, Kind.DISCONNECTED, now)
        elif connection.response is not None and verdict.failed:
            self._fail_again(connection.response, now, disconnects=verdict.disconnects)
        if connection.response is not None and verdict.recovery_hinted:
            connection.response.hint(now)
        self._look_again(connection, now)

    def _fail_again(self, response: Response, now: datetime, *, disconnects: bool) -> None:
        since = response.connection.health.failing_since
        if since is not None:
            response.became.opened_at = min(response.became.opened_at, since)
        if response.became.recovered_at is not None:
            response.relapse()
        if disconnects and response.became.kind is Kind.DEGRADED:
            response.worsen(now)
            response.became.severity = self._severity(response.became)

    def _look_again(self, connection: Connection, now: datetime) -> None:
        """While its incident was really open, a monitor's failing looks were counted but not stored. Where this policy
        has not opened one yet, they are what would open it."""
        of, failing = connection.of, connection.health.failures
        if of.monitored and failing and connection.response is None and of.had_incident_at(now):
            rules = self._policy.monitoring
            pace = Pace(of.interval or rules.interval, rules.recheck_after, self._policy.detection.confirm_failures)
            at = next_look(now, Outcome.FAILED, Streak(failures=len(failing)), pace, None, 0.0)
            self._plan(at, partial(self._look, connection))

    def _look(self, connection: Connection, now: datetime) -> None:
        if connection.response is None and connection.health.failures and connection.of.had_incident_at(now):
            effect = Effect.SUCCESS if connection.of.works_at(now) else Effect.FAILURE
            self._observe(connection, Observation(now, effect, Weight.RETRYABLE), now)

    def _open(self, connection: Connection, kind: Kind, now: datetime) -> None:
        opened_at = connection.health.failing_since or now
        became = Incident(connection.of.id, kind, Severity.LOW, opened_at=opened_at, detected_at=now)
        became.severity = self._severity(became)
        response = Response(became, connection, connection.last_failure_by, self._policy.recovery.quiet_window)
        connection.response, connection.health = response, replace(connection.health, incident_open=True)
        self._became.append(became)
        if connection.of.monitored and connection.of.was_not_confirmed(now):
            response.close(Resolution.NOT_CONFIRMED, now)

    def _severity(self, became: Incident) -> Severity:
        if became.kind is Kind.DEGRADED:
            return Severity.LOW
        is_critical = self._connections[became.integration].of.is_critical
        return judge_severity(self._policy.severity, is_critical=is_critical, arr=self._customer.arr)

    # What the response does: one piece of news, as workflows/disconnection.py.

    def _due(self, response: Response, now: datetime) -> Due | None:
        due = next_due(response.situation(self._policy), now)
        if due is not None and due.news in {News.RESPONSE_DUE, News.RECOVERY_HINTED}:
            known_at = response.hinted_at if due.news is News.RECOVERY_HINTED else None
            return replace(due, at=max(due.at, (known_at or response.became.detected_at) + _START))
        return due

    def _go_on(self, response: Response, now: datetime) -> None:
        due = self._due(response, now) if response.became.closed_at is None else None
        if due is None or due.at > now:
            return  # what was done for another one of this customer has changed it
        match due.news:
            case News.RESPONSE_DUE:
                self._telling.respond(response, now)
            case News.RECOVERY_HINTED:
                response.verify(now)
            case News.HELD_LONG_ENOUGH:
                response.end_of_quiet_window(now)
            case News.MESSAGE_WAITING:
                self._telling.claim_waiting(response, now)
            case News.ESCALATION_DUE:
                self._telling.escalate(response, now)
            case News.ACKNOWLEDGEMENT_EXPIRED:
                steps = len(self._policy.ladder(response.became.severity).steps)
                response.ack_expired_at = response.acknowledged_at
                response.escalation_step = max(min(response.escalation_step, steps - 1), 0)
            case News.SNOOZE_ENDED:
                response.unsnoozed_at = response.snoozed_until
            case News.REMINDER_DUE:
                self._telling.remind(response, now)

    # What people did: as long after the first notice as they really did it.

    def _plan_reactions(self, response: Response, now: datetime) -> None:
        real = response.connection.of.incident_at(response.became.detected_at)
        for reaction in self._customer.reactions:
            if real is not None and reaction.incident == real.id and reaction.after_alert is not None:
                self._plan(now + reaction.after_alert, partial(self._react, reaction))

    def _react(self, reaction: Reaction, now: datetime) -> None:
        response = self._connections[reaction.integration].response
        if response is None:
            return
        match reaction.says:
            case Says.ACKNOWLEDGED:
                if response.acknowledged_at == response.ack_expired_at:
                    response.acknowledged_at = now
            case Says.SNOOZED:
                response.snoozed_until = now + reaction.lasts
            case Says.FIXED | Says.HINTED:
                response.hint(now, by_person=reaction.says is Says.FIXED)
            case Says.CLOSED:  # also by removing the integration
                assert reaction.resolution is not None  # of what was closed by hand
                response.close(reaction.resolution, now)
            case Says.MAILED:
                self._telling.send_by_hand(response, now)
