"""What other systems and operators rely on in Temporal: names, ids, search attributes, the query, the words shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributeKey

from starter.schedules import Keeper, set_up
from starter.temporal import SEARCH_ATTRIBUTES
from tests.workflows.surroundings import Surroundings, temporal_with_time_skipping, without_schedules, world_in
from tests.workflows.world import World
from worker import methods
from workflows.contracts import TASK_QUEUE, Bell, Situation
from workflows.disconnection import IntegrationDisconnectionResponse

# PRD-101 section 4.2 names the first five.
STEPS = {
    "assess_impact",
    "notify_csm",
    "notify_technical_contact",
    "create_task",
    "update_health_score",
    "create_risk_signal",
    "verify_connection",
    "escalate",
}


async def test_names(world: World) -> None:
    """Workflow type, signals, query, activities: changed only by adding."""
    definition = _definition()
    assert definition.name == "IntegrationDisconnectionResponse"
    assert {"reconnected", "failure_recurred", "acknowledged", "snoozed", "removed"} <= set(definition.signals)
    assert set(definition.signals) == set(Bell)
    assert set(definition.queries) == {"status"}
    activities = {_name_of(method) for method in methods(world.objects())}
    assert activities >= STEPS


def _name_of(method: Any) -> str:
    return str(method.__temporal_activity_definition.name)


async def test_signals_carry_nothing(world: World) -> None:
    """Doorbells: an undecodable argument would be dropped silently, so there is none."""
    assert all(not signal.arg_types for signal in _definition().signals.values())


def _definition() -> Any:
    return IntegrationDisconnectionResponse.__temporal_workflow_definition  # type: ignore[attr-defined]


async def test_a_running_response(world: World) -> None:
    """Its id and queue, its search attributes, the query, and the words that an operator reads."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
        handle = await world.handle(incident)
        health = await world.health()
        assert handle.id == f"disconnection/{health['id']}/1"
        description = await handle.describe()
        assert description.task_queue == TASK_QUEUE
        shown = {name: description.typed_search_attributes[_keyword(name)] for name in SEARCH_ATTRIBUTES}
        assert shown == {
            "CustomerId": str(health["customer_id"]),
            "IntegrationType": "salesforce",
            "Severity": "critical",
            "IncidentStatus": "open",
        }
        situation = await handle.query(IntegrationDisconnectionResponse.status)
        assert isinstance(situation, Situation)
        assert (situation.incident_id, situation.number, situation.status) == (incident, 1, "open")
        assert await description.static_summary() == "Response to incident 1"
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.until(lambda: _is_shown(handle, "IncidentStatus", "recovering"))
        await world.pass_time(incident, timedelta(minutes=11))
        await world.result(incident)
        await world.until(lambda: _is_shown(handle, "IncidentStatus", "closed"))
    await _everything_has_a_summary(handle)


def _keyword(name: str) -> SearchAttributeKey[str]:
    return SearchAttributeKey.for_keyword(name)


async def _is_shown(handle: WorkflowHandle[Any, Any], name: str, value: str) -> bool:
    return (await handle.describe()).typed_search_attributes.get(_keyword(name)) == value


async def _everything_has_a_summary(handle: WorkflowHandle[Any, Any]) -> None:
    wanted = {EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_TIMER_STARTED}
    events = [event async for event in handle.fetch_history_events() if event.event_type in wanted]
    assert events
    assert all(event.user_metadata.summary.data for event in events)


async def test_a_missing_search_attribute_is_left_off(world: World) -> None:
    """A server that does not know them (any more) never blocks a response."""
    world.keeper = _Newcomer(world.client)
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        description = await (await world.handle(incident)).describe()
        assert description.typed_search_attributes.get(_keyword("Severity")) == "critical"
        assert description.typed_search_attributes.get(_keyword("CustomerId")) is None


async def test_a_long_history_is_continued_as_new(world: World, around: Surroundings) -> None:
    """An incident that goes on for weeks: the next run knows everything from the rows, and repeats nothing."""
    async with temporal_with_time_skipping("limit.historyCount.suggestContinueAsNew=60") as fresh:
        elsewhere = replace(around, environment=fresh, keeper=await without_schedules(fresh.client))
        async with world_in(elsewhere, world.pool, is_new=False) as other, other.make_worker():
            incident = await other.disconnect()
            await other.until_timeline(incident, "informed")
            for flap in (1, 2):
                await other.say("sync_succeeded")
                await other.until_timeline(incident, "recovering", flap)
                await other.say("auth_failure")
                await other.until_timeline(incident, "relapsed", flap)
            await other.say("sync_succeeded")
            await other.until_timeline(incident, "recovering", 3)
            await other.until_waiting(incident)
            await other.pass_time(incident, timedelta(minutes=41))
            assert (await other.result(incident))["resolution"] == "reported"
            (last_run,) = await other.histories()
            started = last_run.events[0].workflow_execution_started_event_attributes
            assert started.continued_execution_run_id
            assert len(other.alerts()) == 1
            assert (await other.timeline(incident)).count("confirmed") == 1


async def test_setting_up_is_repeatable(world: World) -> None:
    """Create-or-update: the second time finds everything there."""
    for _ in range(2):
        done = await set_up(world.client)
    assert set(done.search_attributes) == set(SEARCH_ATTRIBUTES)
    assert done.commands == ()
    found = {entry.id async for entry in await world.client.list_schedules()}
    assert "reconcile-incidents" in found
    for schedule in found:
        await world.client.get_schedule_handle(schedule).delete()


class _Newcomer(Keeper):
    """Knows a server on which only one attribute could be made."""

    def search_attributes(self) -> tuple[str, ...]:
        return ("Severity",)
