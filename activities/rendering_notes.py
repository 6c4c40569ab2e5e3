"""The replies in an alert's thread: which there are, and what each may be told besides the incident itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from activities.rendering_facts import LINE, NAME, Telling
from activities.rendering_safety import Dated, one_line

# Every detail may be left out. `by`, `to` and `name` are names of people; aware datetimes become times of the reader.
NOTES: dict[str, tuple[str, ...]] = {
    "acknowledged": ("by", "until"),  # until: when it starts to escalate again
    "snoozed": ("by", "until"),
    "snooze_ended": (),
    "ack_expired": ("by",),
    "escalated": ("role", "to", "channel"),  # channel: slack or email
    "escalation_skipped": ("role", "reason"),
    "check_failed": ("hint", "by", "reason"),  # hint: callback, event, person, monitor
    "hint_unverified": ("hint", "by"),  # somebody says that it works again; without a monitor nothing can be checked
    "check_inconclusive": ("hint", "by", "reason", "next_at"),
    "recovering": (),
    "relapsed": ("reason",),
    "resolved": (
        "fixed_by",
        "task_completed",
        "score_restored",
    ),  # fixed_by: customer, unseen (somebody there, without a word), person, engineering, provider, itself
    "closed": ("by", "note"),  # by hand; which way is the incident's own resolution
    "removed": ("by",),
    "mail_sent": ("name", "by", "reminder", "together"),  # by: who pressed the button; together: other integrations
    "mail_held": ("name", "until"),  # the contact was written to a moment ago
    "mail_failed": ("name", "reason", "next_name"),  # next_name: the contact who is tried next
    "page_opened": ("name",),  # the button behind the link in the mail to this contact was pressed
    "tech_call_requested": ("by", "name", "booking", "times"),  # booking: the mail carries a booking link
    "worsened": (),
}


_PEOPLE = {"by", "to", "name", "next_name", "fixed_by"}


def note_facts(kind: str, details: Mapping[str, Any], telling: Telling) -> dict[str, object]:
    """The details of a note, made safe to print; what is missing is None. Raises KeyError for an unknown kind."""
    return {f"note_{name}": _told(name, details.get(name), telling) for name in NOTES[kind]}


def _slots(times: list[Any], telling: Telling) -> Dated | None:
    slots = [telling.slot(at if isinstance(at, datetime) else datetime.fromisoformat(at)) for at in times]
    return Dated("; ".join(slots), "; ".join(slot.token for slot in slots)) if slots else None


def _told(name: str, value: Any, telling: Telling) -> object:
    if isinstance(value, datetime):
        return telling.moment(value)
    if isinstance(value, list):
        return _slots(value, telling)
    if isinstance(value, bool | int | None):
        return value
    return telling.line(one_line(value), NAME if name in _PEOPLE else LINE) or None
