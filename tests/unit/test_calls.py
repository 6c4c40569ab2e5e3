"""The invitation to a call, read back by a calendar library and by a mail parser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from icalendar import Calendar

from activities.calls import Attendee, Proposal, attach, invitation
from tests.unit.test_rendering_hostile import HOSTILE

NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)


def _made(name: str = "Bob Smith", organizer: str = "Dana Kim") -> str:
    return invitation(
        uid="abc@acme.example",
        stamped=NOON - timedelta(days=1),
        starts=NOON,
        minutes=45,
        summary="A short call to fix your Salesforce integration",
        description="Hi Bob,\n\nWe suggest a call; bring an administrator, please.\n",
        organizer=Attendee(organizer, "dana@acme.example"),
        attendee=Attendee(name, "bob@techcorp.example"),
        sent_by="integrations@acme.example",
    )


def test_a_calendar_program_reads_what_is_needed() -> None:
    """RFC 5546 REQUEST: who invites whom, when, in UTC; the answer goes to the CSM; always the same text."""
    text = _made()
    assert text == _made()
    calendar = Calendar.from_ical(text)
    assert (str(calendar["METHOD"]), str(calendar["VERSION"])) == ("REQUEST", "2.0")
    (event,) = calendar.walk("VEVENT")
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (NOON, NOON + timedelta(minutes=45))
    assert str(event["UID"]) == "abc@acme.example"
    assert str(event["ORGANIZER"]) == "mailto:dana@acme.example"
    assert event["ORGANIZER"].params["SENT-BY"] == "mailto:integrations@acme.example"
    assert str(event["ATTENDEE"]) == "mailto:bob@techcorp.example"
    assert event["ATTENDEE"].params["RSVP"] == "TRUE"
    assert "bring an administrator" in event["DESCRIPTION"]


def test_lines_are_those_of_the_format() -> None:
    """CRLF, at most 75 octets (RFC 5545 section 3.1), whatever a name is made of."""
    text = _made("ü" * 200)
    assert text.count("\n") == text.count("\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_add_no_line(name: str) -> None:
    (event,) = Calendar.from_ical(_made(name, name)).walk("VEVENT")
    (harmless,) = Calendar.from_ical(_made()).walk("VEVENT")
    assert set(event) == set(harmless)
    assert str(event["ATTENDEE"]) == "mailto:bob@techcorp.example"


def test_in_a_mail_it_is_an_alternative_and_a_file() -> None:
    """Mail programs look for text/calendar with its method (RFC 6047); others offer the file."""
    message = EmailMessage()
    message["Subject"] = "A call"
    message.set_content("text")
    message.add_alternative("<p>text</p>", subtype="html")
    attach(message, _made())
    parsed = message_from_bytes(message.as_bytes(policy=policy.SMTP), policy=policy.SMTP)
    kinds = [part.get_content_type() for part in parsed.walk()]
    assert kinds == [
        *("multipart/mixed", "multipart/alternative", "text/plain", "text/html"),
        *("text/calendar", "application/ics"),
    ]
    calendar, file = list(parsed.walk())[-2:]
    assert calendar.get_param("method") == "REQUEST"
    assert file.get_filename() == "invitation.ics"
    assert Calendar.from_ical(calendar.get_content())["METHOD"] == "REQUEST"
    assert Calendar.from_ical(file.get_content())["METHOD"] == "REQUEST"


@pytest.mark.parametrize(
    ("times", "wrong"),
    [
        ((NOON,), None),
        ((NOON, NOON + timedelta(hours=1)), None),
        ((), "1 to 5"),
        ((NOON,) * 2, "once"),
        ((NOON - timedelta(days=2),), "future"),
        ((NOON + timedelta(days=400),), "a year"),
    ],
)
def test_which_times_can_be_meant(times: tuple[datetime, ...], wrong: str | None) -> None:
    said = Proposal(times).wrong(NOON - timedelta(hours=1))
    assert (said is None) if wrong is None else wrong in str(said)


def test_a_proposal_is_kept_as_it_is() -> None:
    proposal = Proposal((NOON, NOON + timedelta(hours=1)), 45)
    assert Proposal.load(proposal.dump()) == proposal
    assert Proposal.load({"asked": True}) is None
