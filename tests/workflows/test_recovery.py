"""It works again, or so it seems: verified by a monitor, else reported by later evidence; held; or relapsed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.workflows.account import Account, give_monitor
from tests.workflows.world import CUSTOMER_MAIL, PATIENCE, SLACK_ALERT, World

ALL_CLEAR = "integration_reconnected_customer"
QUIET = timedelta(minutes=10)


@pytest.mark.history
async def test_reconnected_and_verified(world: World, account: Account) -> None:
    """The customer reconnects: our check verifies it, it holds for ten minutes, everybody hears, all is given back."""
    await account.revoke()
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        assert await world.value("select health_score from customers") == 72
        await account.reconnect(world.pool)
        await world.hint(incident)
        await world.until_timeline(incident, "recovering")
        assert (await world.row(incident))["status"] == "recovering"
        await world.pass_time(incident, QUIET + timedelta(seconds=1))
        assert (await world.result(incident))["resolution"] == "verified"
    row, health = await world.row(incident), await world.health()
    assert (row["status"], row["resolution"], row["evidence"]) == ("closed", "verified", "verified")
    assert (health["status"], health["failure_count"], health["failing_since"]) == ("healthy", 0, None)
    assert health["resolved_at"] is not None
    assert await world.value("select health_score from customers") == 82
    assert await world.value("select status from tasks") == "completed"
    assert await world.value("select status from risk_signals") == "resolved"
    assert len(world.mails_to("bob@techcorp.example")) == 2  # the fix, then the all-clear
    assert [text for text in world.thread() if "is working again" in text] != []
    assert "Restored" in world.alerts()[0]["text"]


@pytest.mark.history
async def test_a_failed_verification_stays_open_and_says_so(world: World, account: Account) -> None:
    """A callback claims a reconnection that did not happen: checked, not believed, said in the thread."""
    await account.revoke()
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident)
        await world.until_timeline(incident, "check_failed")
        await world.until_timeline(incident, "notice_sent", 3)
        await world.until_waiting(incident)
    assert (await world.row(incident))["status"] == "open"
    assert await world.value("select health_score from customers") == 72
    assert [text for text in world.thread() if "still broken" in text] != []
    assert len(world.mails_to("bob@techcorp.example")) == 1


async def test_an_event_is_only_a_hint_where_a_monitor_exists(world: World, account: Account) -> None:
    """A success of the product does not resolve what our own check finds broken."""
    await account.revoke()
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "check_failed")
    assert (await world.row(incident))["status"] == "open"


@pytest.mark.history
async def test_an_inconclusive_check_is_made_again_later(world: World, httpserver: HTTPServer) -> None:
    """Refused, then 503, then accepted: the 503 proves nothing either way, and a minute later we look again."""
    await give_monitor(world.pool, _monitor(httpserver))
    httpserver.expect_ordered_request("/token").respond_with_json({"error": "invalid_grant"}, status=400)
    httpserver.expect_ordered_request("/token").respond_with_data("overloaded", status=503)
    httpserver.expect_ordered_request("/token").respond_with_json({"access_token": "a", "token_type": "Bearer"})
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident)
        await world.until_timeline(incident, "check_inconclusive")
        await world.until_waiting(incident)
        assert (await world.row(incident))["status"] == "open"
        await world.pass_time(incident, timedelta(seconds=61))
        await world.until_timeline(incident, "recovering")
    assert len(httpserver.log) == 3


async def test_a_monitor_whose_provider_is_away_at_the_end_holds_a_little_longer(
    world: World, httpserver: HTTPServer
) -> None:
    """The last look can't tell: neither resolved nor reopened, but looked at again a little later."""
    await give_monitor(world.pool, _monitor(httpserver))
    httpserver.expect_ordered_request("/token").respond_with_json({"error": "invalid_grant"}, status=400)
    httpserver.expect_ordered_request("/token").respond_with_json({"access_token": "a"})
    httpserver.expect_ordered_request("/token").respond_with_data("overloaded", status=503)
    httpserver.expect_ordered_request("/token").respond_with_json({"access_token": "a"})
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident)
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, QUIET + timedelta(seconds=1))
        await world.until_timeline(incident, "check_inconclusive")
        await world.pass_time(incident, timedelta(minutes=3))
        assert (await world.result(incident))["resolution"] == "verified"
    assert (await world.row(incident))["relapses"] == 0


@pytest.mark.history
async def test_it_comes_back_by_itself(world: World) -> None:
    """Without a monitor a later success is evidence; the messages say that it was reported, not checked."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, QUIET + timedelta(seconds=1))
        assert (await world.result(incident))["resolution"] == "reported"
    health = await world.health()
    assert (health["status"], health["failure_count"]) == ("healthy", 0)
    assert await world.value("select health_score from customers") == 82
    (resolved,) = [text for text in world.thread() if "is working again" in text]
    assert "it was reported as working" in resolved


@pytest.mark.parametrize(
    "fields",
    [{"event_type": "reconnected"}, {"event_type": "integration_status_changed", "new_status": "healthy"}],
    ids=lambda fields: fields["event_type"],
)
async def test_other_evidence_without_a_monitor(world: World, fields: dict[str, str]) -> None:
    """So is a `reconnected` event, and `integration_status_changed` to healthy."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.say(**fields)
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, QUIET + timedelta(seconds=1))
        assert (await world.result(incident))["resolution"] == "reported"


@pytest.mark.history
async def test_a_relapse_reopens_the_same_incident_silently(world: World) -> None:
    """Inside the quiet window: one line in the thread, no new message, mail, task or score change; twice the window;
    the escalation clock runs on from the first notice."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        alerted = (await world.row(incident))["alerted_at"]
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        again = await world.say("auth_failure")
        assert again.incident == incident
        await world.until_timeline(incident, "relapsed")
        await world.until(lambda: _in_thread(world, "failed again"))
        await world.until_waiting(incident)
        row = await world.row(incident)
        assert (row["status"], row["number"], row["relapses"], row["occurrences"]) == ("open", 1, 1, 2)
        assert row["quiet_window"] == 2 * QUIET
        assert row["alerted_at"] == alerted
        assert len(world.alerts()) == 1
        assert len(world.mails_to("bob@techcorp.example")) == 1
        assert await world.value("select count(*) from tasks") == 1
        assert await world.value("select count(*) from health_score_adjustments") == 1
        await world.pass_time(incident, timedelta(minutes=31))
        await world.until_timeline(incident, "escalated")
    assert await world.told_of(incident, "escalated") == [{"to": "csm_manager", "skipped": []}]


async def test_flapping_doubles_the_quiet_window_up_to_four_hours(world: World) -> None:
    """However often it comes and goes, it stays one incident with one alert; the window ends at four hours."""
    windows = []
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        for flap in range(1, 7):
            await world.say("sync_succeeded")
            await world.until_timeline(incident, "recovering", flap)
            await world.say("auth_failure")
            await world.until_timeline(incident, "relapsed", flap)
            windows.append((await world.row(incident))["quiet_window"])
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering", 7)
        await world.pass_time(incident, timedelta(hours=4, seconds=1))
        assert (await world.result(incident))["resolution"] == "reported"
    assert windows == [timedelta(minutes=m) for m in (20, 40, 80, 160, 240, 240)]
    assert len(world.alerts()) == 1
    assert len(world.mails_to("bob@techcorp.example")) == 2  # the alert and the all-clear
    assert await world.value("select health_score from customers") == 82


async def test_broken_at_the_end_of_the_quiet_window_is_a_relapse(world: World, account: Account) -> None:
    """Our own last look finds it broken, without any event: the same incident goes on."""
    await account.revoke()
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await account.reconnect(world.pool)
        await world.hint(incident)
        await world.until_timeline(incident, "recovering")
        await account.revoke()
        await world.pass_time(incident, QUIET + timedelta(seconds=1))
        await world.until_timeline(incident, "relapsed")
    row, health = await world.row(incident), await world.health()
    assert (row["status"], row["relapses"]) == ("open", 1)
    assert health["status"] == "disconnected"


async def test_a_hint_while_recovering_changes_nothing(world: World, account: Account) -> None:
    """A second callback during the quiet window is not followed up over and over."""
    await account.revoke()
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await account.reconnect(world.pool)
        await world.hint(incident)
        await world.until_timeline(incident, "recovering")
        await world.hint(incident)
        await world.until_waiting(incident)
        handle = await world.handle(incident)
        before = (await handle.describe()).history_length
        await world.pass_time(incident, QUIET - timedelta(minutes=1))
        assert (await handle.describe()).history_length - before < 10
        await world.pass_time(incident, timedelta(minutes=2))
        assert (await world.result(incident))["resolution"] == "verified"


async def test_everybody_who_was_told_is_told_of_the_end(world: World) -> None:
    """One alert, one mail; one answer in the thread, one all-clear."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, QUIET + timedelta(seconds=1))
        await world.result(incident)
    sent = await world.deliveries(incident)
    assert sent.count(("slack", SLACK_ALERT, "sent")) == 1
    assert sent.count(("email", CUSTOMER_MAIL, "sent")) == 1
    assert sent.count(("email", ALL_CLEAR, "sent")) == 1
    assert await world.notes(incident) == ["recovering", "resolved"]


async def test_a_failure_during_the_last_look_reopens(world: World, httpserver: HTTPServer) -> None:
    """The look passes, but meanwhile it has failed again: not closed, and the failure belongs to the open incident."""
    await give_monitor(world.pool, _monitor(httpserver))
    httpserver.expect_ordered_request("/token").respond_with_json({"error": "invalid_grant"}, status=400)
    httpserver.expect_ordered_request("/token").respond_with_json({"access_token": "a"})
    httpserver.expect_ordered_request("/token").respond_with_handler(_meanwhile(world, "auth_failure"))
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident)
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, QUIET + timedelta(seconds=1))
        await world.until_timeline(incident, "relapsed")
        await world.until_waiting(incident)
    row = await world.row(incident)
    assert (row["status"], row["occurrences"], row["relapses"]) == ("open", 2, 1)
    assert await world.value("select count(*) from incidents") == 1


async def test_what_decides_nothing_does_not_keep_it_from_closing(world: World, httpserver: HTTPServer) -> None:
    """A remark that comes in during the last look is kept, and the incident closed."""
    await give_monitor(world.pool, _monitor(httpserver))
    httpserver.expect_ordered_request("/token").respond_with_json({"error": "invalid_grant"}, status=400)
    httpserver.expect_ordered_request("/token").respond_with_json({"access_token": "a"})
    httpserver.expect_ordered_request("/token").respond_with_handler(_meanwhile(world, "customer_reported"))
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.hint(incident)
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, QUIET + timedelta(seconds=1))
        assert (await world.result(incident))["resolution"] == "verified"
    assert (await world.row(incident))["customer_reported_at"] is not None
    assert len(httpserver.log) == 3


def _meanwhile(world: World, event_type: str) -> Callable[[Request], Response]:
    """The provider takes its time, and before it accepts the token an event comes in."""
    loop = asyncio.get_running_loop()

    def answer(_: Request) -> Response:
        asyncio.run_coroutine_threadsafe(world.say(event_type), loop).result(timeout=PATIENCE)
        return Response('{"access_token": "a"}', content_type="application/json")

    return answer


def _monitor(httpserver: HTTPServer) -> dict[str, object]:
    url = httpserver.url_for("/token")
    return {"kind": "oauth2", "token_url": url, "client_id": "relink", "refresh_token": "a-refresh-token"}


async def _in_thread(world: World, words: str) -> bool:
    return any(words in text for text in world.thread())
