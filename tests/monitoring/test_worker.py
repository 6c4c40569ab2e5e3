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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from aiohttp import web
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.db.outages import OutageStore
from activities.monitoring import Monitoring
from activities.policy import PolicySource
from activities.settings import Settings
from starter.embedded.inbox import Inbox, inbox
from starter.embedded.temporal import TemporalServer, temporal
from starter.schedules import MONITOR, SCHEDULED, Keeper
from tests.monitoring.scene import API, Scene
from worker import activities, make_probe_worker, make_worker, probing
from workflows.contracts import PROBE_TASK_QUEUE, TASK_QUEUE
from workflows.monitoring import MonitorIntegrations, WarnOfExpiry

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


async def until(seen: Callable[[], Awaitable[Any]], within: float = 180) -> None:
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
        assert await recorded() < COUNT, "it was killed too late to prove anything"
        before = {name for name, _ in peer.asked}
    async with probe_worker(database, server):
        await until(everything)
        await asyncio.sleep(1)
    asked = Counter(name for name, _ in peer.asked)
    assert set(asked) == {str(n) for n in range(COUNT)}
    assert all(count == 1 or name in before for name, count in asked.items()), "only what was cut off is repeated"
    counted = await scene.pool.fetch("select sum(probes) as looks from health_metrics group by integration_health_id")
    assert [row["looks"] for row in counted] == [1] * COUNT
    waits: list[timedelta] = [row[0] for row in await scene.pool.fetch("select due_at - probed_at from probes")]
    assert min(waits) >= timedelta(minutes=10)


async def test_a_waiting_message_goes_out_through_the_other_queue(
    scene: Scene, client: Client, servers_folder: Path
) -> None:
    """The sweep finds that a message waits, and has it sent by a workflow on the queue of notices."""
    scene.change("people", engineering={"email": "oncall@vendor.example"})
    await OutageStore(scene.pool).note(datetime.now(UTC), scene.policy, down=True, unanswered=12)
    options: dict[str, Any] = {"id": "one-sweep", "task_queue": PROBE_TASK_QUEUE}
    async with inbox(servers_folder / "mail-of-an-outage") as mails, workers(scene, client, mails):

        async def arrived() -> bool:
            # Slack is not configured: one round turns the message into a mail, a later one sends it.
            await client.execute_workflow(MonitorIntegrations.run, **options)
            await asyncio.sleep(0.2)
            return bool(mails.messages())

        assert (await client.execute_workflow(MonitorIntegrations.run, **options)).notices_waiting
        await until(arrived)
        assert mails.messages()[0].recipients == ("oncall@vendor.example",)
        assert not (await client.execute_workflow(MonitorIntegrations.run, **options)).notices_waiting


async def test_once_an_hour_things_are_warned_of_and_forgotten(
    scene: Scene, client: Client, servers_folder: Path
) -> None:
    """The hourly workflow writes the warnings, and deletes what is too old."""
    [integration] = await scene.add(1, API | {"paused": True})
    csm = (
        "insert into people (customer_id, role, email) select customer_id, 'csm', 'm@v.example' from integration_health"
    )
    await scene.pool.execute(csm)
    for statement in (
        "insert into credential_ends values ($1, 'api_key', 'a key', now() + interval '3 days', 'customer', now())",
        "insert into health_metrics values ($1, now() - interval '100 days', 1, 1, 0, '{}')",
    ):
        await scene.pool.execute(statement, integration)
    async with inbox(servers_folder / "mail-of-the-hour") as mails, workers(scene, client, mails):
        await client.execute_workflow(WarnOfExpiry.run, id="an-hour", task_queue=TASK_QUEUE)
    assert await scene.pool.fetchval("select recipient from deliveries") == "m@v.example"
    assert await scene.count("health_metrics") == 0


@asynccontextmanager
async def workers(scene: Scene, client: Client, mails: Inbox) -> AsyncIterator[None]:
    """Both workers in this process, with sweeps that do not linger."""
    settings, policy = Settings(smtp_url=SecretStr(mails.smtp_url), **SETTINGS), PolicySource()
    policy.current = scene.policy
    objects = activities(settings, policy, scene.pool, client, scene.client, Keeper(client))
    monitoring, verification = probing(settings, policy, scene.pool, client, scene.client)
    assert isinstance(monitoring, Monitoring)
    quick = Monitoring(scene.pool, monitoring.sweeper, seconds=0.1)
    async with make_worker(client, objects), make_probe_worker(client, [quick, verification]):
        yield


SETTINGS: dict[str, Any] = {
    "secret_key": "a-secret-of-this-test-run-and-no-other",
    "public_url": "https://relink.test",
    "email_from": "Relink <relink@acme.example>",
}


async def test_the_schedules_are_made(client: Client) -> None:
    """A short tick, on the probes' own queue, never two sweeps at a time, and no catching up."""
    await Keeper(client).once()
    described = {s.id: (await client.get_schedule_handle(s.id).describe()).schedule for s in SCHEDULED}
    sweep = described[MONITOR]
    assert sweep.spec.intervals[0].every == timedelta(seconds=10)
    assert sweep.action.task_queue == PROBE_TASK_QUEUE  # type: ignore[union-attr]
    assert sweep.policy.overlap.name == "SKIP"
    assert sweep.policy.catchup_window <= timedelta(minutes=1)
