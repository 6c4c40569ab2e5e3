"""Incidents and their history in words, for the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias
from uuid import UUID

from activities import phrases
from activities.db import ledger
from starter.api.funnel import funnel

Row = Mapping[str, Any]
Told: TypeAlias = Callable[[datetime | None], str | None]

_MESSAGES = {
    ledger.ALERT: "Alert",
    ledger.ESCALATION: "Escalation",
    ledger.ENGINEERING: "Page to engineering",
    ledger.CUSTOMER: "Fix instructions",
    ledger.REMINDER: "Reminder",
    ledger.ALL_CLEAR: "All-clear",
    ledger.TECH_CALL: "Offer of a call",
    ledger.NOTE: "Note in the thread",
}
ROLES = MappingProxyType(
    {
        "csm": "the CSM",
        "csm_manager": "the CSM's manager",
        "cs_leadership": "CS leadership",
        "engineering": "engineering",
        "technical_contact": "the technical contact",
    }
)
NEXT = MappingProxyType(  # by next_action's kind
    {
        "recovery_hinted": "Verify the connection",
        "response_due": "Tell people",
        "held_long_enough": "Resolve it, if the connection holds",
        "message_waiting": "Send a message that waits",
        "snooze_ended": "End of the snooze",
        "acknowledgement_expired": "Escalate again, if it is not fixed",
        "escalation_due": "Escalate to {to}",
        "reminder_due": "Remind the technical contact",
    }
)
_CHANNELS = {"slack": "Slack", "email": "email"}
_HINTS = {
    "callback": "the customer reconnected",
    "event": "an event said so",
    "person": "somebody said so",
    "monitor": "our monitor saw it",
}
_CONFIRMED = {
    "broken": "Confirmed by our own check",
    "degraded": "Our own check found that a part of it fails",
    "inconclusive": "Our own check could not tell: what was reported stands",
}
ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "verified": "our check found it working",
        "reported": "it was reported as working",
        "not_confirmed": "our check found nothing wrong",
        "no_longer_used": "no longer used",
        "false_alarm": "a false alarm",
        "removed": "the integration was removed",
    }
)
WHO_FIXES = MappingProxyType(
    {
        "customer_user": "The customer's user fixes it",
        "customer_admin": "The customer's administrator fixes it",
        "our_engineering": "Our engineers fix it",
        "provider": "The provider fixes it",
        "nobody (retry)": "It passes by itself",
    }
)
_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "detected": "Detected",
        "confirmed": "{confirmed}",
        "assessed": "Severity: {severity}",
        "worsened": "Got worse: {severity} severity",
        "risk_signal_created": "Risk signal created",
        "task_created": "Task created",
        "health_score_adjusted": "Health score changed by {adjustment:+d}",
        "informed": "First notices are out, or on their way",
        "told_in_digest": "The CSM was told in one digest with others of this provider",
        "acknowledged": "Acknowledged",
        "acknowledgement_expired": "Acknowledged, but not fixed in time: escalation goes on",
        "snoozed": "Snoozed",
        "snooze_ended": "The snooze has ended",
        "escalated": "Escalated to {to}",
        "escalation_skipped": "Nobody is on file to escalate to: {skipped}",
        "reminder_due": "Reminder {reminder}",
        "recovery_hinted": "It may work again: {hint}",
        "check_failed": "Checked: still broken{seen}",
        "check_inconclusive": "Checked: could not tell{seen}",
        "hint_unverified": "No success has been reported since, and there is no monitor to check it with",
        "recovering": "{recovered}; it has to hold",
        "relapsed": "Failed again while it had to hold",
        "customer_reported": "The customer noticed by themselves",
        "fix_instructions_requested": "Fix instructions asked for, to {person}",
        "tech_call_requested": "A call offered to {person}{times}",
        "page_fetched": "The reconnect page was fetched (perhaps by a mail scanner)",
        "fresh_link_requested": "A new link was asked for on the page of an old one",
        "page_opened": "The reconnect button behind the mail to {person} was pressed",
        "closed": "Closed: {resolution}",
        "announced": "Everybody who knew was told that it is over",
    }
)


_TOGETHER = "in one mail with other integrations"


class Tone(StrEnum):
    """What an entry of the timeline is about, beyond what its sentence says."""

    PLAIN = "plain"
    TROUBLE = "trouble"
    GOOD = "good"
    TOLD = "told"
    HELD = "held"  # decided: nobody is told


_TONES: Mapping[str, Tone] = MappingProxyType(
    {
        **dict.fromkeys(("detected", "worsened", "check_failed", "relapsed", "customer_reported"), Tone.TROUBLE),
        **dict.fromkeys(("notice_failed", "acknowledgement_expired", "escalated"), Tone.TROUBLE),
        **dict.fromkeys(("recovering", "closed", "announced", "page_opened"), Tone.GOOD),
        **dict.fromkeys(("notice_sent", "informed", "told_in_digest"), Tone.TOLD),
        **dict.fromkeys(("notice_held", "notice_suppressed", "escalation_skipped"), Tone.HELD),
    }
)


class Words:
    """`names` are those of the customer's people; `told` writes a time for the reader; `time` is beside it as it is."""

    def __init__(self, names: Mapping[UUID, str], told: Told) -> None:
        self._names, self._told = names, told

    def timeline(self, rows: Sequence[Row], deliveries: Sequence[Row]) -> list[dict[str, object]]:
        """Oldest first. What was decided about a message is told with the message, which is one of `deliveries`."""
        messages = {row["delivery_key"]: row for row in deliveries}
        return [self._entry(row, messages.get(row["details"].get("delivery"))) for row in rows]

    def deliveries(self, rows: Sequence[Row]) -> list[dict[str, object]]:
        """Who was told what; lines in the CSM's own thread are left out."""
        return [self._delivery(row) for row in rows if row["template"] != ledger.NOTE]

    def funnel(self, deliveries: Sequence[Row], incident: Row, timeline: Sequence[Row]) -> list[dict[str, object]]:
        """FR-3.4: sent, delivered, opened, reconnected, verified or reported; empty if the customer was not mailed."""
        return [
            {"label": step.step.capitalize(), "time": step.at, "at": self._told(step.at), "state": step.state}
            for step in funnel(deliveries, incident, timeline)
        ]

    def _delivery(self, row: Row) -> dict[str, object]:
        opened, at = self._told(row["opened_at"]), row["sent_at"] or row["created_at"]
        return {
            "time": at,
            "at": self._told(at),
            "what": _MESSAGES.get(row["template"], row["template"]),
            "recipient": row["person_name"] or row["recipient"] or ROLES.get(row["role"], row["role"]),
            "channel": _CHANNELS.get(row["channel"], row["channel"]),
            "status": row["told_status"] or row["status"],
            "note": f"opened {opened}" if opened else _TOGETHER if row["told_with"] else row["error"],
        }

    def _entry(self, row: Row, message: Row | None) -> dict[str, object]:
        kind, details = row["kind"], row["details"]
        if message is not None:
            person = message["person_id"]
            details = {"template": message["template"], "role": message["role"], "person": person, **details}
        return {
            "time": row["at"],
            "at": self._told(row["at"]),
            "text": self._sentence(kind, details),
            "note": self._note(kind, details),
            "tone": _TONES.get(kind, Tone.PLAIN),
            "actor": self._actor(row["actor"]),
        }

    def _actor(self, actor: str) -> str | None:
        kind, _, who = actor.partition(":")
        if kind == "person":
            return self._name(who)
        return None if actor == "relink" else actor

    def _name(self, person: object) -> str:
        try:
            return self._names.get(UUID(str(person)), "somebody")
        except ValueError:
            return "somebody"

    def _sentence(self, kind: str, details: Row) -> str:
        if kind.startswith("notice_"):
            return self._notice(kind.removeprefix("notice_"), details)
        said = dict(details)
        said["hint"] = _HINTS.get(details.get("hint", ""), "a sign of it")
        said["to"] = ROLES.get(details.get("to", ""), "the next one")
        said["skipped"] = phrases.together([ROLES.get(role, role) for role in details.get("skipped", [])]) or said["to"]
        said["person"] = self._name(details.get("person"))
        said["times"] = "".join(f"; {self._told(datetime.fromisoformat(at))}" for at in details.get("times", []))
        said["seen"] = f" ({details['seen']})" if details.get("seen") else ""
        reported = details.get("evidence") == "reported"
        unchecked = "Taken as reported: there is no monitor to check it with"
        said["confirmed"] = _CONFIRMED.get(details.get("check", ""), unchecked)
        said["recovered"] = "Reported as working again" if reported else "Our check found it working again"
        said["resolution"] = ENDINGS.get(details.get("resolution", ""), "by hand")
        try:
            return _SENTENCES[kind].format_map(said)
        except (KeyError, ValueError):  # a kind, or a detail of one, that another version wrote
            return str(kind).replace("_", " ").capitalize()

    def _note(self, kind: str, details: Row) -> str | None:
        if rule := details.get("rule"):
            until = details.get("until")
            return f"Rule: {rule}; until {self._moment(until)}" if until else f"Rule: {rule}"
        end = details.get({"snoozed": "until", "recovering": "quiet_until"}.get(kind, ""))
        return f"Until {self._moment(end)}" if end else None

    def _moment(self, at: str) -> str | None:
        return self._told(datetime.fromisoformat(at))

    def _notice(self, what: str, details: Row) -> str:
        template, role = details.get("template"), details.get("role")
        message = _MESSAGES.get(template or "", "A message")
        to = self._name(details["person"]) if details.get("person") else ROLES.get(role or "", "somebody")
        match what:
            case "sent":
                along = details.get("together_with") or details.get("told_with")
                return f"{message} sent to {to}{f', {_TOGETHER}' if along else ''}"
            case "failed" if details.get("bounced"):
                return f"{message} to {to} came back: {details.get('error')}"
            case "suppressed" if str(details.get("rule")).startswith("told together"):
                return f"Told {_TOGETHER}"
            case "failed":
                return f"{message} could not be delivered to {to}"
            case "held" if details.get("until"):
                return f"{message} to {to} waits"
            case "held" | "suppressed":
                return f"{message if template else 'Notice'} not sent to {to}"
        return f"{message} to {to}: {what}"
