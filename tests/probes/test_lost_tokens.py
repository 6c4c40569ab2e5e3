"""What a crash, a cancelled look or a database that is away costs a rotating grant."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from activities.db.connections import ConnectionStore
from activities.db.pool import Pool
from activities.probes.check import Prober
from tests.probes.connections import BOX, looking, put, stored, stored_token, until
from tests.probes.peers import RotatingProvider
from workflows.contracts import Check

ROOT = Path(__file__).resolve().parents[2]


async def test_a_cancelled_look_is_finished(
    pool: Pool, store: ConnectionStore, prober: Prober, rotating: RotatingProvider
) -> None:
    """A refresh that was sent is stored although nobody waits any more, and the lease is given back."""
    integration = await stored(pool, rotating.monitor(rotating.grant()))
    before, asked = await stored_token(pool, integration), rotating.refreshes
    with rotating.slow(300):
        look = asyncio.create_task(store.look(integration, prober))
        await until(lambda: asyncio.to_thread(lambda: rotating.refreshes > asked))
        look.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look
    assert await stored_token(pool, integration) != before
    assert not await looking(pool, integration)
    assert (await store.look(integration, prober, force=True)).check is Check.WORKING


class _Away:
    """A pool whose database is away when a token is to be stored; `lost` answers come after the statement has run."""

    def __init__(self, pool: Pool, times: int, *, lost: bool) -> None:
        self._pool, self._times, self._lost = pool, times, lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        if "set monitor_secrets" in statement and self._times:
            self._times -= 1
            if self._lost:
                await self._pool.fetchval(statement, *arguments)
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return await self._pool.fetchval(statement, *arguments)


@pytest.mark.parametrize("lost", [False, True], ids=["away", "answer lost"])
async def test_the_database_is_away(pool: Pool, prober: Prober, rotating: RotatingProvider, lost: bool) -> None:
    """A new token exists nowhere else, so storing it is tried again."""
    integration = await stored(pool, rotating.monitor(rotating.grant()))
    before = await stored_token(pool, integration)
    store = ConnectionStore(_Away(pool, 2, lost=lost), BOX)  # type: ignore[arg-type]  # a pool in all that is used
    assert (await store.look(integration, prober)).check is Check.WORKING
    assert await stored_token(pool, integration) != before
    assert (await store.look(integration, prober, force=True)).check is Check.WORKING


async def _killed(database: str, integration: UUID, when: Callable[[], Awaitable[object]]) -> None:
    """Another process looks, and is killed in the middle of it; its lease is then let run out."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.probes.connections", database, str(integration),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await until(when)
    process.kill()
    await process.communicate()


async def _expire(pool: Pool) -> None:
    await pool.execute("update connection_looks set lease_until = now() - interval '1 second'")


async def test_killed_between_the_refresh_and_its_answer(
    database: str, pool: Pool, store: ConnectionStore, prober: Prober, rotating: RotatingProvider
) -> None:
    """What is possible and what is not: the lease runs out and somebody else looks, but a token that the provider gave
    to a dead process is lost, and a provider that detects reuse has then ended the grant. The finding says so."""
    integration, asked = await stored(pool, rotating.monitor(rotating.grant())), rotating.refreshes

    async def answered() -> bool:
        refreshed = await asyncio.to_thread(lambda: rotating.refreshes > asked)
        await asyncio.sleep(0.2 if refreshed else 0)  # it decides at once, and keeps the answer back
        return refreshed

    with rotating.slow(2000):
        await _killed(database, integration, answered)
    assert await looking(pool, integration)
    await _expire(pool)
    seen = await store.look(integration, prober)
    assert seen.check is Check.BROKEN
    assert "a refresh of ours was cut off at " in seen.detail
    await put(pool, integration, rotating.monitor(rotating.grant()))
    seen = await store.look(integration, prober)
    assert (seen.check, "cut off" in seen.detail) == (Check.WORKING, False)


async def test_killed_after_the_token_was_stored(
    database: str, pool: Pool, store: ConnectionStore, prober: Prober, rotating: RotatingProvider
) -> None:
    """On the line after the store nothing is lost."""
    integration = await stored(pool, rotating.monitor(rotating.grant()))
    before = await stored_token(pool, integration)

    async def rotated() -> bool:
        return await stored_token(pool, integration) != before

    blocker = await asyncpg.connect(database)
    try:
        with rotating.slow(500):
            killing = asyncio.create_task(_killed(database, integration, rotated))
            await until(lambda: looking(pool, integration))
            await blocker.execute("begin")
            lock = "select from connection_looks where integration_health_id = $1 for update"
            await blocker.execute(lock, integration)  # so that it stores the token, and then can't go on
            await killing
    finally:
        await blocker.close()
    await _expire(pool)
    assert (await store.look(integration, prober)).check is Check.WORKING
