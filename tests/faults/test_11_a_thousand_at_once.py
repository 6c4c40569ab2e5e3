"""Promise 11: a thousand integrations down at once are all recorded, and each CSM gets one digest of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.faults.audit import messages, repeated_in_slack
from tests.faults.cluster import WORKERS
from tests.faults.scene import Scene, names

_OPEN = """
    select count(*) from incidents i join customers c on c.id = i.customer_id
    where c.external_id = any($1) and i.status = 'open'"""
_DIGESTS = "select count(*) from deliveries where digest_id is not null and status = 'sent'"
_TOLD_ALONE = """
    select count(*) from deliveries where status <> 'pending' and template in (
      'integration_disconnected_alert', 'integration_disconnected_customer', 'integration_disconnected_escalation')"""


@pytest_asyncio.fixture
async def alone(scene: Scene) -> AsyncIterator[Scene]:
    """Nothing is there but what this test makes, and nothing is left of it: others need no thousand responses."""
    await _forget(scene)
    yield scene
    await _forget(scene)


async def _forget(scene: Scene) -> None:
    cluster = scene.cluster
    await cluster.start("postgres", "temporal")
    await cluster.kill("api", "probes", *WORKERS)  # the truncation would meet whoever is at work in a deadlock
    await scene.pool.execute("truncate customers, provider_outages cascade")
    await cluster.make_key(scene.pool)  # API keys may belong to a customer, and go with them
    scene.http.headers["Authorization"] = f"Bearer {cluster.key}"
    cluster.slack.clear()
    cluster.inbox.clear()
    await cluster.wipe_temporal()
    await cluster.start("api")


async def test_a_thousand_at_once(alone: Scene) -> None:
    """One request, answered once all of it is committed; repeated after the kill of PostgreSQL, it says the same. Then
    the workers come, are killed with digests on their way, and come again: four CSMs, four messages, and no other."""
    scene, cluster = alone, alone.cluster
    affected = await scene.of_one_provider(20, csms=4)
    events = [one.event() | {"integration_id": f"shop-{i}"} for one in affected for i in range(50)]
    first = (await scene.say(*events)).json()["results"]
    assert len({result["incident"] for result in first}) == 1000
    assert {result["outcome"] for result in first} == {"accepted"}
    await cluster.kill("postgres")
    await cluster.start("postgres")
    again = (await scene.say_until_taken(*events)).json()["results"]
    assert [r["incident"] for r in again] == [r["incident"] for r in first]
    assert await scene.pool.fetchval(_OPEN, names(affected)) == 1000
    await cluster.start("probes", *WORKERS)
    await scene.until("select count(*) > 0 from deliveries where digest_id is not null and status <> 'pending'")
    await cluster.kill(*WORKERS)
    await cluster.start(*WORKERS)
    await scene.until(_DIGESTS, is_=4)
    assert await scene.pool.fetchval(_TOLD_ALONE) == 0
    assert repeated_in_slack(cluster) == 0
    assert len(messages(cluster)) == 4
