"""Promises 2 and 4: at most one open incident an integration, and the same event has the same answer and one effect,
in parallel, out of order, in conflict, and across a kill."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

from tests.faults.scene import Scene, names


async def test_duplicates_conflicts_and_disorder_in_parallel(scene: Scene) -> None:
    """Forty producers repeat the same events in any order while the API is killed: each event took effect once, and
    whoever says something else under the same id is refused with everything that came along."""
    integrations = await scene.integrations(5)
    began = datetime.now(UTC) - timedelta(minutes=5)
    events = [
        one.event("auth_failure" if i % 2 else "sync_succeeded", occurred_at=(began + timedelta(seconds=i)).isoformat())
        for one in integrations
        for i in range(6)
    ]
    dice = random.Random(7)

    async def producer() -> None:
        for event in dice.sample(events, len(events)):
            await scene.say_until_taken(event)

    async with asyncio.TaskGroup() as producing:
        for _ in range(40):
            producing.create_task(producer())
        await asyncio.sleep(0.5)
        await scene.cluster.kill("api")
        await scene.cluster.start("api")

    first, again = [(await scene.say(*events)).json()["results"] for _ in range(2)]
    assert first == again
    assert {result["outcome"] for result in again} == {"duplicate"}
    stored = "select count(*) from integration_events where event_id = any($1)"
    assert await scene.pool.fetchval(stored, [event["event_id"] for event in events]) == len(events)

    new = integrations[0].event()
    conflict = await scene.say(new, events[0] | {"event_type": "reconnected"})
    assert conflict.status_code == 409
    assert await scene.pool.fetchval("select count(*) from event_keys where event_id = $1", new["event_id"]) == 0
    await asyncio.gather(*(scene.say_until_taken(one.event()) for one in integrations * 8))
    opened = (
        "select count(*) from incidents i join customers c on c.id = i.customer_id"
        " where c.external_id = any($1) and i.status in ('open', 'recovering')"
    )
    assert await scene.pool.fetchval(opened, names(integrations)) == len(integrations)
    await scene.say_until_taken(*(one.event("sync_succeeded") for one in integrations))
    await scene.until_over(*names(integrations))
    await scene.audit()
