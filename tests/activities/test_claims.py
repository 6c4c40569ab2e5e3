"""Looks that are due: claimed by one sweep at a time, and given back if it does not come to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from activities.db.monitoring import Claim, ProbeStore
from activities.playbooks import load_catalogue
from tests.activities.store import Store

LEASE = timedelta(minutes=1)


async def test_a_claim_given_back_is_due_at_once(store: Store) -> None:
    """Nobody else gets it before that, and nobody has to wait for its lease."""
    await store.put(monitor={"kind": "oidc", "issuer": "https://idp.example"})
    probes = ProbeStore(store.pool, store.events, load_catalogue())
    now = datetime.now(UTC)
    claims = await _claim(probes, now)
    assert len(claims) == 1
    assert await _claim(probes, now) == []
    await probes.release(claims, now)
    assert len(await _claim(probes, now)) == 1


async def _claim(probes: ProbeStore, now: datetime) -> list[Claim]:
    return await probes.claim(now, 10, busy_hosts=[], most_per_host=4, lease=LEASE)
