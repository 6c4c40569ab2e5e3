"""Several broken integrations of one customer are one mail; and a contact is not written to more often than allowed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from starter.embedded.inbox import Failure
from tests.workflows.breaking import ANN, BOB, broken, first_mails, links_in, told_of
from tests.workflows.world import World
from workflows.contracts import Resolution

HOLD = timedelta(minutes=15, seconds=1)
REMINDER = "integration_disconnected_reminder"


async def _informed(world: World, *incidents: UUID) -> None:
    for incident in incidents:
        await world.until_timeline(incident, "informed")


async def _breaks(world: World, name: str) -> UUID:
    (incident,) = await broken(world, name)
    await _informed(world, incident)
    return incident


async def _held(world: World, *names: str) -> list[UUID]:
    """More integrations break, one after the other; Bob was just written to."""
    incidents = [await _breaks(world, name) for name in names]
    for incident in incidents:
        await world.until_waiting(incident)
    return incidents


async def _ring(world: World, *incidents: UUID) -> None:
    """What the reconciler does."""
    for incident in incidents:
        await world.ring.incident(incident)


async def test_three_at_the_same_time_are_one_mail_at_once(world: World) -> None:
    """Within seconds; each with its fix and its own link; each row says what happened, and each CSM thread too."""
    async with world.make_worker():
        incidents = await broken(world, "hubspot", "zendesk", "notion")
        await _informed(world, *incidents)
        await world.until(lambda: _mails(world, BOB))
        (mail,) = world.mails_to(BOB)
        await _ring(world, *incidents)
        for incident in incidents:
            await world.until_waiting(incident)
    assert mail.subject == "Action Required: 3 of your integrations need reauthorization"
    assert sorted(told_of(mail)) == ["HubSpot", "Notion", "Zendesk"]
    assert len(links_in(mail)) == 3
    rows = await first_mails(world, incidents)
    (lead,) = [i for i, (_, status, _) in enumerate(rows) if status == "sent"]
    assert [row for i, row in enumerate(rows) if i != lead] == [("bob", "suppressed", f"with {lead}")] * 2
    for i, incident in enumerate(incidents):
        lines = [line for line in await world.told_of(incident, "notice_sent") if line["channel"] == "email"]
        assert len(lines) == 1
        assert len(lines[0]["together_with"]) == 2 if i == lead else "told_with" in lines[0]
        assert (await world.row(incident))["alerted_at"] is not None
        assert await world.notes(incident) == ([] if i == lead else ["mail_sent"])
    assert len(world.inbox.messages()) == 1


async def _mails(world: World, address: str) -> list[object]:
    return list(world.mails_to(address))


async def test_one_alone_is_mailed_at_once(world: World) -> None:
    """PRD-101 section 5.2: nothing waits for company that is not there."""
    async with world.make_worker():
        incident = await _breaks(world, "hubspot")
    assert await first_mails(world, [incident]) == [("bob", "sent", None)]
    assert told_of(world.mails_to(BOB)[0]) == ["HubSpot"]


async def test_company_that_never_comes_is_waited_for_fifteen_seconds(world: World) -> None:
    """Another one has failed too, but its response has not begun: the first goes alone, as the ordinary mail."""
    async with world.make_worker():
        first, second = await broken(world, "hubspot", "zendesk", ring=False)
        await world.ring.incident(first)
        await _informed(world, first)
        await world.until_waiting(first)
        assert await first_mails(world, [first]) == [("bob", "pending", None)]
        await world.pass_time(first, timedelta(seconds=16))
        await world.until_timeline(first, "notice_sent", 2)
    assert await first_mails(world, [first, second]) == [("bob", "sent", None)]
    assert told_of(world.mails_to(BOB)[0]) == ["HubSpot"]
    (held,) = await world.told_of(first, "notice_held")
    assert held["rule"].startswith("customer.group_within")


async def test_what_breaks_after_a_mail_is_held_and_told_together(world: World) -> None:
    """For min_between_mails; the CSMs are told that it waits, and when it went out."""
    async with world.make_worker():
        first = await _breaks(world, "hubspot")
        second, third = await _held(world, "zendesk", "notion")
        assert [row[1] for row in await first_mails(world, [first, second, third])] == ["sent", "pending", "pending"]
        (line,) = await world.told_of(second, "notice_held")
        assert line["rule"].startswith("customer.min_between_mails")
        assert await world.notes(second) == ["mail_held"]
        await world.pass_time(second, HOLD)
        await world.until_timeline(second, "notice_sent", 3)
        await _ring(world, third)
        await world.until_timeline(third, "notice_sent", 4)
    assert await first_mails(world, [first, second, third]) == [
        ("bob", "sent", None),
        ("bob", "sent", None),
        ("bob", "suppressed", "with 1"),
    ]
    ordinary, together = world.mails_to(BOB)
    assert (told_of(ordinary), sorted(told_of(together))) == (["HubSpot"], ["Notion", "Zendesk"])
    assert links_in(together).isdisjoint(links_in(ordinary))
    assert await world.notes(third) == ["mail_held", "mail_sent"]


async def test_one_that_is_alone_when_the_hold_ends_gets_the_ordinary_mail(world: World) -> None:
    async with world.make_worker():
        await _breaks(world, "hubspot")
        (second,) = await _held(world, "zendesk")
        await world.pass_time(second, HOLD)
        await world.until_timeline(second, "notice_sent", 3)
    assert [told_of(mail) for mail in world.mails_to(BOB)] == [["HubSpot"], ["Zendesk"]]


async def test_what_recovers_meanwhile_is_left_out(world: World) -> None:
    """And what is over is settled at once: nothing waits for the end of the hold."""
    async with world.make_worker():
        await _breaks(world, "hubspot")
        recovers, ends, stays = await _held(world, "zendesk", "notion", "slack")
        await world.say("sync_succeeded", integration_type="zendesk", integration_id="zendesk")
        await world.until_timeline(recovers, "recovering")
        await world.close_by_hand(ends, Resolution.NO_LONGER_USED)
        await world.result(ends)
        await world.pass_time(stays, HOLD)
        await world.until_timeline(stays, "notice_sent", 3)
        await world.pass_time(recovers, timedelta(minutes=11))
        assert (await world.result(recovers))["resolution"] == "reported"
    assert await first_mails(world, [recovers, ends, stays]) == [
        ("bob", "suppressed", None),
        ("bob", "suppressed", None),
        ("bob", "sent", None),
    ]
    assert [told_of(mail) for mail in world.mails_to(BOB)] == [["HubSpot"], ["Slack"]]
    assert {"the incident is over"} == {line["rule"] for line in await world.told_of(ends, "notice_suppressed")}


async def test_what_recovers_and_relapses_is_told(world: World) -> None:
    """It waited for what would become of it; then the ordinary rules apply again."""
    async with world.make_worker():
        await _breaks(world, "hubspot")
        (second,) = await _held(world, "zendesk")
        about = {"integration_type": "zendesk", "integration_id": "zendesk"}
        await world.say("sync_succeeded", **about)
        await world.until_timeline(second, "recovering")
        await world.say("auth_failure", **about)
        await world.until_timeline(second, "relapsed")
        await world.until_waiting(second)
        assert await first_mails(world, [second]) == [("bob", "pending", None)]
        await world.pass_time(second, HOLD)
        await world.until_timeline(second, "notice_sent", 3)
    assert [told_of(mail) for mail in world.mails_to(BOB)] == [["HubSpot"], ["Zendesk"]]


@pytest.mark.parametrize("stage", ["rcpt", "data"])
async def test_a_bounce_of_a_mail_about_several_goes_to_the_next_contact_together(world: World, stage: str) -> None:
    """Each incident's row failed; one mail to Ann tells of them all; each CSM's thread says so."""
    async with world.make_worker():
        await _breaks(world, "hubspot")
        second, third = await _held(world, "zendesk", "notion")
        world.inbox.fail(Failure(stage=stage, code=550, text="no such user"))
        await world.pass_time(second, HOLD)
        await world.until_timeline(second, "notice_failed")
        await _ring(world, third)
        await world.until(lambda: _mails(world, ANN))
        await _ring(world, second, third)
        await world.until_waiting(second)
        await world.until_waiting(third)
    rows = await first_mails(world, [second, third])
    assert [row[:2] for row in rows if row[0] == "bob"] == [("bob", "failed")] * 2
    assert sorted(row[1] for row in rows if row[0] == "ann") == ["sent", "suppressed"]
    (mail,) = world.mails_to(ANN)
    assert sorted(told_of(mail)) == ["Notion", "Zendesk"]
    for incident in (second, third):
        assert "mail_failed" in await world.notes(incident)
        assert await world.value(
            "select bool_and(status <> 'pending') from deliveries where incident_id = $1", incident
        )


async def test_when_every_address_bounces_each_csm_hears_it(world: World) -> None:
    world.inbox.fail(Failure(stage="rcpt", code=550, times=2))
    async with world.make_worker():
        incidents = await broken(world, "hubspot", "zendesk")
        await _informed(world, *incidents)
        for incident in incidents:
            await world.until_timeline(incident, "notice_failed", 2)
            await _ring(world, *incidents)
    assert {status for _, status, _ in await first_mails(world, incidents)} == {"failed"}
    for incident in incidents:
        assert (await world.notes(incident)).count("mail_failed") == 2
    assert world.inbox.messages() == []


async def test_a_busy_mail_server_collects_what_breaks_meanwhile(world: World) -> None:
    """The first mail was put back and has not left us: what breaks now joins it."""
    world.inbox.fail(Failure(stage="rcpt", code=451, text="later"))
    async with world.make_worker():
        first = await _breaks(world, "hubspot")
        (second,) = await _held(world, "zendesk")
        assert [row[1] for row in await first_mails(world, [first, second])] == ["pending", "pending"]
        await world.pass_time(first, timedelta(seconds=6))
        await world.until_timeline(first, "notice_sent", 2)
    (mail,) = world.mails_to(BOB)
    assert sorted(told_of(mail)) == ["HubSpot", "Zendesk"]
    assert await first_mails(world, [first, second]) == [("bob", "sent", None), ("bob", "suppressed", "with 0")]


async def test_a_lead_that_ends_before_its_mail_left_lets_the_others_go(world: World) -> None:
    """They were to be told of by a mail that is not sent: they are told of by themselves."""
    world.inbox.fail(Failure(stage="rcpt", code=451, times=2))
    async with world.make_worker():
        first = await _breaks(world, "hubspot")
        (second,) = await _held(world, "zendesk")
        await world.pass_time(first, timedelta(seconds=6))
        await world.until(lambda: _is_along(world, second))
        await world.close_by_hand(first, Resolution.FALSE_ALARM)
        await world.result(first)
        assert await first_mails(world, [first, second]) == [("bob", "suppressed", None), ("bob", "pending", None)]
        await _ring(world, second)
        await world.until(lambda: _mails(world, BOB))
    assert [told_of(mail) for mail in world.mails_to(BOB)] == [["Zendesk"]]


async def _is_along(world: World, incident: UUID) -> object:
    return await world.value("select told_with from deliveries where incident_id = $1 and channel = 'email'", incident)


async def test_what_a_person_sends_does_not_wait_but_counts(world: World) -> None:
    """Send Fix Instructions goes at once, and replaces the mail that is held; what breaks then is held after it."""
    async with world.make_worker():
        await _breaks(world, "hubspot")
        (second,) = await _held(world, "zendesk")
        assert await world.actions.send_fix_instructions(second, "maria@vendor.example")
        assert not await world.actions.send_fix_instructions(second, "maria@vendor.example")
        await _ring(world, second)
        await world.until(lambda: _two_mails(world))
        await world.pass_time(second, HOLD)
        await world.until_timeline(second, "notice_suppressed")
        await world.pool.execute("update deliveries set sent_at = sent_at - interval '16 minutes' where error is null")
        await world.pool.execute("update deliveries set sent_at = now() where details ? 'asked'")
        (third,) = await _held(world, "notion")
    assert await first_mails(world, [second, third]) == [
        ("bob", "suppressed", None),
        ("bob", "sent", None),
        ("bob", "pending", None),
    ]
    (line,) = await world.told_of(second, "notice_suppressed")
    assert line["rule"].startswith("a person sent it meanwhile")


async def _two_mails(world: World) -> bool:
    return len(world.mails_to(BOB)) == 2


async def test_another_customers_contact_is_not_concerned(world: World) -> None:
    async with world.make_worker():
        await _breaks(world, "hubspot")
        other = await world.value("insert into customers (external_id, name) values ('other', 'Other') returning id")
        await world.pool.execute(
            "insert into people (customer_id, role, name, email) values ($1, 'technical_contact', 'Ida', $2)",
            other,
            "ida@other.example",
        )
        outcome = await world.say(
            "auth_failure", customer_external_id="other", integration_type="zendesk", integration_id="z"
        )
        assert outcome.incident is not None
        await _informed(world, outcome.incident)
    assert len(world.mails_to("ida@other.example")) == 1


async def test_it_can_be_switched_off(world: World) -> None:
    """`min_between_mails = "0s"` and `group_within = "0s"`: each incident is mailed at once, as if it were alone."""
    world.set_policy(customer={"min_between_mails": "0s", "group_within": "0s"})
    async with world.make_worker():
        first, second = await broken(world, "hubspot", "zendesk")
        await _informed(world, first, second)
    assert await first_mails(world, [first, second]) == [("bob", "sent", None), ("bob", "sent", None)]


async def test_who_was_told_together_is_reminded_and_gets_the_all_clear(world: World) -> None:
    """A row that says `suppressed` counts as told, because its contact was: of each integration by itself."""
    async with world.make_worker():
        incidents = await broken(world, "hubspot", "zendesk")
        await _informed(world, *incidents)
        await _ring(world, *incidents)
        rows = await first_mails(world, incidents)
        along = next(i for i, (_, status, _) in zip(incidents, rows, strict=True) if status == "suppressed")
        await world.until_waiting(along)
        assert await world.actions.page_opened(along, await _bob(world))
        opened = "select opened_at from deliveries where incident_id = $1 and template like '%customer'"
        assert await world.value(opened, along) is not None
        await world.pass_time(along, timedelta(hours=24, seconds=1))
        await world.until_delivery(along, REMINDER, "email", "pending")  # for the other's, which is due by now
        await world.pass_time(along, timedelta(seconds=16))
        await world.until_delivery(along, REMINDER, "email", "sent")
        name = await world.value(
            "select integration_type from incidents i join integration_health h on h.id = i.integration_health_id"
            " where i.id = $1",
            along,
        )
        await world.say("sync_succeeded", integration_type=name, integration_id=name)
        await world.until_timeline(along, "recovering")
        await world.pass_time(along, timedelta(minutes=11))
        await world.result(along)
    subjects = [mail.subject for mail in world.mails_to(BOB)]
    assert [subject.partition(":")[0] for subject in subjects] == ["Action Required", "Reminder", "Resolved"]


async def test_reminders_of_several_are_one_mail(world: World) -> None:
    """What broke together is reminded of together, by the last whose time comes; each has its row and its line."""
    async with world.make_worker():
        incidents = await broken(world, "hubspot", "zendesk", "notion")
        await _informed(world, *incidents)
        await _ring(world, *incidents)
        for incident in incidents:
            await world.until_waiting(incident)
        *early, last = incidents
        for incident, status in (*((each, "pending") for each in early), (last, "sent")):
            await world.pass_time(incident, timedelta(hours=24, seconds=1))
            await world.until_delivery(incident, REMINDER, "email", status)
        for incident in early:
            along = await world.delivery(incident, REMINDER, "email")
            assert along is not None
            assert (along["status"], along["told_with"] is not None) == ("suppressed", True)
        thread = "select details from deliveries where details ->> 'kind' = 'mail_sent' and details ? 'reminder'"
        assert [row["details"]["reminder"] for row in await world.pool.fetch(thread)] == [1, 1]
    first, reminder = world.mails_to(BOB)
    assert reminder.subject == "Reminder: 3 of your integrations need reauthorization"
    assert sorted(told_of(reminder)) == sorted(told_of(first)) == ["HubSpot", "Notion", "Zendesk"]


async def test_a_reminder_that_waits_when_somebody_snoozes(world: World) -> None:
    """It goes out when that is over, not before, and with no other's either."""
    async with world.make_worker():
        first, second = await broken(world, "hubspot", "zendesk")
        await _informed(world, first, second)
        await _ring(world, first, second)
        await world.until_waiting(second)
        await world.pass_time(second, timedelta(hours=24, seconds=1))
        await world.until_delivery(second, REMINDER, "email", "pending")
        until = datetime.now(UTC) + timedelta(days=2)
        await world.actions.snooze(second, "maria@vendor.example", until)
        await world.pass_time(second, timedelta(seconds=16))
        await world.until_waiting(second)
        await world.pass_time(first, timedelta(hours=24, seconds=1))
        await world.until_delivery(first, REMINDER, "email", "sent")
        held = await world.delivery(second, REMINDER, "email")
        assert held is not None
        assert (held["status"], held["retry_at"], held["told_with"]) == ("pending", until, None)
        await world.pass_time(second, timedelta(days=1))
        await world.until_delivery(second, REMINDER, "email", "sent")
    assert len(world.mails_to(BOB)) == 3


async def test_a_reminder_that_waits_ends_with_its_incident(world: World) -> None:
    """Nothing is held up by a mail that would not be sent any more."""
    async with world.make_worker():
        first, second = await broken(world, "hubspot", "zendesk")
        await _informed(world, first, second)
        await _ring(world, first, second)
        await world.until_waiting(second)
        await world.pass_time(second, timedelta(hours=24, seconds=1))
        await world.until_delivery(second, REMINDER, "email", "pending")
        await world.close_by_hand(second, Resolution.NO_LONGER_USED)
        await world.result(second)
    assert (await world.delivery(second, REMINDER, "email") or {})["status"] == "suppressed"
    assert len(world.mails_to(BOB)) == 1


async def _bob(world: World) -> UUID:
    found: UUID = await world.value("select id from people where email = $1", BOB)
    return found
