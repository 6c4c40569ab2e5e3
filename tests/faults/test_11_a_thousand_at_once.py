"""Promise 11, its first half: a thousand integrations down at once are all recorded, each with its incident."""

from __future__ import annotations

from tests.faults.cluster import WORKERS
from tests.faults.scene import Scene


async def test_a_thousand_at_once(scene: Scene) -> None:
    """One request, answered once all of it is committed; repeated after the kill of PostgreSQL, it says the same."""
    cluster = scene.cluster
    await cluster.kill(*WORKERS)
    (one,) = await scene.integrations(1)
    events = [one.event() | {"integration_id": f"shop-{i}"} for i in range(1000)]
    first = (await scene.say(*events)).json()["results"]
    assert len({result["incident"] for result in first}) == 1000
    assert {result["outcome"] for result in first} == {"accepted"}
    await cluster.kill("postgres")
    await cluster.start("postgres")
    again = (await scene.say_until_taken(*events)).json()["results"]
    assert [r["incident"] for r in again] == [r["incident"] for r in first]
    open_ = "select count(*) from incidents i join customers c on c.id = i.customer_id where c.external_id = $1"
    assert await scene.pool.fetchval(f"{open_} and i.status = 'open'", one.customer) == 1000
    await _forget(scene)


async def _forget(scene: Scene) -> None:
    """The tests that follow need no thousand responses."""
    await scene.pool.execute("truncate customers cascade")  # API keys may belong to a customer, and go with them
    await scene.cluster.make_key(scene.pool)
    scene.cluster.slack.clear()
    scene.cluster.inbox.clear()
    await scene.cluster.wipe_temporal()
