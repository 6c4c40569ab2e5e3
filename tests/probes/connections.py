"""A stored connection with a monitor, for tests; run as a program it looks once and says what it saw.

`python -m tests.probes.connections DATABASE_URL INTEGRATION` is killed by tests that want to see what that costs.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

from activities.db.connections import ConnectionStore
from activities.db.pool import Pool, create_pool
from activities.playbooks import load_catalogue
from activities.probes.check import Prober
from activities.probes.http import ProbeClient
from activities.probes.monitor import MONITOR, part
from activities.secrets import SecretBox

KEYS = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BOX = SecretBox(KEYS)


async def stored(pool: Pool, monitor: Mapping[str, Any], integration_type: str = "custom_crm") -> UUID:
    """Registers an integration with this monitor, as a PUT does; returns its id."""
    integration: UUID = await pool.fetchval(
        "with c as (insert into customers (external_id, name) values ($1, 'TechCorp') returning id)"
        " insert into integration_health (customer_id, integration_type) select id, $2 from c returning id",
        uuid4().hex,
        integration_type,
    )
    await put(pool, integration, monitor)
    return integration


async def put(pool: Pool, integration: UUID, monitor: Mapping[str, Any]) -> None:
    shown, secrets = part(MONITOR.validate_python(dict(monitor)), {})
    sealed = BOX.seal(integration, secrets) if secrets else None
    await pool.execute(
        "update integration_health set monitor = $2, monitor_secrets = $3 where id = $1", integration, shown, sealed
    )


async def stored_token(pool: Pool, integration: UUID) -> str:
    sealed = await pool.fetchval("select monitor_secrets from integration_health where id = $1", integration)
    return BOX.open(integration, sealed)["refresh_token"]


async def until(seen: Callable[[], Awaitable[object]], within: float = 120) -> None:
    end = time.monotonic() + within
    while not await seen():
        assert time.monotonic() < end, f"not seen within {within} s"
        await asyncio.sleep(0.02)


async def looking(pool: Pool, integration: UUID) -> bool:
    statement = "select lease is not null from connection_looks where integration_health_id = $1"
    return bool(await pool.fetchval(statement, integration))


async def main(url: str, integration: UUID) -> None:
    async with create_pool(url) as pool, ProbeClient(allow_private=True) as client:
        seen = await ConnectionStore(pool, BOX).look(integration, Prober(client, load_catalogue()))
        sys.stdout.write(seen.check)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2])))
