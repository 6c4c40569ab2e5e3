"""Many at once: one incident, one message, one mail, one task, one score change, and the right count."""

from __future__ import annotations

import asyncio
from uuid import UUID

from tests.workflows.world import CUSTOMER_MAIL, SLACK_ALERT, World
from workflows.contracts import Bell

MANY = 50


async def _one_of_each(world: World, incident: UUID) -> None:
    assert await world.value("select count(*) from incidents") == 1
    assert sorted(await world.deliveries(incident)) == [
        ("email", CUSTOMER_MAIL, "sent"),
        ("slack", SLACK_ALERT, "sent"),
    ]
    assert len(world.alerts()) == 1
    assert len(world.posted()) == 1
    assert len(world.inbox.messages()) == 1
    assert await world.value("select count(*) from tasks") == 1
    assert await world.value("select count(*) from risk_signals") == 1
    assert await world.value("select array_agg(adjustment) from health_score_adjustments") == [-10]
    assert await world.value("select health_score from customers") == 72


async def test_fifty_copies_of_one_event(world: World) -> None:
    """The same event from fifty senders at once: same answer, one effect."""
    async with world.make_worker():
        outcomes = await asyncio.gather(*(world.say("auth_failure", event_id="once") for _ in range(MANY)))
        (incident,) = {outcome.incident for outcome in outcomes}
        assert incident is not None
        assert sorted(outcome.outcome for outcome in outcomes) == ["accepted", *["duplicate"] * (MANY - 1)]
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
    await _one_of_each(world, incident)
    assert (await world.row(incident))["occurrences"] == 1
    assert await world.value("select count(*) from integration_events") == 1


async def test_fifty_failures_of_one_integration(world: World) -> None:
    """Fifty distinct failures at once are one incident with a count of fifty (FR-2.5)."""
    async with world.make_worker():
        outcomes = await asyncio.gather(*(world.say("auth_failure", event_id=f"e{i}") for i in range(MANY)))
        (incident,) = {outcome.incident for outcome in outcomes}
        assert incident is not None
        assert {outcome.outcome for outcome in outcomes} == {"accepted"}
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
    await _one_of_each(world, incident)
    row = await world.row(incident)
    assert (row["occurrences"], row["last_seq"]) == (MANY, MANY)
    assert (await world.health())["failure_count"] == MANY
    assert await world.value("select count(*) from integration_events") == MANY


async def test_fifty_bells_at_once(world: World) -> None:
    """Bells are idempotent: however often they ring, there is one response."""
    incident = await world.disconnect(event_id="once")
    async with world.make_worker():
        await asyncio.gather(*(world.ring_bell(incident, bell) for bell in Bell for _ in range(MANY // len(Bell))))
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
    await _one_of_each(world, incident)


async def test_failures_and_successes_at_once_end_in_the_truth(world: World) -> None:
    """In whatever order they are committed: a failure newer than every success leaves the incident open."""
    async with world.make_worker():
        incident = await world.disconnect(occurred_at="2026-01-01T00:00:00Z")
        events = [
            world.say(kind, occurred_at=f"2026-01-01T00:{minute:02}:00Z")
            for minute in range(1, 21)
            for kind in (["auth_failure"] if minute % 2 == 0 else ["sync_succeeded"])
        ]
        await asyncio.gather(*events)
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
        row, health = await world.row(incident), await world.health()
    assert health["status"] == "disconnected"
    assert f"{health['last_success_at']:%M}" == "19"
    assert f"{health['last_failure_at']:%M}" == "20"
    assert (row["status"], row["number"]) == ("open", 1)
    assert len(world.alerts()) == 1
