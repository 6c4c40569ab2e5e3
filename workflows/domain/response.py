"""What to do next about an incident. Pure: from its situation and the time to one piece of news, or to a wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from workflows.contracts import Situation, Status


class News(StrEnum):
    """What the response has to react to, most urgent first."""

    IT_IS_OVER = "it is over"
    RECOVERY_HINTED = "recovery hinted"  # looked into before anybody is disturbed
    RESPONSE_DUE = "response due"
    HELD_LONG_ENOUGH = "held long enough"
    MESSAGE_WAITING = "message waiting"
    SNOOZE_ENDED = "snooze ended"
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement expired"
    ESCALATION_DUE = "escalation due"
    REMINDER_DUE = "reminder due"


@dataclass(frozen=True)
class Due:
    """Something with a time: news once that time has come, until then the reason of a timer."""

    at: datetime
    news: News
    what: str


def next_due(situation: Situation, now: datetime) -> Due | None:
    """The most urgent news, if something is due at `now`; else the earliest thing to wait for; None: only a bell."""
    dues = _dues(situation, now)
    ripe = [due for due in dues if due.at <= now]
    if ripe:
        return min(ripe, key=lambda due: list(News).index(due.news))
    return min(dues, key=lambda due: due.at, default=None)


def _dues(s: Situation, now: datetime) -> list[Due]:
    dues = []
    if s.next_retry_at:
        dues.append(Due(s.next_retry_at, News.MESSAGE_WAITING, "send a waiting message"))
    if s.is_over:
        return dues or [Due(now, News.IT_IS_OVER, "closing")]
    if s.status is Status.RECOVERING:
        held = s.quiet_until or now
        return [*dues, Due(held, News.HELD_LONG_ENOUGH, "resolve if the connection holds")]
    if s.recovery_hinted:
        dues.append(Due(s.recheck_at or now, News.RECOVERY_HINTED, "verify the connection"))
    if not s.informed:
        return [*dues, Due(max(s.detected_at + s.hold, now), News.RESPONSE_DUE, "tell people")]
    return dues + _patience(s)


def _patience(s: Situation) -> list[Due]:
    """Snooze, acknowledgement, the escalation ladder and the customer's reminders of a situation people know of."""
    dues = []
    snoozed = s.snoozed_until if s.snoozed_until != s.unsnoozed_at else None
    if snoozed:
        return [Due(snoozed, News.SNOOZE_ENDED, "end of the snooze")]
    acknowledged = s.acknowledged_at if s.acknowledged_at != s.ack_expired_at else None
    if acknowledged and s.ladder:
        due = acknowledged + s.ack_timeout
        dues.append(Due(due, News.ACKNOWLEDGEMENT_EXPIRED, "escalate again: acknowledged but not fixed"))
    elif not acknowledged:
        dues += _escalation(s)
    if s.customer_mailed and s.reminders_sent < len(s.reminders):
        due = clock_start(s) + s.reminders[s.reminders_sent]
        dues.append(Due(due, News.REMINDER_DUE, "remind the technical contact"))
    return dues


def clock_start(s: Situation) -> datetime:
    """Where the ladder and the reminders start to count: at the first notice, or when it became worse after that, or
    when the provider's outage that it is part of was over."""
    return max(at for at in (s.alerted_at or s.detected_at, s.worsened_at, s.outage_over_at) if at)


def escalation_due_at(s: Situation, step: int) -> datetime:
    """When a step of the ladder is due. A snooze that has ended gives the CSM the first step's time again before
    anybody else is told."""
    due = clock_start(s) + s.ladder[step].after
    if s.unsnoozed_at:
        due = max(due, s.unsnoozed_at + s.ladder[0].after)
    return due


def _escalation(s: Situation) -> list[Due]:
    if s.escalation_step >= len(s.ladder):
        return []
    step = s.ladder[s.escalation_step]
    return [Due(escalation_due_at(s, s.escalation_step), News.ESCALATION_DUE, f"escalate to {step.to}")]


def due_steps(s: Situation, now: datetime) -> int:
    """How many steps of the ladder are due: after a long outage only the highest of them is told, once."""
    return sum(escalation_due_at(s, step) <= now for step in range(len(s.ladder)))


def due_reminders(s: Situation, now: datetime) -> int:
    """How many reminders are due: after a long outage only the newest of them is sent."""
    return sum(clock_start(s) + after <= now for after in s.reminders)
