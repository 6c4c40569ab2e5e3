"""Looks through the store: one at a time, the newest credential, and no token lost."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from activities.db import connections
from activities.db.connections import ConnectionStore
from activities.db.pool import Pool, create_pool
from activities.probes.check import MONITOR_SOURCE, Prober
from activities.secrets import SecretBox
from tests.probes.connections import BOX, looking, put, stored, until
from tests.probes.peers import RotatingProvider, http, peer, says
from workflows.contracts import Check

ROOT = Path(__file__).resolve().parents[2]


async def test_ten_looks_at_once(
    database: str, pool: Pool, store: ConnectionStore, prober: Prober, rotating: RotatingProvider
) -> None:
    """From two pools, as from two processes: one refresh, one result for all, and the grant survives."""
    integration, before = await stored(pool, rotating.monitor(rotating.grant())), rotating.refreshes
    async with create_pool(database) as other:
        stores = [store, ConnectionStore(other, BOX)] * 5
        with rotating.slow(300):
            looks = await asyncio.gather(*(s.look(integration, prober) for s in stores))
    assert {(seen.check, seen.detail) for seen in looks} == {
        (Check.WORKING, "the refresh token was accepted and replaced")
    }
    assert rotating.refreshes == before + 1
    assert all(seen.renewal is None for seen in looks)
    assert looks[0] == looks[9]
    assert (await store.look(integration, prober, force=True)).check is Check.WORKING


async def test_without_it_the_grant_would_die(prober: Prober, rotating: RotatingProvider) -> None:
    """The same ten looks past the store kill the grant: the provider does detect reuse."""
    from activities.probes.monitor import MONITOR  # noqa: PLC0415

    monitor = MONITOR.validate_python(rotating.monitor(rotating.grant()))
    looks = await asyncio.gather(*(prober.look("custom_crm", monitor) for _ in range(10)))
    assert {seen.check for seen in looks} >= {Check.BROKEN}
    new = next(seen.renewal.refresh_token for seen in looks if seen.renewal)
    again = MONITOR.validate_python(rotating.monitor(str(new)))
    assert (await prober.look("custom_crm", again)).check is Check.BROKEN


async def test_force_really_asks(
    pool: Pool, store: ConnectionStore, prober: Prober, rotating: RotatingProvider
) -> None:
    """A result a few seconds old answers whoever does not insist; a verification asks, and so do those beside it,
    but together."""
    integration, before = await stored(pool, rotating.monitor(rotating.grant())), rotating.refreshes
    await store.look(integration, prober)
    await store.look(integration, prober)
    assert rotating.refreshes == before + 1
    await store.look(integration, prober, force=True)
    assert rotating.refreshes == before + 2
    with rotating.slow(100):
        looks = await asyncio.gather(*(store.look(integration, prober, force=True) for _ in range(5)))
    assert {seen.check for seen in looks} == {Check.WORKING}
    assert before + 3 <= rotating.refreshes <= before + 4
    await pool.execute("update connection_looks set looked_at = looked_at - interval '6 seconds'")
    await store.look(integration, prober)
    assert rotating.refreshes >= before + 4


async def test_a_changed_monitor_is_looked_at(pool: Pool, store: ConnectionStore, prober: Prober) -> None:
    """A result of the old monitor answers nobody who asks for the new one."""
    async with peer(says(http(204))) as good, peer(says(http(410))) as gone:
        monitor = {"kind": "webhook", "window": "1h", "failure_budget": 0.5}
        integration = await stored(pool, {**monitor, "test_url": gone.url})
        assert (await store.look(integration, prober)).check is Check.BROKEN
        await put(pool, integration, {**monitor, "test_url": good.url})
        assert (await store.look(integration, prober)).check is Check.WORKING


async def test_a_credential_that_changes_during_the_look(
    pool: Pool, store: ConnectionStore, prober: Prober, rotating: RotatingProvider
) -> None:
    """Refused with the old one, tried with the new one before anything is called broken."""
    dead = rotating.grant()
    rotating.revoke(dead)
    integration = await stored(pool, rotating.monitor(dead))
    with rotating.slow(2000):
        look = asyncio.create_task(store.look(integration, prober))
        await until(lambda: looking(pool, integration))
        await asyncio.sleep(0.2)
        await put(pool, integration, rotating.monitor(rotating.grant()))
        seen = await look
    assert seen.check is Check.WORKING
    assert (await store.look(integration, prober, force=True)).check is Check.WORKING


async def test_the_owner_is_faster(
    pool: Pool, store: ConnectionStore, prober: Prober, rotating: RotatingProvider
) -> None:
    """A token that the owner stores while ours is renewed stays: it is the newer grant."""
    integration, theirs = await stored(pool, rotating.monitor(rotating.grant())), rotating.grant()
    with rotating.slow(2000):
        look = asyncio.create_task(store.look(integration, prober))
        await until(lambda: looking(pool, integration))
        await asyncio.sleep(0.2)
        await put(pool, integration, rotating.monitor(theirs))
        assert (await look).check is Check.WORKING
    seen = await store.look(integration, prober, force=True)
    assert seen.check is Check.WORKING


async def test_a_living_look_keeps_its_lease(
    pool: Pool, store: ConnectionStore, prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look longer than the lease is not taken over, because it renews it."""
    monkeypatch.setattr(connections, "_LEASE", timedelta(seconds=3))
    monkeypatch.setattr(connections, "_RENEWED_EVERY", 0.1)
    async with peer(says(b"", pause=5, then=http(204))) as slow:
        body = {"kind": "webhook", "window": "1h", "failure_budget": 0.5, "test_url": slow.url}
        integration = await stored(pool, body)
        looks = await asyncio.gather(*(store.look(integration, prober) for _ in range(3)))
        assert slow.connections == 1
    assert {seen.check for seen in looks} == {Check.WORKING}


async def test_slow_peers_hold_no_database_connection(database: str, pool: Pool, prober: Prober) -> None:
    """160 looks at ten slow peers, over two database connections: many are under way at once."""
    asked, together = 0, asyncio.Event()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 20:
            together.set()
        await together.wait()
        writer.write(http(204))
        await writer.drain()

    async with AsyncExitStack() as stack:
        small = await stack.enter_async_context(create_pool(database, size=2))
        peers = [await stack.enter_async_context(peer(talk)) for _ in range(10)]
        bodies = [{"kind": "api", "endpoints": [{"url": slow.url}]} for slow in peers]
        ids = await asyncio.gather(*(stored(pool, bodies[i % 10]) for i in range(160)))
        store = ConnectionStore(small, BOX)
        looks = await asyncio.gather(*(store.look(i, prober) for i in ids))
    assert {seen.check for seen in looks} == {Check.WORKING}


async def test_nothing_secret_is_kept_of_a_look(pool: Pool, store: ConnectionStore, prober: Prober) -> None:
    """The stored result holds what the timeline may show, and another process reads the same from it."""
    answer = http(400, '{"error":"invalid_grant","token":"the-refresh-token","refresh_token":"another-one"}')
    async with peer(says(answer)) as server:
        body = {"kind": "oauth2", "token_url": server.url, "client_id": "us", "refresh_token": "the-refresh-token"}
        integration = await stored(pool, body, "atlassian")
        seen = await store.look(integration, prober)
        assert await store.look(integration, prober) == seen
        assert server.connections == 1
    row = await pool.fetchval("select to_jsonb(l)::text from connection_looks l")
    assert "the-refresh-token" not in row
    assert "another-one" not in row
    assert seen.check is Check.BROKEN


async def test_what_can_not_be_looked_at(pool: Pool, store: ConnectionStore, prober: Prober) -> None:
    """Removed, without a monitor, with a lost key, or not valid any more: nobody's failure, and it says what to do."""
    assert (await store.look(uuid4(), prober)).detail == "there is no monitor any more"
    body = {"kind": "oauth2", "token_url": "https://a.example/", "client_id": "us", "refresh_token": "r"}
    integration = await stored(pool, body)
    other = SecretBox("k2:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    seen = await ConnectionStore(pool, other).look(integration, prober)
    assert (seen.check, seen.diagnosis) == (Check.INCONCLUSIVE, None)
    assert "has no key 'k1'" in seen.detail
    await pool.execute('update integration_health set monitor = monitor || \'{"token_url": "ftp://x"}\'')
    assert "PUT it again" in (await store.look(integration, prober, force=True)).detail
    await pool.execute("update integration_health set monitor = null")
    assert (await store.look(integration, prober)).detail == "there is no monitor any more"
    assert not await looking(pool, integration)


async def test_deliveries_are_counted(pool: Pool, store: ConnectionStore, prober: Prober) -> None:
    """The product's own within the window; what the monitor itself reported is none."""
    integration = await stored(pool, {"kind": "webhook", "window": "1h", "failure_budget": 0.5})
    assert (await store.look(integration, prober)).detail == "no deliveries in the last 1 h"
    events = [
        ("webhook_failed", "failure", "api", 300), ("sync_succeeded", "success", "api", 50),
        ("webhook_failed", "failure", "api", 40), ("webhook_failed", "failure", "svix", 30),
        ("webhook_failed", "failure", MONITOR_SOURCE, 20), ("sync_succeeded", "success", MONITOR_SOURCE, 10),
        ("webhook_failed", "rate_limit", "api", 5), ("integration_status_changed", "failure", "api", 4),
    ]  # fmt: skip
    for event_type, effect, source, minutes in events:
        await pool.execute(
            "insert into integration_events (integration_health_id, event_type, effect, source, event_id, occurred_at)"
            " values ($1, $2, $3, $4, gen_random_uuid()::text, now() - $5::interval)",
            integration, event_type, effect, source, timedelta(minutes=minutes),
        )  # fmt: skip
    seen = await store.look(integration, prober, force=True)
    assert (seen.check, seen.detail) == (Check.WORKING, "2 of 3 deliveries failed in the last 1 h")


async def test_heartbeat_goes_by_the_last_sync(pool: Pool, store: ConnectionStore, prober: Prober) -> None:
    """From the row, without asking anybody."""
    integration = await stored(pool, {"kind": "heartbeat", "every": "1h"})
    assert (await store.look(integration, prober)).check is Check.INCONCLUSIVE
    await pool.execute(
        "update integration_health set last_successful_sync = now() - interval '2 hours', created_at = '2026-01-01'"
    )
    assert (await store.look(integration, prober, force=True)).check is Check.BROKEN
    await pool.execute("update integration_health set last_successful_sync = now()")
    assert (await store.look(integration, prober, force=True)).check is Check.WORKING
