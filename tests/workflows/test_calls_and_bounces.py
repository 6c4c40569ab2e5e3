"""What a person proposes and what comes back, through real mail: a call's invitation, and a bounce hours later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from icalendar import Calendar

from activities.bounces import Bounces
from activities.calls import Proposal
from activities.db.views import ViewLoader
from starter.embedded.inbox import Failure, Mail
from tests.workflows.breaking import ANN, BOB
from tests.workflows.world import CSM, CUSTOMER_MAIL, World

TECH_CALL = "tech_call_invitation"


async def _offered(world: World, *times: datetime) -> UUID:
    """Bob lives in Chicago; the CSM proposes these times."""
    await world.pool.execute("update people set timezone = 'America/Chicago' where email = $1", BOB)
    incident = await world.disconnect()
    await world.until_timeline(incident, "informed")
    assert await world.actions.schedule_tech_call(incident, CSM, None, Proposal(times, 30) if times else None)
    await world.ring.incident(incident)
    await world.until_delivery(incident, TECH_CALL, "email", "sent")
    await world.until_timeline(incident, "notice_sent", 4)
    return incident


def _calendars(mail: Mail) -> list[str]:
    return [part.get_content_type() for part in mail.message.walk() if "calendar" in part.get_content_type()]


def _at() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)


async def test_one_time_is_an_invitation_in_the_contacts_zone(world: World) -> None:
    """At once, whatever was mailed before: a person asked for it. The answer goes to the CSM; the thread says when."""
    when = _at()
    async with world.make_worker():
        await _offered(world, when)
    mail = world.mails_to(BOB)[-1]
    assert "America/Chicago" in mail.text
    assert "accept it" in mail.text
    (part,) = [part for part in mail.message.walk() if part.get_content_type() == "text/calendar"]
    assert part.get_param("method") == "REQUEST"
    (event,) = Calendar.from_ical(part.get_content()).walk("VEVENT")
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (when, when + timedelta(minutes=30))
    assert str(event["ORGANIZER"]) == f"mailto:{CSM}"
    assert str(event["ATTENDEE"]) == f"mailto:{BOB}"
    assert f"{event['UID']}" in mail.message["Message-ID"]
    (line,) = [text for text in world.thread() if "a call" in text]
    assert f"{when:%A}" in line
    assert f"{when:%Y} at" in line


async def test_several_times_are_a_list(world: World) -> None:
    """No invitation: a calendar program shows one event a mail."""
    when = _at()
    async with world.make_worker():
        await _offered(world, when, when + timedelta(hours=2))
    mail = world.mails_to(BOB)[-1]
    assert mail.text.count(f", {when:%Y} at ") == 2
    assert _calendars(mail) == []


async def test_a_lost_reply_leaves_one_copy_of_an_invitation(world: World) -> None:
    """As of every mail but a first notice; nobody gets two events."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        world.inbox.fail(Failure(stage="data"))
        assert await world.actions.schedule_tech_call(incident, CSM, None, Proposal((_at(),)))
        await world.ring.incident(incident)
        await world.until_delivery(incident, TECH_CALL, "email", "unknown")
    assert len(world.mails_to(BOB)) == 2


async def test_a_bounce_hours_later(world: World) -> None:
    """The same path as a refusal on the spot: the next contact is mailed, the CSM's thread and message say so."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
        key = await world.value(
            "select delivery_key from deliveries where incident_id = $1 and template = $2", incident, CUSTOMER_MAIL
        )
        bounces = Bounces(world.pool, ViewLoader(world.pool))
        assert await bounces.report(key, "mailbox bob@techcorp.example is full") == incident
        assert await bounces.report(key, "again") is None
        await world.ring.incident(incident)
        await world.until_timeline(incident, "notice_sent", 4)
    assert [len(world.mails_to(who)) for who in (BOB, ANN)] == [1, 1]
    assert [d[1:] for d in await world.deliveries(incident) if d[0] == "email"] == [
        (CUSTOMER_MAIL, "failed"),
        (CUSTOMER_MAIL, "sent"),
    ]
    (line,) = [text for text in world.thread() if "could not be delivered" in text]
    assert "Ann Lee" in line
    (failed,) = await world.told_of(incident, "notice_failed")
    assert (failed["bounced"], failed["error"]) == (True, "mailbox (address) is full")
