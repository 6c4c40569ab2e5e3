"""One set of servers for all workflow tests; each finds an empty database and a world of its own."""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

import worker
from activities.db.pool import Pool
from tests.replay import histories as recordings
from tests.workflows.account import Account, give_monitor
from tests.workflows.storm import CUSTOMER, Storm
from tests.workflows.surroundings import Surroundings, surroundings, temporal_with_time_skipping, world_in
from tests.workflows.world import World


@pytest_asyncio.fixture(scope="session")
async def around(servers_folder: Path) -> AsyncIterator[Surroundings]:
    """Temporal with time skipping, an inbox and a Slack, shared by all worlds."""
    async with temporal_with_time_skipping() as environment, surroundings(environment, servers_folder) as shared:
        yield shared


@pytest.fixture(scope="session", autouse=True)
def _templates_are_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "Renderer", cache(worker.Renderer))
        yield


@pytest_asyncio.fixture(name="world")
async def _world(
    emptied_pool: Pool, around: Surroundings, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[World]:
    async with world_in(around, emptied_pool) as made:
        yield made
        histories = await made.histories()
        if request.config.getoption("record_histories") and request.node.get_closest_marker("history"):
            recordings.save_once(request.node.originalname.removeprefix("test_"), histories[0])
        # Promise 14, after whatever the test did.
        assert [text for history in histories for text in recordings.canaries_in(history)] == []
        assert [text for text in await made.timeline_texts() if recordings.names_somebody(text)] == []
        logs = [record for record in caplog.get_records("call") if record.name.split(".")[0] not in _PEERS]
        assert [text for text in map(_FORMATTER.format, logs) if recordings.names_somebody(text)] == []


_PEERS = {"werkzeug", "oidc_provider_mock"}  # the provider logs the names of its users
_FORMATTER = logging.Formatter("%(message)s")


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """The issuer address of an OAuth provider that nobody here wrote."""
    with warnings.catch_warnings(record=True):  # it warns about its own libraries, whatever the filters say
        from oidc_provider_mock import run_server_in_thread  # noqa: PLC0415
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # it speaks plain HTTP
        with run_server_in_thread() as server:
            yield f"http://127.0.0.1:{server.server_port}"


@pytest_asyncio.fixture
async def account(provider: str, world: World) -> Account:
    """A grant at the provider, watched by the integration's monitor."""
    user = f"bob-{uuid4().hex[:8]}"
    made = Account(provider, user)
    await give_monitor(world.pool, await made.monitor())
    return made


@pytest_asyncio.fixture(scope="module")
async def mortal() -> AsyncIterator[asyncio.subprocess.Process]:
    """Worker processes that die where a test says: tests/workflows/mortal_worker.py."""
    command = [sys.executable, "-m", "tests.workflows.mortal_worker"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    yield process
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


@pytest_asyncio.fixture(name="storm")
async def _storm(world: World) -> AsyncIterator[Storm]:
    customers = [f"c{n}" for n in range(12)]
    for n, customer in enumerate(customers):
        await world.pool.execute(CUSTOMER, customer, "maria@vendor.example" if n < 8 else "ken@vendor.example", n)
    world.set_policy(customer={"group_within": "0s", "min_between_mails": "0s"})
    yield Storm(world, customers)
