"""What a named person decides: fixed, no longer used, a false alarm; and the removal of the integration."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.workflows.account import Account
from tests.workflows.world import SLACK_ALERT, World
from workflows.contracts import Resolution

BY_HAND = [Resolution.NO_LONGER_USED, Resolution.FALSE_ALARM]


async def test_fixed_is_verified_where_a_monitor_exists(world: World, account: Account) -> None:
    """A person's word starts a check; what the check finds broken stays open, and the thread says so."""
    await account.revoke()
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident, "person")
        await world.until_timeline(incident, "check_failed")
        assert (await world.row(incident))["status"] == "open"
        await account.reconnect(world.pool)
        await world.hint(incident, "person")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "verified"


async def test_where_nothing_can_be_checked_no_check_is_told(world: World) -> None:
    """Without a monitor, "I have reconnected it" is neither believed nor said to have been checked."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident)
        await world.until_timeline(incident, "hint_unverified")
        await world.until_timeline(incident, "notice_sent", 3)
    assert "check_failed" not in await world.timeline(incident)
    [note] = world.thread()
    assert "No monitor of ours can check" in note
    assert "still broken" not in note


@pytest.mark.history
async def test_fixed_without_a_monitor_is_a_named_persons_word(world: World) -> None:
    """It counts as evidence, and still has to hold for the quiet window."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident, "person")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"
    assert await world.value("select health_score from customers") == 82
    notes = "select distinct recipient from deliveries where template = 'integration_disconnected_note'"
    assert await world.value(notes) == "maria@vendor.example"
    recovering, resolved = [said for said in world.thread() if "Maria Lopez" in said]
    assert "Maria Lopez says that it works again" in recovering
    assert "Fixed by: Maria Lopez" in resolved
    assert "Maria Lopez said so, and nothing failed since; no monitor of ours checks it" in resolved


async def test_a_relapse_takes_back_whose_doing_it_was(world: World) -> None:
    """Vouched for, failed again, and then it came back: nobody is credited with a repair that did not hold."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident, "person")
        await world.until_timeline(incident, "recovering")
        await world.say("auth_failure")
        await world.until_timeline(incident, "relapsed")
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering", 2)
        await world.pass_time(incident, timedelta(minutes=21))
        assert (await world.result(incident))["resolution"] == "reported"
    resolved = world.thread()[-1]
    assert "Fixed by: the customer, as it seems; nobody told us" in resolved
    assert "it was reported as working, and nothing failed since" in resolved


@pytest.mark.history
@pytest.mark.parametrize("resolution", BY_HAND)
async def test_closing_by_hand_ends_everything_and_mutes(world: World, resolution: Resolution) -> None:
    """Task cancelled, score given back, message edited, customer not mailed again; no new incident until a success."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.close_by_hand(incident, resolution)
        assert (await world.result(incident))["resolution"] == resolution
        assert await world.value("select status from tasks") == "cancelled"
        assert await world.value("select status from risk_signals") == "resolved"
        assert await world.value("select health_score from customers") == 82
        assert len(world.mails_to("bob@techcorp.example")) == 1
        assert await world.notes(incident) == ["closed"]
        assert (await world.say("auth_failure")).incident is None
        await world.say("sync_succeeded")
        again = await world.say("auth_failure")
        assert again.incident not in {None, incident}
    row = await world.row(incident)
    assert (row["status"], row["resolution"], row["closed_by"]) == ("closed", resolution, "maria@vendor.example")


async def test_closing_by_hand_while_recovering(world: World) -> None:
    """From any state: also while a recovery is held."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.close_by_hand(incident, Resolution.FALSE_ALARM)
        assert (await world.result(incident))["resolution"] == "false_alarm"


async def test_closing_by_hand_before_anybody_was_told(world: World) -> None:
    """Closed inside the hold window: nobody hears of it at all, neither by Slack nor by mail."""
    world.set_policy(notify={"hold": "10m"})
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "confirmed")
        await world.until_waiting(incident)
        await world.close_by_hand(incident, Resolution.FALSE_ALARM)
        assert (await world.result(incident))["resolution"] == "false_alarm"
    assert world.posted() == []
    assert world.inbox.messages() == []


@pytest.mark.history
async def test_removing_the_integration_cancels_its_incident(world: World) -> None:
    """Cancelled, task too, score given back, message edited, said in the thread, history kept; later events are
    stored without effect."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.remove()
        assert (await world.result(incident))["resolution"] == "removed"
        later = await world.say("auth_failure")
        assert later.incident is None
    row = await world.row(incident)
    assert (row["status"], row["resolution"]) == ("cancelled", "removed")
    assert await world.value("select status from tasks") == "cancelled"
    assert await world.value("select health_score from customers") == 82
    assert await world.notes(incident) == ["removed"]
    assert ("slack", SLACK_ALERT, "sent") in await world.deliveries(incident)
    assert await world.value("select count(*) from integration_events") == 2
    assert await world.value("select count(*) from incidents") == 1


@pytest.mark.parametrize("event", ["closed by hand", "removed"])
async def test_ended_while_people_are_being_told(world: World, event: str) -> None:
    """Ended before the first step ran: what has not gone out is suppressed, no task, no score, no open risk signal."""
    incident = await world.disconnect()
    if event == "removed":
        await world.remove()
    else:
        await world.close_by_hand(incident, Resolution.FALSE_ALARM)
    async with world.make_worker():
        await world.result(incident)
    assert world.posted() == []
    assert world.inbox.messages() == []
    assert await world.value("select count(*) from tasks") == 0
    assert await world.value("select count(*) from risk_signals where status = 'open'") == 0
    assert await world.value("select health_score from customers") == 82
