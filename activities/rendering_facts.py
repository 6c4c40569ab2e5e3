"""An incident as its readers are told about it: every name that a template may print, listed in templates/README.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import overload

from activities import phrases
from activities.rendering_safety import Dated, one_line
from activities.views import IncidentView, Person
from workflows.domain.durations import how_long

NAME, LINE, REASON, CODE, EXPLANATION = 80, 300, 400, 80, 1500  # characters
UNNAMED = "unnamed"
MOST_LINES = 12  # of a list


class Phase(StrEnum):
    """Where an incident stands, in the one word that decides what its messages say."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    NOT_CONFIRMED = "not_confirmed"
    NO_LONGER_USED = "no_longer_used"
    FALSE_ALARM = "false_alarm"
    REMOVED = "removed"

    @property
    def is_over(self) -> bool:
        return self not in (Phase.OPEN, Phase.ACKNOWLEDGED, Phase.SNOOZED, Phase.RECOVERING)


def phase_of(view: IncidentView, now: datetime) -> Phase:
    """The phase at that time: a snooze that has ended is over, and so is an acknowledgement that ran out."""
    if view.status == "cancelled":
        return Phase.REMOVED
    if view.status == "closed":
        by_hand = {phase.value: phase for phase in Phase if phase.is_over}
        return by_hand.get(view.resolution or "", Phase.RESOLVED)
    if view.status == "recovering":
        return Phase.RECOVERING
    if view.snoozed_until and view.snoozed_until > now:
        return Phase.SNOOZED
    is_taken = view.acknowledged_at and not view.acknowledgement_expired
    return Phase.ACKNOWLEDGED if is_taken else Phase.OPEN


_OVER = {  # heading, emoji, status
    Phase.RECOVERING: ("Recovering", "hourglass_flowing_sand", "RECOVERING"),
    Phase.RESOLVED: ("Restored", "white_check_mark", "RESOLVED"),
    Phase.NOT_CONFIRMED: ("Working", "white_check_mark", "NOT CONFIRMED"),
    Phase.NO_LONGER_USED: ("No Longer Used", "file_folder", "CLOSED"),
    Phase.FALSE_ALARM: ("False Alarm", "file_folder", "CLOSED"),
    Phase.REMOVED: ("Removed", "file_folder", "REMOVED"),
}


@dataclass(frozen=True)
class Telling:
    """Who is told, when, and by which product: together with an incident everything that decides a message."""

    now: datetime
    product_name: str
    reader: Person | None = None

    @property
    def zone(self) -> tzinfo:
        return phrases.zone(self.reader.timezone if self.reader else None)

    @overload
    def moment(self, at: datetime) -> Dated: ...
    @overload
    def moment(self, at: None) -> None: ...
    def moment(self, at: datetime | None) -> Dated | None:
        """ "Jan 29, 2026 at 10:45 AM" """
        said = phrases.moment(at, self.zone) if at else ""
        return Dated(said, slack_date(at, "{date_short} at {time}", said + self._utc)) if at else None

    @overload
    def ago(self, at: datetime) -> Dated: ...
    @overload
    def ago(self, at: None) -> None: ...
    def ago(self, at: datetime | None) -> Dated | None:
        """ "3 hours ago" """
        said = phrases.ago(at, self.now) if at else ""
        return Dated(said, slack_date(at, "{ago}", said)) if at else None

    def moment_and_ago(self, at: datetime) -> Dated:
        """ "Jan 29, 2026 at 10:45 AM (3 hours ago)" """
        moment, ago = phrases.moment(at, self.zone), f"({phrases.ago(at, self.now)})"
        token = slack_date(at, "{date_short} at {time} ({ago})", f"{moment}{self._utc} {ago}")
        return Dated(f"{moment} {ago}", token)

    def slot(self, at: datetime) -> Dated:
        """ "Friday, Jan 30, 2026 at 10:00 AM" """
        said = phrases.slot(at, self.zone)
        return Dated(said, slack_date(at, "{date_long} at {time}", said + self._utc))

    @property
    def _utc(self) -> str:
        return " UTC" if self.zone is UTC else ""

    def line(self, text: str, limit: int = LINE) -> str:
        """A text of the catalogue with its last place filled in; by replacing, because it may quote a provider."""
        return one_line(text.replace("{product_name}", self.product_name), limit)

    def lines(self, texts: Iterable[str]) -> list[str]:
        told = [self.line(text) for text in texts]
        return [line for line in told if line][:MOST_LINES]


def slack_date(at: datetime, written: str, said: str) -> str:
    """How Slack shows a time in its reader's zone (https://docs.slack.dev/messaging/formatting-message-text); `said` is
    for programs that can't."""
    return f"<!date^{int(at.timestamp())}^{written}|{said}>"


def incident_facts(view: IncidentView, telling: Telling) -> dict[str, object]:
    """What every message and page may say about an incident, in the reader's time zone."""
    return {
        **_what(view, telling),
        **_when(view, telling),
        **_who(view, telling),
        "product_name": one_line(telling.product_name, NAME),
        "times_are_utc": telling.zone is UTC,
        "reader_name": _name(telling.reader),
    }


def _name(person: Person | None) -> str | None:
    name = phrases.named(person)
    return one_line(name, NAME) if name else None


def _what(view: IncidentView, telling: Telling) -> dict[str, object]:
    phase = phase_of(view, telling.now)
    open_words = ("Disconnected", "electric_plug", "DISCONNECTED")
    if view.kind == "degraded":
        open_words = ("Degraded", "warning", "DEGRADED")
    headline, emoji, status = _OVER.get(phase, open_words)
    return {
        "phase": phase,
        "is_over": phase.is_over,
        "kind": view.kind,
        "headline": headline,
        "emoji": emoji,
        "status": status,
        "severity": view.severity,
        "integration": one_line(view.integration_name, NAME) or UNNAMED,
        "provider": one_line(view.provider_name, NAME),
        "reason": telling.line(view.reason, REASON) or "no reason was given",
        "explanation": telling.line(view.explanation, EXPLANATION),
        # The catalogue's explanation ends with what a CSM should say; engineers need what comes before.
        "diagnosis": telling.line(view.explanation.partition("What to say")[0], EXPLANATION),
        "integration_type": one_line(view.integration_type, NAME),
        "integration_id": one_line(view.integration_id, NAME) if view.integration_id else None,
        "error_code": one_line(view.error_code, CODE).upper() if view.error_code else None,
        "category": view.category.replace("_", " "),
        "who_fixes": view.who_fixes,
        "needs_customer": view.who_fixes in {"customer_user", "customer_admin"},
        "impact": telling.lines(view.impact),
        "is_critical": view.is_critical,
        "steps": telling.lines(view.steps),
        "occurrences": view.occurrences,
        "relapses": view.relapses,
        "evidence": view.evidence,
        "resolution": view.resolution,
        "number": view.number,
    }


def _when(view: IncidentView, telling: Telling) -> dict[str, object]:
    end = view.closed_at or (view.recovering_since if view.status == "recovering" else None) or telling.now
    return {
        "since": telling.moment(view.opened_at),
        "since_ago": telling.ago(view.opened_at),
        "since_and_ago": telling.moment_and_ago(view.opened_at),
        "down_for": how_long(max(end, view.opened_at) - view.opened_at),
        "told": telling.moment(view.alerted_at),
        "told_ago": telling.ago(view.alerted_at),
        "acknowledged": telling.moment(view.acknowledged_at),
        "acknowledged_ago": telling.ago(view.acknowledged_at),
        "snoozed_until": telling.moment(view.snoozed_until),
        "recovering_since": telling.moment(view.recovering_since),
        "quiet_until": telling.moment(view.quiet_until),
        "closed": telling.moment(view.closed_at),
    }


def _who(view: IncidentView, telling: Telling) -> dict[str, object]:
    contact = view.contacts[0] if view.contacts else None
    described = phrases.introduced(contact)
    mail = view.customer_mail
    return {
        "customer": one_line(view.customer_name, NAME) or UNNAMED,
        "arr": phrases.money(view.arr),
        "technical_contact": one_line(described, NAME * 2) if described else None,
        "contact_name": _name(contact),
        "csm": _name(view.csm),
        "csm_manager": _name(view.csm_manager),
        "acknowledged_by": one_line(view.acknowledged_by, NAME) if view.acknowledged_by else None,
        "closed_by": one_line(view.closed_by, NAME) if view.closed_by else None,
        "hinted_by": one_line(view.hinted_by, NAME) if view.hinted_by else None,
        "previous": phrases.previously(view.previous, view.previous_count, telling.zone),
        "previous_count": view.previous_count,
        "engineering_named": view.engineering_named,
        "auto_send": view.auto_send,
        "customer_reported": view.customer_reported,
        "mail_status": mail.status if mail else None,
        "mail_name": one_line(mail.name or "the technical contact", NAME) if mail else None,
        "mail_sent_ago": telling.ago(mail.sent_at) if mail else None,
        "mail_opened_ago": telling.ago(mail.opened_at) if mail else None,
        "mail_held_until": telling.moment(mail.held_until) if mail else None,
        "mail_in_outage": mail is not None and mail.in_outage,
        "mail_others": mail.others if mail else 0,
        "reconnected_ago": telling.ago(view.recovering_since),
    }
