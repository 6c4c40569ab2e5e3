"""What a crash, an outage or an operator left behind: the reconciler mends it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment

from activities.reconciling import Reconciler
from tests.workflows.surroundings import Surroundings, temporal_with_time_skipping, without_schedules, world_in
from tests.workflows.world import CUSTOMER_MAIL, SLACK_ALERT, World, ago
from workflows.contracts import Bell, ReconcileResult


async def _reconcile(world: World) -> ReconcileResult:
    """One round, as if the few seconds that it leaves to others had passed."""
    await world.pool.execute("update doorbells set created_at = created_at - interval '1 minute'")
    await world.pool.execute("update incidents set detected_at = detected_at - interval '1 minute'")
    reconciler = world.the(Reconciler)
    result: ReconcileResult = await ActivityEnvironment().run(reconciler.reconcile)
    return result


async def _until_listed(world: World, incident: UUID) -> None:
    """Visibility lags behind a little."""
    workflow_id = (await world.handle(incident)).id

    async def listed() -> bool:
        return workflow_id in await world.ring.running()

    await world.until(listed)


async def test_an_unrung_doorbell_is_rung(world: World) -> None:
    """Committed, then the process died before it rang: the next round starts the response."""
    incident = (await world.say("auth_failure", ring=False)).incident
    assert incident is not None
    async with world.make_worker():
        assert (await _reconcile(world)).bells_rung == 1
        await world.until_timeline(incident, "informed")
        assert await world.value("select count(*) from doorbells") == 0
        await _until_listed(world, incident)
        assert await _reconcile(world) == ReconcileResult(bells_rung=0, workflows_started=0, degraded_opened=0)
    assert len(world.alerts()) == 1


async def test_an_unrung_recovery_is_rung(world: World) -> None:
    """Also on a response that runs: it looks again."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
        await world.say("sync_succeeded", ring=False)
        await _reconcile(world)
        await world.until_timeline(incident, "recovering")


async def test_young_bells_are_left_to_whoever_committed_them(world: World) -> None:
    """The reconciler does not race the request that is about to ring."""
    await world.say("auth_failure", ring=False)
    reconciler = world.the(Reconciler)
    assert (await ActivityEnvironment().run(reconciler.reconcile)).bells_rung == 0


async def test_an_operators_terminate_is_undone(world: World) -> None:
    """The incident is not over, so its response starts again and goes on where the rows say that it was."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
        handle = await world.handle(incident)
        await handle.terminate("tidying up")
        await world.until(lambda: _is_gone(world, incident))
        assert (await _reconcile(world)).workflows_started == 1
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    assert sorted(await world.deliveries(incident))[:1] == [("email", CUSTOMER_MAIL, "sent")]
    assert len(world.alerts()) == 1
    assert len(world.mails_to("bob@techcorp.example")) == 1
    assert await world.value("select count(*) from tasks") == 1
    assert await world.value("select health_score from customers") == 72


async def _is_gone(world: World, incident: UUID) -> bool:
    return (await world.handle(incident)).id not in await world.ring.running()


async def test_a_finished_response_is_not_started_again(world: World) -> None:
    """A completed run means that a close covered every event."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.remove()
        await world.result(incident)
        assert (await _reconcile(world)).workflows_started == 0
        await world.ring_bell(incident, Bell.FAILURE_RECURRED)
        assert (await (await world.handle(incident)).describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_temporal_is_wiped(world: World, around: Surroundings) -> None:
    """A new and empty server beside the same database: what is not over goes on there, and nobody is told twice."""
    async with world.make_worker():
        incident = await world.disconnect()
        await world.until_timeline(incident, "informed")
        await world.until_waiting(incident)
    before = await world.deliveries(incident)
    async with temporal_with_time_skipping() as fresh:
        elsewhere = Surroundings(fresh, await without_schedules(fresh.client), world.inbox, world.slack, around.probes)
        async with world_in(elsewhere, world.pool, is_new=False) as other, other.make_worker():
            assert (await _reconcile(other)).workflows_started == 1
            await other.until_waiting(incident)
            assert await other.deliveries(incident) == before
            await other.say("sync_succeeded")
            await other.until_timeline(incident, "recovering")
            await other.pass_time(incident, timedelta(minutes=11))
            assert (await other.result(incident))["resolution"] == "reported"
            assert len(other.alerts()) == 1


async def test_long_degraded_opens_an_incident(world: World) -> None:
    """Degraded since yesterday: the round opens the incident and rings it."""
    await world.say("integration_status_changed", new_status="degraded", occurred_at=ago(hours=25))
    async with world.make_worker():
        result = await _reconcile(world)
        assert (result.degraded_opened, result.bells_rung) == (1, 1)
        incident = await world.value("select id from incidents")
        await world.until_timeline(incident, "informed")
    assert await world.deliveries(incident) == [("slack", SLACK_ALERT, "sent")]
