"""The sweep: every due integration is looked at once, however many sweepers there are and whatever becomes of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

from activities.probes.seen import Seen
from tests.monitoring.scene import API, LIMITED, REVOKED, UNAVAILABLE, WORKING, Scene

MINUTE = timedelta(minutes=1)


async def test_a_due_integration_is_looked_at_and_recorded(scene: Scene) -> None:
    """A new monitor is due at once; a healthy success moves the row's times, is counted, and is no event."""
    [integration] = await scene.add()
    assert await scene.sweep() == 1
    row, probe = await scene.health(integration), await scene.probe(integration)
    assert row["status"] == "healthy"
    assert row["last_successful_sync"] == row["last_success_at"] == probe["probed_at"]
    assert probe["last_probe"]["check"] == "working"
    assert await scene.waits_for(integration) == 5 * MINUTE
    assert await scene.count("integration_events") == 0
    assert await scene.count("health_metrics") == 1
    assert await scene.sweep() == 0, "not due again"


async def test_many_sweepers_share_the_work(scene: Scene) -> None:
    """Four sweepers at once look at each of 300 integrations exactly once."""
    ids = await scene.add(300, hosts=30)

    async def slow(_: UUID) -> Seen:
        await asyncio.sleep(0.01)
        return WORKING

    scene.answer = slow
    assert sum(await asyncio.gather(*(scene.sweep() for _ in range(4)))) == 300
    assert Counter(scene.looks) == dict.fromkeys(ids, 1)


async def test_a_dead_sweeper_s_claims_run_out(scene: Scene) -> None:
    """What a sweeper had claimed when it died is due again after the lease, and not before."""
    await scene.add(3)
    dead = scene.sweeper()
    claims = await dead.store.claim(dead.clock(), 10, busy_hosts=[], most_per_host=10, lease=2 * MINUTE)
    assert len(claims) == 3
    assert await scene.sweep() == 0
    scene.pass_time(3 * MINUTE)
    assert await scene.sweep() == 3


async def test_a_result_that_comes_too_late_is_not_recorded(scene: Scene) -> None:
    """Once another sweeper has looked, the first one's result changes nothing: one look an interval."""
    [integration] = await scene.add()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hangs(_: UUID) -> Seen:
        begun.set()
        await go_on.wait()
        return REVOKED

    scene.answer = hangs
    slow = asyncio.create_task(scene.sweep(lease=2 * MINUTE))
    await begun.wait()
    scene.pass_time(3 * MINUTE)
    scene.sees(WORKING)
    assert await scene.sweep() == 1
    go_on.set()
    assert await slow == 0
    assert (await scene.health(integration))["status"] == "healthy"
    assert await scene.count("incidents") == 0


async def test_a_slow_host_does_not_hold_up_the_others(scene: Scene) -> None:
    """At most four looks at one host at a time; hosts that answer are done long before one that hangs."""
    slow = set(await scene.add(12, API | {"endpoints": [{"url": "https://slow.example/"}]}))
    quick = set(await scene.add(40, hosts=20))
    at_once, most, quick_done = 0, 0, asyncio.Event()

    async def answer(integration: UUID) -> Seen:
        nonlocal at_once, most
        if integration in slow:
            at_once += 1
            most = max(most, at_once)
            await quick_done.wait()
            at_once -= 1
        elif quick <= set(scene.looks):
            quick_done.set()
        return WORKING

    scene.answer = answer
    assert await scene.sweep() == 52
    assert most == 4


async def test_one_bad_monitor_stops_nobody(scene: Scene) -> None:
    """A look that raises is a look that told nothing; it is visible, and the others go on."""
    ids = await scene.add(5)

    async def answer(integration: UUID) -> Seen:
        if integration == ids[2]:
            raise ZeroDivisionError
        return WORKING

    scene.answer = answer
    assert await scene.sweep() == 5
    assert "ZeroDivisionError" in (await scene.probe(ids[2]))["last_probe"]["detail"]
    assert (await scene.health(ids[2]))["status"] == "healthy"


async def test_changes_take_effect_at_the_next_sweep(scene: Scene) -> None:
    """A changed monitor is due at once, a paused or removed one no longer, a revived one again."""
    [integration] = await scene.add()
    assert await scene.sweep() == 1

    async def put(**changes: object) -> int:
        await scene.pool.execute(
            "update integration_health set monitor = $2, display_name = 'x', monitor_secrets = null where id = $1",
            integration, API | changes,
        )  # fmt: skip
        return await scene.sweep()

    assert await put(interval="10m") == 1
    assert await scene.waits_for(integration) == 10 * MINUTE
    assert await put(interval="10m") == 0, "nothing was changed"
    assert await put(interval="10m", paused=True) == 0
    assert await put(interval="1m") == 1
    assert await scene.waits_for(integration) == MINUTE
    await scene.pool.execute("update integration_health set removed_at = now() where id = $1", integration)
    await scene.make_due()
    assert await scene.sweep() == 0
    await scene.pool.execute("update integration_health set removed_at = null where id = $1", integration)
    assert await scene.sweep() == 1
    await scene.pool.execute("update integration_health set monitor = null where id = $1", integration)
    assert await scene.count("probes") == 0


async def test_a_rotated_token_is_no_change(scene: Scene) -> None:
    """A look that stores a new refresh token does not make its integration due; a PUT of new secrets does."""
    [integration] = await scene.add()
    assert await scene.sweep() == 1
    await scene.pool.execute("update integration_health set monitor_secrets = 'new' where id = $1", integration)
    assert await scene.sweep() == 0
    await scene.pool.execute(
        "update integration_health set monitor = monitor, monitor_secrets = 'put' where id = $1", integration
    )
    assert await scene.sweep() == 1


async def test_a_change_during_a_look_wins(scene: Scene) -> None:
    """What was seen with the monitor as it was is thrown away; the new one is looked at."""
    [integration] = await scene.add()

    async def answer(_: UUID) -> Seen:
        if len(scene.looks) > 1:
            return WORKING
        await scene.pool.execute(
            "update integration_health set monitor = $2 where id = $1", integration, API | {"interval": "1m"}
        )
        return REVOKED

    scene.answer = answer
    assert await scene.sweep() == 1
    assert len(scene.looks) == 2
    assert await scene.count("incidents") == 0


async def test_a_failure_that_may_pass_is_looked_at_soon(scene: Scene) -> None:
    """After a first 503 the next look comes in 30 s; once confirmed, at the usual interval."""
    [integration] = await scene.add()
    scene.sees(UNAVAILABLE)
    await scene.sweep()
    assert await scene.waits_for(integration) == timedelta(seconds=30)
    assert (await scene.health(integration))["status"] == "degraded"
    await scene.make_due()
    await scene.sweep()
    assert await scene.waits_for(integration) == 5 * MINUTE
    assert (await scene.health(integration))["status"] == "disconnected"
    assert await scene.count("incidents") == 1


async def test_rate_limits_back_off_and_alarm_nobody(scene: Scene) -> None:
    """A 429 never counts; the next look waits, longer each time, and as long as Retry-After says, up to six hours."""
    [integration] = await scene.add()
    scene.sees(LIMITED)
    waits = []
    for _ in range(5):
        await scene.make_due()
        await scene.sweep()
        waits.append(await scene.waits_for(integration))
    assert waits == [10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 60 * MINUTE, 60 * MINUTE]
    for asked, kept in ((timedelta(hours=3), timedelta(hours=3)), (timedelta(days=3), timedelta(hours=6))):
        scene.sees(Seen(LIMITED.check, "429", LIMITED.failure, LIMITED.diagnosis, retry_after=asked))
        await scene.make_due()
        await scene.sweep()
        assert await scene.waits_for(integration) == kept
    row = await scene.health(integration)
    assert (row["status"], row["failure_count"]) == ("healthy", 0)
    assert await scene.count("integration_events") == 1, "one event a run of rate limits"
    assert await scene.count("incidents") == 0


async def test_nothing_is_looked_at_without_a_pause(scene: Scene) -> None:
    """An interval of nothing is a second."""
    [integration] = await scene.add(1, API | {"interval": "0s"})
    await scene.sweep()
    assert await scene.waits_for(integration) >= timedelta(seconds=1)


async def test_a_large_sweep_is_written_in_bulk(scene: Scene) -> None:
    """Thousands of healthy looks cost a few transactions for each two hundred of them."""
    await scene.add(2_000, hosts=500)
    before = await transactions(scene)
    assert await scene.sweep() == 2_000
    assert await transactions(scene) - before < 100


async def transactions(scene: Scene) -> int:
    """How many transactions have written something since this server was made."""
    count: int = await scene.pool.fetchval("select txid_current()")
    return count
