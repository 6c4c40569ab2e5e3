"""What comes next: the most urgent of what is due, else the earliest of what is to be waited for, and never a spin."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.contracts import Kind, Situation, Status
from workflows.domain.policy import EscalationStep, Role, Severity
from workflows.domain.response import (
    News,
    clock_start,
    due_reminders,
    due_steps,
    escalation_due_at,
    next_due,
)

NOW = datetime(2026, 1, 29, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LADDER = (
    EscalationStep(after=timedelta(minutes=30), to=Role.CSM_MANAGER),
    EscalationStep(after=timedelta(hours=2), to=Role.CS_LEADERSHIP),
)


def situation(**fields: Any) -> Situation:
    """An open incident that people were told of at NOW."""
    told: dict[str, Any] = {
        "incident_id": UUID(int=1),
        "number": 1,
        "customer_id": UUID(int=2),
        "integration_type": "salesforce",
        "kind": Kind.DISCONNECTED,
        "status": Status.OPEN,
        "severity": Severity.CRITICAL,
        "resolution": None,
        "detected_at": NOW,
        "alerted_at": NOW,
        "worsened_at": None,
        "acknowledged_at": None,
        "ack_expired_at": None,
        "snoozed_until": None,
        "unsnoozed_at": None,
        "informed": True,
        "recovery_hinted": False,
        "recheck_at": None,
        "last_seq": 1,
        "quiet_until": None,
        "escalation_step": 0,
        "reminders_sent": 0,
        "customer_mailed": True,
        "next_retry_at": None,
        "hold": timedelta(0),
        "ladder": LADDER,
        "ack_timeout": timedelta(hours=4),
        "reminders": (timedelta(hours=24), timedelta(hours=72)),
    }
    return Situation(**(told | fields))


def news(s: Situation, minutes: float = 0) -> News | None:
    """What is due so many minutes after NOW; None: nothing yet."""
    now = NOW + minutes * MINUTE
    due = next_due(s, now)
    return due.news if due and due.at <= now else None


times = st.integers(-600, 6000).map(lambda minutes: NOW + minutes * MINUTE)
situations = st.builds(
    situation,
    kind=st.sampled_from(Kind),
    status=st.sampled_from(Status),
    detected_at=times,
    alerted_at=st.none() | times,
    worsened_at=st.none() | times,
    acknowledged_at=st.none() | times,
    snoozed_until=st.none() | times,
    informed=st.booleans(),
    recovery_hinted=st.booleans(),
    recheck_at=st.none() | times,
    quiet_until=st.none() | times,
    escalation_step=st.integers(0, 2),
    reminders_sent=st.integers(0, 2),
    customer_mailed=st.booleans(),
    next_retry_at=st.none() | times,
    hold=st.integers(0, 60).map(lambda m: m * MINUTE),
    ladder=st.sampled_from([(), LADDER[:1], LADDER]),
    reminders=st.sampled_from([(), (timedelta(hours=24), timedelta(hours=72))]),
)


@dataclass
class Response:
    """What the activities make of a situation; the tests' stand-in for the rows."""

    situation: Situation
    now: datetime
    done: list[News] = field(default_factory=list)

    def act(self, what: News) -> None:
        s, now = self.situation, self.now
        self.done.append(what)
        match what:
            case News.RESPONSE_DUE:
                self._set(informed=True, alerted_at=s.alerted_at or now)
            case News.RECOVERY_HINTED:
                self._set(recovery_hinted=False, recheck_at=None)
            case News.HELD_LONG_ENOUGH:
                self._set(status=Status.CLOSED)
            case News.MESSAGE_WAITING:
                self._set(next_retry_at=None)
            case News.SNOOZE_ENDED:
                self._set(unsnoozed_at=s.snoozed_until)
            case News.ACKNOWLEDGEMENT_EXPIRED:
                step = max(min(s.escalation_step, len(s.ladder) - 1), 0)
                self._set(ack_expired_at=s.acknowledged_at, escalation_step=step)
            case News.ESCALATION_DUE:
                assert due_steps(s, now) > s.escalation_step
                self._set(escalation_step=due_steps(s, now))
            case News.REMINDER_DUE:
                assert due_reminders(s, now) > s.reminders_sent
                self._set(reminders_sent=due_reminders(s, now))

    def _set(self, **fields: Any) -> None:
        self.situation = self.situation.model_copy(update=fields)


@given(situations, times)
def test_every_response_comes_to_rest(s: Situation, now: datetime) -> None:
    """Whatever the situation: acting on the news uses it up, and each wait is for a later time."""
    response = Response(s, now)
    for _ in range(60):
        due = next_due(response.situation, response.now)
        if due is None or due.news is News.IT_IS_OVER:
            break
        if due.at <= response.now:
            response.act(due.news)
        else:
            response.now = due.at
    else:
        pytest.fail(f"it spins: {response.done[-6:]}")
    assert response.done.count(News.RESPONSE_DUE) <= 1
    assert response.done.count(News.ESCALATION_DUE) <= 3
    assert response.done.count(News.REMINDER_DUE) <= 2


@given(situations, times)
def test_what_is_due_comes_before_what_is_to_be_waited_for(s: Situation, now: datetime) -> None:
    due = next_due(s, now)
    assert (due is None) <= (s.status is Status.OPEN)
    if s.is_over and s.next_retry_at is None:
        assert due is not None
        assert due.news is News.IT_IS_OVER


@given(situations, times)
def test_nobody_is_disturbed_once_it_recovers_or_is_over(s: Situation, now: datetime) -> None:
    """Neither escalated to, reminded, nor told for the first time."""
    due = next_due(s, now)
    if s.status is not Status.OPEN:
        assert due is None or due.news in {News.IT_IS_OVER, News.HELD_LONG_ENOUGH, News.MESSAGE_WAITING}


@given(situations, times)
def test_a_recorded_hint_is_looked_at_before_anybody_is_disturbed(s: Situation, now: datetime) -> None:
    due = next_due(s, now)
    is_waiting = s.status is Status.OPEN and s.recovery_hinted and (s.recheck_at is None or s.recheck_at <= now)
    if is_waiting:
        assert due is not None
        assert due.news is News.RECOVERY_HINTED


@given(situations, times)
def test_a_snooze_silences_the_ladder_and_the_reminders(s: Situation, now: datetime) -> None:
    due = next_due(s, now)
    if s.snoozed_until is not None and s.snoozed_until > now and due is not None:
        assert due.news not in {News.ESCALATION_DUE, News.REMINDER_DUE, News.ACKNOWLEDGEMENT_EXPIRED}


@given(situations, times, times)
def test_time_only_adds_due_steps(s: Situation, one: datetime, other: datetime) -> None:
    early, late = sorted((one, other))
    assert 0 <= due_steps(s, early) <= due_steps(s, late) <= len(s.ladder)
    assert 0 <= due_reminders(s, early) <= due_reminders(s, late) <= len(s.reminders)


@given(situations)
def test_a_step_is_never_due_before_its_time(s: Situation) -> None:
    for step, rung in enumerate(s.ladder):
        assert escalation_due_at(s, step) - clock_start(s) >= rung.after


@pytest.mark.parametrize(
    ("fields", "minutes", "expected"),
    [
        ({}, 29, None),
        ({}, 30, News.ESCALATION_DUE),
        ({"escalation_step": 1}, 31, None),
        ({"escalation_step": 1}, 120, News.ESCALATION_DUE),
        ({"escalation_step": 2}, 1439, None),
        ({"escalation_step": 2}, 1440, News.REMINDER_DUE),
        ({"escalation_step": 2, "customer_mailed": False}, 9999, None),
        ({"escalation_step": 2, "reminders_sent": 2}, 9999, None),
        ({"ladder": (), "reminders": ()}, 9999, None),
        ({"acknowledged_at": NOW}, 239, None),
        ({"acknowledged_at": NOW}, 240, News.ACKNOWLEDGEMENT_EXPIRED),
        ({"acknowledged_at": NOW, "ack_expired_at": NOW}, 240, News.ESCALATION_DUE),
        ({"acknowledged_at": NOW, "ladder": (), "reminders": ()}, 9999, None),
        ({"snoozed_until": NOW + 60 * MINUTE}, 59, None),
        ({"snoozed_until": NOW + 60 * MINUTE}, 60, News.SNOOZE_ENDED),
        ({"snoozed_until": NOW + 60 * MINUTE, "unsnoozed_at": NOW + 60 * MINUTE}, 89, None),
        ({"snoozed_until": NOW + 60 * MINUTE, "unsnoozed_at": NOW + 60 * MINUTE}, 90, News.ESCALATION_DUE),
        ({"worsened_at": NOW + 100 * MINUTE}, 129, None),
        ({"worsened_at": NOW + 100 * MINUTE}, 130, News.ESCALATION_DUE),
        ({"alerted_at": None}, 30, News.ESCALATION_DUE),
        ({"alerted_at": NOW + 10 * MINUTE}, 39, None),
        ({"informed": False}, 0, News.RESPONSE_DUE),
        ({"informed": False, "hold": 15 * MINUTE}, 14, None),
        ({"informed": False, "hold": 15 * MINUTE}, 15, News.RESPONSE_DUE),
        ({"informed": False, "hold": 15 * MINUTE, "recovery_hinted": True}, 1, News.RECOVERY_HINTED),
        ({"informed": False, "recovery_hinted": True}, 0, News.RECOVERY_HINTED),
        ({"informed": False, "recovery_hinted": True, "recheck_at": NOW + MINUTE}, 0, News.RESPONSE_DUE),
        ({"recovery_hinted": True, "recheck_at": NOW + MINUTE}, 0.5, None),
        ({"recovery_hinted": True, "recheck_at": NOW + MINUTE}, 1, News.RECOVERY_HINTED),
        ({"recovery_hinted": True}, 31, News.RECOVERY_HINTED),
        ({"next_retry_at": NOW + MINUTE}, 1, News.MESSAGE_WAITING),
        ({"next_retry_at": NOW + MINUTE}, 31, News.MESSAGE_WAITING),
        ({"status": Status.RECOVERING, "quiet_until": NOW + 10 * MINUTE}, 9, None),
        ({"status": Status.RECOVERING, "quiet_until": NOW + 10 * MINUTE}, 10, News.HELD_LONG_ENOUGH),
        ({"status": Status.RECOVERING, "quiet_until": NOW, "recovery_hinted": True}, 0, News.HELD_LONG_ENOUGH),
        ({"status": Status.CLOSED}, 0, News.IT_IS_OVER),
        ({"status": Status.CANCELLED}, 0, News.IT_IS_OVER),
        ({"status": Status.CLOSED, "next_retry_at": NOW + MINUTE}, 0, None),
        ({"status": Status.CLOSED, "next_retry_at": NOW + MINUTE}, 1, News.MESSAGE_WAITING),
    ],
    ids=str,
)
def test_what_is_due_when(fields: dict[str, Any], minutes: float, expected: News | None) -> None:
    assert news(situation(**fields), minutes) == expected


def test_after_a_long_outage_only_the_highest_step_counts() -> None:
    assert [due_steps(situation(), NOW + m * MINUTE) for m in (0, 29, 30, 119, 120, 9999)] == [0, 0, 1, 1, 2, 2]
    assert [due_reminders(situation(), NOW + timedelta(hours=h)) for h in (23, 24, 72)] == [0, 1, 2]
