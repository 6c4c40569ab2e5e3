"""Keys: hashed at rest, revoked within seconds, and so many requests a second each."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest

from activities.db.customers import UnknownCustomerError
from activities.db.keys import KeyStore, Scope
from starter.api.limits import KeyCache, Throttle
from starter.api.problems import Problem
from tests.api.calling import Api


async def test_keys_are_stored_as_hashes_only(shared: Api) -> None:
    store = KeyStore(shared.pool)
    made, key = await store.create("producer", ["events", "events"])
    assert key.startswith("relink_")
    assert len(key) >= len("relink_") + 43  # 256 bits
    row = await shared.pool.fetchrow("select * from api_keys where id = $1", made.id)
    assert row is not None
    assert row["key_hash"] == hashlib.sha256(key.encode()).digest()
    assert key not in str(dict(row))
    assert made.scopes == {Scope.EVENTS}
    assert made.id in {known.id for known in await store.list()}


async def test_a_key_needs_known_scopes_and_a_known_customer(shared: Api) -> None:
    store = KeyStore(shared.pool)
    with pytest.raises(ValueError, match="everything"):
        await store.create("x", ["everything"])
    with pytest.raises(ValueError, match="at least one scope"):
        await store.create("x", [])
    with pytest.raises(UnknownCustomerError):
        await store.create("x", ["read"], "nobody")


async def test_a_revoked_key_is_refused_within_five_seconds(shared: Api) -> None:
    """Found keys are remembered for five seconds, and no longer."""
    store, now = KeyStore(shared.pool), 0.0
    cache = KeyCache(store, clock=lambda: now)
    made, key = await store.create("short-lived", ["read"])
    assert await cache.find(key) == made
    assert await store.revoke(made.id)
    assert not await store.revoke(made.id)
    now = 5.0
    assert await cache.find(key) is None


async def test_an_unknown_key_is_not_remembered(shared: Api) -> None:
    """So that a key works from the moment that it is made."""
    cache = KeyCache(KeyStore(shared.pool), clock=lambda: 0.0)
    assert await cache.find("relink_none") is None
    assert cache._known == {}


def test_a_bucket_refills_while_time_passes() -> None:
    now = 100.0
    throttle, key, other = Throttle(clock=lambda: now), UUID(int=1), UUID(int=2)
    for _ in range(3):
        throttle.take(key, 3)
    with pytest.raises(Problem) as refused:
        throttle.take(key, 3)
    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
    throttle.take(other, 3)  # another key has its own
    now += 0.34
    throttle.take(key, 3)
    with pytest.raises(Problem):
        throttle.take(key, 3)


async def test_too_fast_is_429_with_retry_after(shared: Api) -> None:
    headers = await shared.key("read")
    limit = shared.resources.policy.current.limits.per_key_per_second
    (key,) = [k for k in await KeyStore(shared.pool).list() if k.name == "test" and k.scopes == {Scope.READ}][-1:]
    shared.resources.throttle._buckets[key.id] = (0.0, shared.resources.throttle._clock() + 60)
    response = await shared.http.get("/v1/incidents", headers=headers)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    assert str(limit) in response.json()["detail"]
