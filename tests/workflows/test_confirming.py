"""Is it really broken? The first step, before anybody is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer

from tests.workflows.account import Account, give_monitor
from tests.workflows.world import CUSTOMER_MAIL, SLACK_ALERT, World
from workflows.contracts import PROBE_TASK_QUEUE


@pytest.mark.history
async def test_not_confirmed_by_the_monitor(world: World, account: Account) -> None:
    """The grant works after all: closed as not_confirmed, healthy, and nobody is told anything."""
    async with world.make_worker():
        incident = await world.disconnect()
        assert (await world.result(incident))["resolution"] == "not_confirmed"
    row, health = await world.row(incident), await world.health()
    assert (row["status"], row["resolution"], row["alerted_at"]) == ("closed", "not_confirmed", None)
    assert (health["status"], health["failure_count"]) == ("healthy", 0)
    assert await world.deliveries(incident) == []
    assert world.posted() == []
    assert world.inbox.messages() == []
    assert await world.value("select count(*) from tasks") == 0
    assert await world.value("select count(*) from risk_signals") == 0
    assert await world.value("select health_score from customers") == 82
    assert await world.timeline(incident) == ["detected", "closed", "announced"]


async def test_not_confirmed_once_opens_again_the_next_time(world: World, account: Account) -> None:
    """A false start costs nothing: a later failure is a new incident, with the next number."""
    async with world.make_worker():
        first = await world.disconnect()
        await world.result(first)
        await account.revoke()
        second = await world.disconnect()
        await world.until_timeline(second, "informed")
    assert (await world.row(second))["number"] == 2
    assert len(world.alerts()) == 1


async def test_confirmed_by_the_monitor(world: World, account: Account) -> None:
    """The provider refuses the token: people are told."""
    await account.revoke()
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
    assert await world.told_of(incident, "confirmed") == [{"check": "broken"}]
    assert await _queue_of_the_look(world) == PROBE_TASK_QUEUE
    assert sorted(await world.deliveries(incident)) == [
        ("email", CUSTOMER_MAIL, "sent"),
        ("slack", SLACK_ALERT, "sent"),
    ]


async def test_unconfirmable_stands_as_reported(world: World, httpserver: HTTPServer) -> None:
    """The provider answers 503 to each of three looks: neither broken nor working, so what was reported stands."""
    httpserver.expect_request("/token").respond_with_data("overloaded", status=503)
    await give_monitor(world.pool, _monitor(httpserver))
    async with world.make_worker():
        incident = await world.disconnect()
        for look in (1, 2):
            await world.until(lambda look=look: _looked(httpserver, look))
            await world.pass_time(incident, timedelta(seconds=11))
        await world.until_timeline(incident, "informed")
    assert await world.told_of(incident, "confirmed") == [{"check": "inconclusive"}]
    assert len(httpserver.log) == 3
    assert len(world.alerts()) == 1


async def _queue_of_the_look(world: World) -> str:
    """Slow providers must not delay anybody's notice."""
    (history,) = await world.histories()
    scheduled = (event.activity_task_scheduled_event_attributes for event in history.events)
    return next(each.task_queue.name for each in scheduled if each.activity_type.name == "confirm_failure")


def _monitor(httpserver: HTTPServer) -> dict[str, object]:
    url = httpserver.url_for("/token")
    return {"kind": "oauth2", "token_url": url, "client_id": "relink", "refresh_token": "a-refresh-token"}


async def _looked(httpserver: HTTPServer, times: int) -> bool:
    return len(httpserver.log) >= times
