"""A call with a customer: the times that are proposed, and the invitation that calendar programs understand
(iCalendar, RFC 5545, by mail as RFC 6047 says).

One proposed time is an invitation to accept or decline. Several are a list in the mail and no invitation: calendar
programs show one event a mail, and five tentative ones would have to be removed again by hand from two calendars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from icalendar import Calendar, Event, vCalAddress

from activities.rendering_safety import one_line

MOST_TIMES = 5
SHORTEST, LONGEST, USUAL = 5, 480, 30  # minutes
_FARTHEST = timedelta(days=366)


@dataclass(frozen=True)
class Proposal:
    """Times to choose from (aware, in the order in which they are to be shown), and how long the call takes."""

    times: tuple[datetime, ...]
    minutes: int = USUAL

    def wrong(self, now: datetime) -> str | None:
        """What is wrong with the times, as a sentence for people."""
        if not 1 <= len(self.times) <= MOST_TIMES:
            return f"give 1 to {MOST_TIMES} times"
        if len(set(self.times)) != len(self.times):
            return "give each time once"
        if not all(now < at <= now + _FARTHEST for at in self.times):
            return "give times in the future, at most a year ahead"
        if not SHORTEST <= self.minutes <= LONGEST:
            return f"a call takes {SHORTEST} to {LONGEST} minutes"
        return None

    def dump(self) -> dict[str, Any]:
        """For the details of a delivery."""
        return {"times": [at.isoformat() for at in self.times], "minutes": self.minutes}

    @classmethod
    def load(cls, details: Mapping[str, Any]) -> Proposal | None:
        """What `dump` wrote; None if no times were proposed."""
        if not details.get("times"):
            return None
        return cls(tuple(datetime.fromisoformat(at) for at in details["times"]), int(details["minutes"]))


@dataclass(frozen=True)
class Attendee:
    name: str | None
    email: str


def invitation(
    *,
    uid: str,
    stamped: datetime,
    starts: datetime,
    minutes: int,
    summary: str,
    description: str,
    organizer: Attendee,
    attendee: Attendee,
    sent_by: str,
) -> str:
    """METHOD:REQUEST for one event, the same text however often it is made. Times are UTC, so no zone is described."""
    event = Event()
    event.add("uid", uid)
    event.add("sequence", 0)
    event.add("dtstamp", stamped)
    event.add("dtstart", starts)
    event.add("dtend", starts + timedelta(minutes=minutes))
    event.add("summary", summary)
    event.add("description", description)
    event.add("status", "CONFIRMED")
    event.add("transp", "OPAQUE")
    event.add(
        "organizer", _address(organizer, **({"SENT-BY": f"mailto:{sent_by}"} if sent_by != organizer.email else {}))
    )
    rsvp = {"ROLE": "REQ-PARTICIPANT", "PARTSTAT": "NEEDS-ACTION", "RSVP": "TRUE"}
    event.add("attendee", _address(attendee, **rsvp))
    calendar = Calendar()
    calendar.add("prodid", "-//Relink//Tech call//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "REQUEST")
    calendar.add_component(event)
    return bytes(calendar.to_ical()).decode()


def attach(message: EmailMessage, calendar: str) -> None:
    """As an alternative, which mail programs show with buttons, and as a file for those that do not."""
    message.add_alternative(calendar, subtype="calendar", params={"method": "REQUEST"})
    message.add_attachment(calendar.encode(), maintype="application", subtype="ics", filename="invitation.ics")


def _address(who: Attendee, **parameters: str) -> vCalAddress:
    address = vCalAddress(f"mailto:{who.email}")
    for name, value in {"CN": one_line(who.name or who.email, 80), **parameters}.items():
        address.params[name] = value
    return address
