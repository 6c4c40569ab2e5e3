"""Keys are rotated while the service runs, and no credential is lost on the way."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from activities.db.connections import ConnectionStore, credential_name
from activities.db.pool import Pool
from activities.db.resealing import Resealing
from activities.probes.check import Prober
from activities.secrets import SecretBox, SecretsError
from tests.probes.connections import KEYS, looking, stored, until
from tests.probes.peers import http, peer, says
from workflows.contracts import Check

NEW = "k2:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
BOTH = SecretBox(f"{NEW},{KEYS}")
GRANT = '{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"the-next-one"}'


def _monitor(url: str = "https://a.example/") -> dict[str, str]:
    return {"kind": "oauth2", "token_url": url, "client_id": "us", "refresh_token": "the-first-one"}


async def test_afterwards_the_old_key_can_go(pool: Pool) -> None:
    """And a second time there is nothing to do."""
    integration = await stored(pool, _monitor())
    assert await Resealing(pool, SecretBox(NEW)).unreadable() == (
        1,
        "RELINK_ENCRYPTION_KEYS has no key 'k1'; what it encrypted needs it. Put it back.",
    )
    assert await Resealing(pool, BOTH).all() == 1
    sealed = await pool.fetchval("select monitor_secrets from integration_health")
    assert SecretBox(NEW).open(integration, sealed) == {"refresh_token": "the-first-one"}
    assert await Resealing(pool, SecretBox(NEW)).unreadable() == (0, "")
    assert await Resealing(pool, BOTH).all() == 0
    assert not await looking(pool, integration)


async def test_what_is_remembered_of_the_grant_stays(pool: Pool, prober: Prober) -> None:
    """When it was last renewed, for one: that tells when it will end."""
    async with peer(says(http(200, GRANT))) as provider:
        integration = await stored(pool, _monitor(provider.url))
        store = ConnectionStore(pool, BOTH)
        assert (await store.look(integration, prober, force=True)).check is Check.WORKING
        before = await pool.fetchval("select remembered from connection_looks")
        await pool.execute("update integration_health set monitor_secrets = $1", _under_the_old_key(integration))
        await pool.execute(
            "update connection_looks set remembered = jsonb_set(remembered, '{credential}', to_jsonb($1::text))",
            await _credential(pool),
        )
        assert await Resealing(pool, BOTH).all() == 1
        after = await pool.fetchval("select remembered from connection_looks")
        assert after == before | {"credential": await _credential(pool)}


def _under_the_old_key(integration: UUID) -> bytes:
    return SecretBox(KEYS).seal(integration, {"refresh_token": "the-next-one"})


async def _credential(pool: Pool) -> str:
    return credential_name(await pool.fetchval("select monitor_secrets from integration_health"))


async def test_a_look_under_way_is_waited_for(pool: Pool, prober: Prober) -> None:
    """The token that it brings home is stored, and then encrypted again: the provider knows no other."""
    go_on = asyncio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(http(200, GRANT))

    async with peer(slow) as provider:
        integration = await stored(pool, _monitor(provider.url))
        old = ConnectionStore(pool, SecretBox(KEYS))  # a worker that does not know the new key yet
        look = asyncio.create_task(old.look(integration, prober, force=True))
        await until(lambda: looking(pool, integration))
        resealing = asyncio.create_task(Resealing(pool, BOTH).all())
        await asyncio.sleep(0.2)
        assert not resealing.done()
        go_on.set()
        assert (await look).check is Check.WORKING
        assert await resealing == 1
    sealed = await pool.fetchval("select monitor_secrets from integration_health")
    assert SecretBox(NEW).open(integration, sealed)["refresh_token"] == "the-next-one"


async def test_a_missing_key_is_named(pool: Pool) -> None:
    """And nothing is changed."""
    integration = await stored(pool, _monitor())
    with pytest.raises(SecretsError, match="has no key 'k1'"):
        await Resealing(pool, SecretBox(NEW)).all()
    with pytest.raises(SecretsError, match="RELINK_ENCRYPTION_KEYS is not set"):
        await Resealing(pool, SecretBox(None)).all()
    assert not await looking(pool, integration)
