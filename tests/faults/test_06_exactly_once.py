"""Promise 6: tasks, scores, signals and the timeline exactly once, however hard the life."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import pytest

from starter.embedded.inbox import Failure as MailFailure
from starter.embedded.slack import Failure as SlackFailure
from tests.faults.cluster import WORKERS
from tests.faults.scene import Scene, names
from tests.faults.wire import drip, gigabyte


async def test_flapping(scene: Scene) -> None:
    """A connection that comes and goes is one incident, one alert, one mail, one task, one change of the score."""
    (one,) = await scene.integrations(1)
    status = "select i.status from incidents i join customers c on c.id = i.customer_id where c.external_id = $1"
    async with scene.policy('quiet_window = "2s"', 'quiet_window = "1h"'):
        await scene.say_until_taken(one.event())
        await scene.until_told(2, one.customer)
        for n in range(15):
            await scene.say_until_taken(one.event("sync_succeeded"))
            if n % 3:  # else it fails again at once, seen to work or not
                await scene.until(status, one.customer, is_="recovering")
            await scene.say_until_taken(one.event())
    ended = await scene.http.get("/v1/incidents", params={"customer": one.customer})
    (incident,) = ended.json()["items"]
    reason = {"by": "lena", "reason": "no_longer_used"}
    (await scene.http.post(f"/v1/incidents/{incident['id']}/resolve", json=reason)).raise_for_status()
    await scene.until_over(one.customer)
    assert await scene.pool.fetchval("select relapses from incidents where id = $1", UUID(incident["id"])) >= 10
    await scene.audit()


async def test_a_rolling_restart(scene: Scene) -> None:
    """SIGTERM drains: what is under way is finished by the one who began it, the exit code is 0, and others go on."""
    broken = await scene.integrations(6)
    scene.cluster.slack.fail(SlackFailure(method="chat.postMessage", delay=1.5, times=6))
    await scene.say_until_taken(*(one.event() for one in broken))
    await scene.until("select count(*) > 0 from deliveries where status = 'sending'")
    for name in (*WORKERS, "probes"):
        assert await scene.cluster.stop(name) == 0
        await scene.cluster.start(name)
    await scene.until_told(2 * len(broken), *names(broken))
    attempts = (
        "select max(attempts) from deliveries d join incidents i on i.id = d.incident_id"
        " join customers c on c.id = i.customer_id where c.external_id = any($1)"
    )
    assert await scene.pool.fetchval(attempts, names(broken)) == 1
    await scene.say_until_taken(*(one.event("sync_succeeded") for one in broken))
    await scene.until_over(*names(broken))
    await scene.audit()


async def test_everybody_outside_has_a_bad_day(scene: Scene) -> None:
    """Slack answers 429, 500, nothing, and drops what it took; the mail server says 451, and closes after DATA: all are
    told in the end, at most once each, but for a mail whose reply was lost."""
    for trouble in ({"http_status": 429}, {"http_status": 500}, {"drop": True}, {"error": "internal_error"}):
        scene.cluster.slack.fail(SlackFailure(method="chat.postMessage", times=2, **trouble))
    for trouble in ({"stage": "rcpt", "code": 451}, {"stage": "data", "code": 451}, {"stage": "data"}):
        scene.cluster.inbox.fail(MailFailure(times=2, **trouble))
    broken = await scene.integrations(8)
    await scene.say_until_taken(*(one.event() for one in broken))
    await scene.until_told(2 * len(broken), *names(broken))
    await scene.say_until_taken(*(one.event("sync_succeeded") for one in broken))
    await scene.until_over(*names(broken))
    await scene.audit()


@pytest.mark.parametrize("habit", [gigabyte, drip])
async def test_endless_answers(scene: Scene, habit: Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]) -> None:
    """Slack and the mail server say a gigabyte, or a byte a second: no worker waits for the end of it, or keeps it."""
    for wire, opening in (
        (scene.cluster.slack_wire, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"),
        (scene.cluster.smtp_wire, b"220-"),
    ):
        wire.habits = [partial(habit, opening=opening)] * 2
    broken = await scene.integrations(2)
    await scene.say_until_taken(*(one.event() for one in broken))
    await scene.until_told(2 * len(broken), *names(broken))
    for name in WORKERS:
        assert scene.cluster.memory(name) < 500 * 2**20
    await scene.say_until_taken(*(one.event("sync_succeeded") for one in broken))
    await scene.until_over(*names(broken))
    await scene.audit()


async def test_a_poison_row_holds_nobody_else_up(scene: Scene) -> None:
    """An incident whose row can't be read waits for its repair; the others are told meanwhile, and then so is it."""
    poisoned, fine = await scene.integrations(2)
    await scene.cluster.kill(*WORKERS)
    await scene.say_until_taken(poisoned.event())
    policy = await scene.pool.fetchval("select policy from incidents where status = 'open'")
    await scene.pool.execute("update incidents set policy = $1 where status = 'open'", {"nonsense": 1})
    await scene.cluster.start(*WORKERS)
    await scene.say_until_taken(fine.event())
    await scene.until_told(2, fine.customer)
    await scene.say_until_taken(fine.event("sync_succeeded"))
    await scene.until_over(fine.customer)
    await scene.pool.execute("update incidents set policy = $1 where policy = $2", policy, {"nonsense": 1})
    await scene.until_told(2, poisoned.customer)
    await scene.say_until_taken(poisoned.event("sync_succeeded"))
    await scene.until_over(poisoned.customer)
    await scene.audit()


async def test_frozen_database(scene: Scene) -> None:
    """PostgreSQL stops answering without closing a connection: 503 within bounds, and afterwards all goes on."""
    (one,) = await scene.integrations(1)
    await scene.say_until_taken(one.event())
    scene.cluster.freeze("postgres")
    answer = await scene.http.post("/v1/events", json=one.event())
    assert answer.status_code == 503, json.dumps(answer.json())
    scene.cluster.thaw("postgres")
    await scene.until_told(2, one.customer)
    await scene.say_until_taken(one.event("sync_succeeded"))
    await scene.until_over(one.customer)
    await scene.audit()


async def test_any_order_of_starts(scene: Scene) -> None:
    """Workers and API that come up before their servers say what they wait for, and work once it is there."""
    cluster = scene.cluster
    await cluster.kill("api", "probes", *WORKERS, "temporal", "postgres")
    async with asyncio.TaskGroup() as early:
        early.create_task(cluster.start("api", "probes", *WORKERS))
        for name in ("api", "probes", *WORKERS):
            await scene.until_log(name, "waiting for PostgreSQL")
        await cluster.start("postgres")
        await scene.until_log("worker-1", "waiting for Temporal")
        await cluster.start("temporal")
    (one,) = await scene.integrations(1)
    await scene.say_until_taken(one.event())
    await scene.until_told(2, one.customer)
    await scene.say_until_taken(one.event("sync_succeeded"))
    await scene.until_over(one.customer)
    await scene.audit()


async def test_ready_goes_down_first(scene: Scene) -> None:
    """A stopping API first says that it is not ready, and serves on until load balancers have noticed."""
    cluster = scene.cluster
    (one,) = await scene.integrations(1)
    cluster.signal("api", signal.SIGTERM)
    seen = []
    for _ in range(100):
        ready, event = await asyncio.gather(scene.http.get("/readyz"), scene.say(one.event("sync_succeeded")))
        seen.append((ready.status_code, event.status_code))
        if ready.status_code == 503:
            break
        await asyncio.sleep(0.05)
    assert seen[-1] == (503, 202), seen
    assert await cluster.stop("api") == 0
    await scene.audit()
