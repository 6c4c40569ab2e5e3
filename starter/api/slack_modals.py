"""The dialogs behind the Slack buttons, as Block Kit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from activities import phrases
from activities.rendering_safety import for_slack, one_line
from activities.views import IncidentView, Person

View: TypeAlias = dict[str, Any]

CONTACT, EMAIL, NAME, REASON = "contact", "email", "name", "reason"  # ids of blocks, and of the element in each
TIMES, MINUTES = ("time_1", "time_2", "time_3"), "minutes"
_LENGTHS = (15, 30, 45, 60)
_LABEL = 70  # characters; Slack allows 75


@dataclass(frozen=True)
class Origin:
    """The message whose button opened a dialog."""

    incident: UUID
    channel: str

    def dump(self) -> str:
        return json.dumps([str(self.incident), self.channel])

    @classmethod
    def load(cls, text: str) -> Origin:
        incident, channel = json.loads(text)
        return cls(UUID(incident), channel)


def send_modal(origin: Origin, view: IncidentView, now: datetime) -> View:
    """Send Fix Instructions: first says what was sent and whether it was opened; then to whom."""
    sent = view.customer_mail is not None
    blocks = [_text(_mail_so_far(view, now)), *_recipient(view.contacts)]
    return _modal(origin, "send_fix_instructions", "Send fix instructions", "Send again" if sent else "Send", blocks)


def call_modal(origin: Origin, view: IncidentView, *, books: bool) -> View:
    """Schedule Tech Call: to whom the offer goes, and when it may be. `books`: there is a page to book a call."""
    without = "carries your booking link" if books else "asks for times that suit"
    what = (
        f"The offer goes out by email. Propose up to {len(TIMES)} times, in your own time zone; the email says them "
        f"in the contact's. One time comes as an invitation to accept; without any, the email {without}."
    )
    blocks = [_text(what), *_recipient(view.contacts), *_times()]
    return _modal(origin, "schedule_tech_call", "Schedule tech call", "Offer a call", blocks)


def _times() -> list[View]:
    times = [
        _optional(name, f"Time {number}", {"type": "datetimepicker", "action_id": name})
        for number, name in enumerate(TIMES, start=1)
    ]
    lengths = [_option(str(minutes), f"{minutes} minutes") for minutes in _LENGTHS]
    select = {"type": "static_select", "action_id": MINUTES, "options": lengths, "initial_option": lengths[1]}
    return [*times, _optional(MINUTES, "How long", select)]


def _optional(name: str, label: str, element: View) -> View:
    return {"type": "input", "block_id": name, "optional": True, "label": _plain(label), "element": element}


def close_modal(origin: Origin, view: IncidentView) -> View:
    """Close: by hand, so that it is meant."""
    what = (
        f"This closes the incident of *{for_slack(view.integration_name)}* at *{for_slack(view.customer_name)}* "
        "without a repair; it raises no new alert until it has worked again. If it is fixed, leave it: we notice."
    )
    reasons = [_option("no_longer_used", "The customer no longer uses this"), _option("false_alarm", "A false alarm")]
    radio = {"type": "radio_buttons", "action_id": REASON, "options": reasons, "initial_option": reasons[0]}
    blocks = [_text(what), {"type": "input", "block_id": REASON, "label": _plain("Why"), "element": radio}]
    return _modal(origin, "close", "Close incident", "Close", blocks)


def message_modal(text: str) -> View:
    """A dialog that only says something."""
    return {"type": "modal", "title": _plain("Relink"), "close": _plain("OK"), "blocks": [_text(text)]}


def submitted(view: View) -> dict[str, str | None]:
    """What was entered, by block id."""
    values: dict[str, dict[str, Any]] = view["state"]["values"]
    return {block: _value(next(iter(elements.values()))) for block, elements in values.items() if elements}


def _value(element: dict[str, Any]) -> str | None:
    if chosen := element.get("selected_option"):
        return str(chosen["value"])
    moment = element.get("selected_date_time")  # seconds since 1970
    return str(moment) if moment is not None else element.get("value")


def _mail_so_far(view: IncidentView, now: datetime) -> str:
    mail = view.customer_mail
    if mail is None:
        return "Nothing was sent to the customer yet."
    to = for_slack(one_line(mail.name or "the technical contact", 80))
    if mail.held_until and mail.held_until > now:
        return f"A mail to {to} waits, because they were written to a moment ago. Sending it now does not wait."
    if mail.status == "sent" and mail.sent_at:
        opened = f"opened {phrases.ago(mail.opened_at, now)}" if mail.opened_at else "not opened yet"
        return f"Sent to {to} {phrases.ago(mail.sent_at, now)}, {opened}."
    states = {
        "pending": f"A mail to {to} is on its way.",
        "sending": f"A mail to {to} is on its way.",
        "failed": f"The mail to {to} could not be delivered.",
        "unknown": f"We can't tell whether the mail to {to} arrived.",
    }
    return states.get(mail.status, f"The mail to {to} was not sent.")


def _recipient(contacts: Sequence[Person]) -> list[View]:
    reachable = [(str(c.id), phrases.introduced(c) or "") for c in contacts if c.id and c.email][:100]
    blocks: list[View] = []
    if reachable:
        options = [_option(id_, label) for id_, label in reachable]
        select = {"type": "static_select", "action_id": CONTACT, "options": options, "initial_option": options[0]}
        blocks.append({"type": "input", "block_id": CONTACT, "label": _plain("To"), "element": select})
        blocks.append(_text("Or to somebody new, who is added to the customer's technical contacts:"))
    else:
        blocks.append(_text("This customer has no technical contact with an address. Add one:"))
    blocks.append(_input(EMAIL, "Email", optional=bool(reachable)))
    return [*blocks, _input(NAME, "Name", optional=True)]


def _modal(origin: Origin, callback: str, title: str, submit: str, blocks: list[View]) -> View:
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": origin.dump(),
        "title": _plain(title),
        "submit": _plain(submit),
        "close": _plain("Cancel"),
        "blocks": blocks,
    }


def _input(name: str, label: str, *, optional: bool) -> View:
    element = {"type": "plain_text_input", "action_id": name, "max_length": 200}
    return {"type": "input", "block_id": name, "optional": optional, "label": _plain(label), "element": element}


def _option(value: str, label: str) -> View:
    return {"value": value, "text": _plain(one_line(label, _LABEL))}


def _plain(text: str) -> View:
    return {"type": "plain_text", "text": text}


def _text(text: str) -> View:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
