"""Slack on a bad day: retried, found again, or told another way; every outcome is a row."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from starter.embedded.slack import Failure
from tests.workflows.world import SLACK_ALERT, World

POST = "chat.postMessage"


async def _alerted(world: World) -> UUID:
    incident = await world.disconnect()
    await world.until_timeline(incident, "informed")
    return incident


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure(method=POST, http_status=429, retry_after=30), "ratelimited"),
        (Failure(method=POST, http_status=500), "internal_error"),
        (Failure(method=POST, error="internal_error"), "internal_error"),
        (Failure(method=POST, error="service_unavailable"), "service_unavailable"),
        (Failure(method="conversations.open", error="fatal_error"), "fatal_error"),
        (Failure(method="users.lookupByEmail", http_status=429, retry_after=30), "ratelimited"),
    ],
    ids=str,
)
async def test_what_passes_by_itself_is_tried_again(world: World, failure: Failure, error: str) -> None:
    """Put back with the error in its row; then sent once. The other notices did not wait for it."""
    world.slack.fail(failure)
    async with world.make_worker():
        incident = await _alerted(world)
        waiting = await world.until_delivery(incident, SLACK_ALERT, "slack", "pending")
        assert (waiting["error"], waiting["attempts"]) == (error, 1)
        assert len(world.mails_to("bob@techcorp.example")) == 1
        await world.pass_time(incident, timedelta(seconds=31))
        sent = await world.until_delivery(incident, SLACK_ALERT, "slack", "sent")
    assert (sent["attempts"], sent["error"]) == (2, None)
    assert len(world.alerts()) == 1


async def test_retry_after_is_honoured(world: World) -> None:
    """Not a second before the time that Slack named."""
    world.slack.fail(Failure(method=POST, http_status=429, retry_after=120))
    async with world.make_worker():
        incident = await _alerted(world)
        await world.until_waiting(incident)
        await world.pass_time(incident, timedelta(seconds=110))
        await world.until_waiting(incident)
        assert world.alerts() == []
        await world.pass_time(incident, timedelta(seconds=11))
        await world.until_delivery(incident, SLACK_ALERT, "slack", "sent")


async def test_a_message_whose_answer_was_lost_is_found_again(world: World) -> None:
    """Slack stored it and the connection broke: found by its delivery key, so that the CSM sees one message."""
    world.slack.fail(Failure(method=POST, drop=True))
    async with world.make_worker():
        incident = await _alerted(world)
        await world.until_delivery(incident, SLACK_ALERT, "slack", "pending")
        await world.pass_time(incident, timedelta(seconds=5))
        sent = await world.until_delivery(incident, SLACK_ALERT, "slack", "sent")
    (alert,) = world.alerts()
    assert sent["external_id"].endswith(alert["ts"])
    assert len(world.posted()) == 1


async def test_a_reply_whose_answer_was_lost_is_found_again(world: World) -> None:
    """The same for lines of the thread."""
    async with world.make_worker():
        incident = await _alerted(world)
        world.slack.fail(Failure(method=POST, drop=True))
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.until_waiting(incident)
        await world.pass_time(incident, timedelta(seconds=5))
        await world.until_delivery(incident, "integration_disconnected_note", "slack", "sent")
    assert len(world.thread()) == 1


@pytest.mark.history
@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked"])
async def test_a_dead_token_falls_back_to_email(world: World, error: str) -> None:
    """Slack will never take it: the CSM is mailed at once, and the timeline says why; the end comes by mail too."""
    world.slack.fail(Failure(method="*", error=error, times=1000))
    async with world.make_worker():
        incident = await _alerted(world)
        await world.until_delivery(incident, SLACK_ALERT, "email", "sent")
        assert (await world.until_delivery(incident, SLACK_ALERT, "slack", "failed"))["error"] == error
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        await world.result(incident)
    failed = await world.told_of(incident, "notice_failed")
    assert [(f["channel"], f["template"], f["error"]) for f in failed] == [("slack", SLACK_ALERT, error)]
    assert len(world.mails_to("maria@vendor.example")) == 2
    assert (await world.row(incident))["alerted_at"] is not None


@pytest.mark.parametrize("error", ["channel_not_found", "restricted_action"])
async def test_a_message_that_slack_refuses_goes_by_email(world: World, error: str) -> None:
    """One refused message is no reason not to tell the person."""
    world.slack.fail(Failure(method=POST, error=error))
    async with world.make_worker():
        incident = await _alerted(world)
        await world.until_delivery(incident, SLACK_ALERT, "email", "sent")
    assert len(world.mails_to("maria@vendor.example")) == 1
    assert world.alerts() == []


async def test_a_csm_who_is_not_in_slack_is_mailed(world: World) -> None:
    """No Slack id and no Slack user under that address: email, said in the timeline."""
    await world.pool.execute("update people set email = 'noslack.maria@vendor.example' where role = 'csm'")
    async with world.make_worker():
        incident = await _alerted(world)
        await world.until_delivery(incident, SLACK_ALERT, "email", "sent")
    (failed,) = await world.told_of(incident, "notice_failed")
    assert failed["error"] == "no Slack user has this address"
    assert len(world.mails_to("noslack.maria@vendor.example")) == 1


async def test_without_a_bot_token_everybody_is_mailed(world: World) -> None:
    """Slack is optional."""
    world.settings = world.settings.model_copy(update={"slack_bot_token": None})
    async with world.make_worker():
        incident = await _alerted(world)
        await world.until_delivery(incident, SLACK_ALERT, "email", "sent")
    assert world.slack.calls() == []
    assert await world.delivery(incident, SLACK_ALERT, "slack") is None


async def test_slack_down_for_over_ten_minutes(world: World) -> None:
    """Then the news goes by mail; Slack is not waited for any longer, and the ladder starts with that mail."""
    world.slack.fail(Failure(method="*", http_status=503, times=1000))
    async with world.make_worker():
        incident = await _alerted(world)
        await world.until_waiting(incident)
        await world.pass_time(incident, timedelta(minutes=9))
        await world.until_waiting(incident)
        assert world.mails_to("maria@vendor.example") == []
        await world.pass_time(incident, timedelta(minutes=3))
        await world.until_delivery(incident, SLACK_ALERT, "email", "sent")
    failed = await world.until_delivery(incident, SLACK_ALERT, "slack", "failed")
    assert 5 <= failed["attempts"] <= 20
    assert len(world.mails_to("maria@vendor.example")) == 1


@pytest.mark.history
async def test_an_edit_that_fails_holds_nothing_up(world: World) -> None:
    """The message can't be edited for a while: the response goes on, and the last edit is not given up."""
    async with world.make_worker():
        incident = await _alerted(world)
        world.slack.fail(Failure(method="chat.update", http_status=500, times=9))
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=12))
        assert (await world.result(incident))["resolution"] == "reported"
    assert "Restored" in world.alerts()[0]["text"]


async def test_a_message_that_was_deleted_is_not_edited(world: World) -> None:
    """It will never be there again: nothing to wait for."""
    async with world.make_worker():
        incident = await _alerted(world)
        world.slack.fail(Failure(method="chat.update", error="message_not_found", times=100))
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"
