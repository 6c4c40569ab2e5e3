"""Patience: the ladder, acknowledging, snoozing, reminding."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.workflows.world import World, ago
from workflows.contracts import Bell

MANAGER, LEADERSHIP = "tom@vendor.example", "vp@vendor.example"
REMINDER = "integration_disconnected_reminder"


@pytest.fixture(autouse=True)
def _leadership(world: World) -> None:
    world.set_policy(people={"cs_leadership": {"email": LEADERSHIP}})


async def _informed(world: World, **integration: Any) -> Any:
    for column, value in integration.items():
        table = "customers" if column == "arr" else "integration_health"
        await world.pool.execute(f"update {table} set {column} = $1", value)
    incident = await world.disconnect()
    await world.until_timeline(incident, "informed")
    await world.until_waiting(incident)
    return incident


async def _pass_to(world: World, incident: Any, minutes: float, *, already: float = 0) -> None:
    """To so many minutes after the first notice, give or take the seconds that the test has taken."""
    await world.pass_time(incident, timedelta(minutes=minutes - already))
    await world.until_waiting(incident)


@pytest.mark.history
@pytest.mark.parametrize(
    ("severity", "is_critical", "arr", "ladder"),
    [
        ("critical", True, 200_000, [(30, "csm_manager"), (120, "cs_leadership")]),
        ("high", True, 1_000, [(60, "csm_manager"), (480, "cs_leadership")]),
        ("high", False, 100_000, [(60, "csm_manager"), (480, "cs_leadership")]),
        ("medium", False, 25_000, [(1440, "csm_manager")]),
        ("low", False, 24_999, []),
    ],
)
async def test_the_ladder_of_each_severity(
    world: World, severity: str, is_critical: bool, arr: int, ladder: list[tuple[int, str]]
) -> None:
    """Nobody a minute early, the right one a minute late, each once, and nobody after the last step."""
    async with world.make_worker():
        incident = await _informed(world, is_critical=is_critical, arr=arr)
        assert (await world.row(incident))["severity"] == severity
        told: list[str] = []
        passed = 0.0
        for minutes, who in ladder:
            await _pass_to(world, incident, minutes - 1, already=passed)
            assert [e["to"] for e in await world.told_of(incident, "escalated")] == told
            await _pass_to(world, incident, minutes + 1, already=minutes - 1)
            told.append(who)
            assert [e["to"] for e in await world.told_of(incident, "escalated")] == told
            passed = minutes + 1
        await _pass_to(world, incident, 4000, already=passed)
        assert [e["to"] for e in await world.told_of(incident, "escalated")] == told
    escalations = [d for d in await world.deliveries(incident) if "escalation" in d[1]]
    assert escalations == [("slack", "integration_disconnected_escalation", "sent")] * len(ladder)


async def test_after_a_long_outage_of_the_worker_only_the_highest_step_fires(world: World) -> None:
    """Three steps fell due while nobody worked: one message, to the highest; the timeline names the skipped ones."""
    steps = [
        {"after": "30m", "to": "csm"},
        {"after": "1h", "to": "csm_manager"},
        {"after": "2h", "to": "cs_leadership"},
    ]
    world.set_policy(escalation={"critical": {"steps": steps, "ack_timeout": "4h"}})
    async with world.make_worker():
        incident = await _informed(world)
    await world.pool.execute("update incidents set alerted_at = alerted_at - interval '5 hours'")
    await world.pool.execute("update incidents set detected_at = detected_at - interval '5 hours'")
    await world.ring_bell(incident, Bell.FAILURE_RECURRED)
    async with world.make_worker():
        await world.until_timeline(incident, "escalated")
        await world.until_waiting(incident)
    assert await world.told_of(incident, "escalated") == [
        {"to": "cs_leadership", "skipped": ["csm", "csm_manager"]},
    ]
    assert len([d for d in await world.deliveries(incident) if "escalation" in d[1]]) == 1


async def test_a_recorded_reconnection_suppresses_a_due_escalation(world: World) -> None:
    """Both are waiting when the worker comes back: the recovery is looked at first, nobody is escalated to."""
    async with world.make_worker():
        incident = await _informed(world)
    await world.pool.execute("update incidents set alerted_at = alerted_at - interval '5 hours'")
    await world.say("sync_succeeded")
    async with world.make_worker():
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"
    assert await world.told_of(incident, "escalated") == []
    assert [d for d in await world.deliveries(incident) if "escalation" in d[1]] == []


async def test_a_reconnection_races_the_escalation_timer(world: World) -> None:
    """The success is committed in the very moment of the timer, its bell not yet rung: the facts decide."""
    async with world.make_worker():
        incident = await _informed(world)
        await world.say("sync_succeeded", ring=False)
        await world.pass_time(incident, timedelta(minutes=31))
        await world.until_timeline(incident, "recovering")
    assert await world.told_of(incident, "escalated") == []


async def test_acknowledged_in_time_nobody_is_escalated_to(world: World) -> None:
    """For as long as the acknowledgement is good."""
    async with world.make_worker():
        incident = await _informed(world)
        await world.acknowledge(incident)
        await world.pass_time(incident, timedelta(hours=3, minutes=59))
        await world.until_waiting(incident)
        assert await world.told_of(incident, "escalated") == []
    row = await world.row(incident)
    assert row["acknowledged_by"] == "maria@vendor.example"
    assert row["status"] == "open"


@pytest.mark.history
async def test_acknowledged_and_forgotten_escalates_again(world: World) -> None:
    """After the ack timeout the ladder goes on, and the thread says why."""
    async with world.make_worker():
        incident = await _informed(world)
        await world.acknowledge(incident)
        await world.pass_time(incident, timedelta(hours=4, minutes=1))
        await world.until_timeline(incident, "escalated")
        await world.until_waiting(incident)
    assert "acknowledgement_expired" in await world.timeline(incident)
    assert [text for text in world.thread() if "Escalation starts again" in text] != []
    assert len(await world.told_of(incident, "escalated")) == 1
    assert '"acknowledge"' in json.dumps(world.alerts()), "somebody else can take it over"


async def test_forgotten_after_all_steps_had_fired_the_last_is_told_again(world: World) -> None:
    """Leadership was told, the CSM acknowledged, and still nothing happened: leadership hears of it again."""
    async with world.make_worker():
        incident = await _informed(world)
        await world.pass_time(incident, timedelta(minutes=31))
        await world.until_timeline(incident, "escalated", 1)
        await world.pass_time(incident, timedelta(minutes=91))
        await world.until_timeline(incident, "escalated", 2)
        await world.acknowledge(incident)
        await world.pass_time(incident, timedelta(hours=4))
        await world.until_timeline(incident, "escalated", 3)
        await world.until_waiting(incident)
    assert [e["to"] for e in await world.told_of(incident, "escalated")] == [
        "csm_manager",
        "cs_leadership",
        "cs_leadership",
    ]
    assert len([d for d in await world.deliveries(incident) if d[1].endswith("escalation") and d[2] == "sent"]) == 3


@pytest.mark.history
async def test_snoozed_and_returned(world: World) -> None:
    """Silence until the end of the snooze; then the CSM hears of it and gets the first step's time once more."""
    async with world.make_worker():
        incident = await _informed(world)
        await world.snooze(incident, timedelta(hours=3))
        await world.pass_time(incident, timedelta(hours=2, minutes=59))
        await world.until_waiting(incident)
        assert "snooze_ended" not in await world.timeline(incident)
        await world.pass_time(incident, timedelta(minutes=2))
        await world.until_timeline(incident, "snooze_ended")
        await world.until_waiting(incident)
        assert await world.told_of(incident, "escalated") == []
        await world.pass_time(incident, timedelta(minutes=30))
        await world.until_timeline(incident, "escalated")
    assert [text for text in world.thread() if "The snooze is over" in text] != []


async def test_a_snoozed_incident_still_recovers(world: World) -> None:
    """Snoozing silences people, not the detection of a recovery."""
    async with world.make_worker():
        incident = await _informed(world)
        await world.snooze(incident, timedelta(hours=3))
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"


@pytest.mark.history
async def test_the_customer_is_reminded_after_a_day_and_after_three(world: World) -> None:
    """The same mail again at 24 h and 72 h while it is down, then no more."""
    world.set_policy(escalation={"critical": {"steps": [], "ack_timeout": "4h"}})
    async with world.make_worker():
        incident = await _informed(world)
        await world.pass_time(incident, timedelta(hours=23, minutes=59))
        await world.until_waiting(incident)
        assert len(world.mails_to("bob@techcorp.example")) == 1
        await world.pass_time(incident, timedelta(minutes=2))
        await world.until_timeline(incident, "reminder_due", 1)
        await world.pass_time(incident, timedelta(hours=48))
        await world.until_timeline(incident, "reminder_due", 2)
        await world.until_waiting(incident)
        await world.pass_time(incident, timedelta(days=10))
        await world.until_waiting(incident)
    assert [d for d in await world.deliveries(incident) if d[1] == REMINDER] == [("email", REMINDER, "sent")] * 2
    assert len(world.mails_to("bob@techcorp.example")) == 3


async def test_nobody_who_was_not_mailed_is_reminded(world: World) -> None:
    """With auto_send off and no press of the button there is nothing to remind of."""
    world.set_policy(customer={"auto_send": False})
    async with world.make_worker():
        incident = await _informed(world)
        await world.pass_time(incident, timedelta(hours=100))
        await world.until_waiting(incident)
    assert world.mails_to("bob@techcorp.example") == []
    assert "reminder_due" not in await world.timeline(incident)


async def test_since_is_the_first_failure_of_this_run(world: World) -> None:
    """An event that comes in late still tells since when; the clock of the ladder starts at the first notice."""
    async with world.make_worker():
        incident = await world.disconnect(occurred_at=ago(hours=3))
        await world.until_timeline(incident, "informed")
    row = await world.row(incident)
    assert row["detected_at"] - row["opened_at"] > timedelta(hours=2, minutes=59)
    assert row["alerted_at"] >= row["detected_at"]
