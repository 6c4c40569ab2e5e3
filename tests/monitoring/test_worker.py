"""The sweep as Temporal runs it: its schedule, its worker, and what happens when that worker is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import web
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from starter.embedded.temporal import TemporalServer, temporal
from starter.schedules import MONITOR, SCHEDULED, Keeper
from tests.monitoring.scene import API, Scene
from workflows.contracts import PROBE_TASK_QUEUE

COUNT = 300


@pytest_asyncio.fixture(scope="module")
async def server(servers_folder: Path) -> AsyncIterator[TemporalServer]:
    async with temporal(None, log=servers_folder / "temporal-of-monitoring.log") as running:
        yield running


@pytest_asyncio.fixture
async def client(server: TemporalServer) -> Client:
    return await Client.connect(server.address, data_converter=pydantic_data_converter)


class Peer:
    """A provider's API that takes a moment, and remembers who was asked about when."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.match_info["who"], asyncio.get_running_loop().time()))
        await asyncio.sleep(0.05)
        return web.json_response({"ok": True})


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    made, app = Peer(), web.Application()
    app.router.add_get("/{who}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def probe_worker(database: str, server: TemporalServer, lease: float = 3) -> AsyncIterator[Process]:
    command = ("-m", "tests.monitoring.probe_worker", database, server.address, str(lease))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(seen: Callable[[], Awaitable[Any]], within: float = 30) -> None:
    end = asyncio.get_running_loop().time() + within
    while not await seen():
        assert asyncio.get_running_loop().time() < end, "not seen in time"
        await asyncio.sleep(0.05)


async def test_killed_in_mid_sweep(
    scene: Scene, database: str, server: TemporalServer, client: Client, peer: Peer
) -> None:
    """SIGKILL while 300 integrations are being looked at: afterwards each has been, and none was recorded twice."""
    await Keeper(client).once()
    for n in range(COUNT):
        await scene.add(1, API | {"endpoints": [{"url": f"{peer.url}/{n}"}], "interval": "10m"})

    async def recorded() -> int:
        count: int = await scene.pool.fetchval("select count(*) from probes where probed_at is not null")
        return count

    async def some() -> bool:
        return await recorded() >= COUNT // 10

    async def everything() -> bool:
        return await recorded() == COUNT

    async with probe_worker(database, server) as first:
        await until(some)
        os.kill(first.pid, signal.SIGKILL)
        await first.wait()
        done = {
            row[0]
            for row in await scene.pool.fetch("select integration_health_id from probes where probed_at is not null")
        }
        assert len(done) < COUNT, "it was killed too late to prove anything"
        before = {name for name, _ in peer.asked}
    async with probe_worker(database, server):
        await until(everything)
        await asyncio.sleep(1)
    asked = Counter(name for name, _ in peer.asked)
    assert set(asked) == {str(n) for n in range(COUNT)}
    assert all(count == 1 or name in before for name, count in asked.items()), "only what was cut off is repeated"
    counted = await scene.pool.fetch("select sum(probes) as looks from health_metrics group by integration_health_id")
    assert [row["looks"] for row in counted] == [1] * COUNT
    due: list[datetime] = [row[0] for row in await scene.pool.fetch("select due_at - probed_at from probes")]
    assert min(due) >= timedelta(minutes=10)  # type: ignore[type-var]  # intervals


async def test_the_schedules_are_made(client: Client) -> None:
    """A short tick, on the probes' own queue, never two sweeps at a time, and no catching up."""
    await Keeper(client).once()
    described = {s.id: (await client.get_schedule_handle(s.id).describe()).schedule for s in SCHEDULED}
    sweep = described[MONITOR]
    assert sweep.spec.intervals[0].every == timedelta(seconds=10)
    assert sweep.action.task_queue == PROBE_TASK_QUEUE  # type: ignore[union-attr]
    assert sweep.policy.overlap.name == "SKIP"
    assert sweep.policy.catchup_window <= timedelta(minutes=1)
