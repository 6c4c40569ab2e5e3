"""Promise 7: no notice is claimed after a recovery; what fell due while nobody worked is told once, at its highest."""

from __future__ import annotations

import asyncio
import random

from tests.faults.cluster import WORKERS
from tests.faults.scene import Integration, Scene, names

LADDER = 'steps = [{ after = "4s", to = "csm_manager" }, { after = "8s", to = "cs_leadership" }]'
_CLIMBED = """
    select count(*) from deliveries d join incidents i on i.id = d.incident_id join customers c on c.id = i.customer_id
    where c.external_id = any($1) and d.template = 'integration_disconnected_escalation'"""
_ALL_DUE = """
    select bool_and(now() > i.alerted_at + make_interval(secs => $2::text::int)) from incidents i
    join customers c on c.id = i.customer_id where c.external_id = any($1)"""
ESCALATIONS = """
    select array_agg(d.role order by d.created_at) from deliveries d join incidents i on i.id = d.incident_id
    join customers c on c.id = i.customer_id
    where c.external_id = $1 and d.template = 'integration_disconnected_escalation' and d.status = 'sent'"""


async def _abandoned(scene: Scene) -> list[Integration]:
    """Two incidents that were told, and whose workers died when no step of the ladder was due, but by now all are. On a
    slow machine the first step may come too early: then once more, with a longer ladder."""
    for seconds in (4, 16, 64):
        pair = await scene.integrations(2)
        async with scene.policy(LADDER, LADDER.replace("4s", f"{seconds}s").replace("8s", f"{2 * seconds}s")):
            await scene.say_until_taken(*(one.event() for one in pair))
        await scene.until_told(4, *names(pair))
        await scene.cluster.kill(*WORKERS)
        if not await scene.pool.fetchval(_CLIMBED, names(pair)):
            await scene.until(_ALL_DUE, names(pair), f"{2 * seconds + 1}")
            return pair
        await scene.cluster.start(*WORKERS)
        await scene.say_until_taken(*(one.event("sync_succeeded") for one in pair))
        await scene.until_over(*names(pair))
    raise AssertionError("this machine needs more than a minute to tell of two incidents")


async def test_workers_away_while_escalations_fall_due(scene: Scene) -> None:
    """Only the highest due step is told, once; a reconnection that was reported meanwhile suppresses all."""
    late, repaired = await _abandoned(scene)
    await scene.say_until_taken(repaired.event("sync_succeeded"))
    await scene.cluster.start(*WORKERS)
    await scene.until(ESCALATIONS, late.customer, is_=["cs_leadership"])
    await scene.until_over(repaired.customer)
    assert await scene.pool.fetchval(ESCALATIONS, late.customer) == ["cs_leadership"]
    assert await scene.pool.fetchval(ESCALATIONS, repaired.customer) is None
    await scene.say_until_taken(late.event("sync_succeeded"))
    await scene.until_over(late.customer)
    await scene.audit()


async def test_reconnection_races_the_escalation(scene: Scene) -> None:
    """At any moment around the timer: either the manager was told before the recovery, or is not told at all."""
    racers = await scene.integrations(12)
    dice = random.Random(11)

    async def race(one_event: object, delay: float) -> None:
        await asyncio.sleep(delay)
        await scene.say_until_taken(one_event)  # type: ignore[arg-type]  # an event

    await scene.say_until_taken(*(one.event() for one in racers))
    await scene.until_told(2 * len(racers), *names(racers))
    await asyncio.gather(*(race(one.event("sync_succeeded"), dice.uniform(1.5, 4.5)) for one in racers))
    await scene.until_over(*names(racers))
    told_late = """
        select count(*) from deliveries d join incident_timeline t on t.incident_id = d.incident_id
        join incidents i on i.id = d.incident_id join customers c on c.id = i.customer_id
        where c.external_id = any($1) and d.template = 'integration_disconnected_escalation'
          and t.kind = 'recovering' and d.created_at > t.at"""
    assert await scene.pool.fetchval(told_late, names(racers)) == 0
    await scene.audit()
