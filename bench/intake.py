"""What it costs to take an event in, against one durable insert into the same database."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import uuid4

from activities.db.events import EventStore
from activities.db.migrate import migrate
from activities.db.pool import create_pool
from activities.events import Event
from activities.playbooks import load_catalogue
from activities.policy import load_policy
from bench.measure import Figure, compare, median_seconds
from starter.embedded.postgres import postgres

_FLOOR = "insert into floor (body) values ($1)"


def event(kind: str = "sync_succeeded") -> Event:
    """One event of one integration."""
    return Event.model_validate(
        {
            "customer_external_id": "bench",
            "integration_type": "salesforce",
            "integration_id": "one",
            "event_id": uuid4().hex,
            "event_type": kind,
        }
    )


async def figures() -> list[Figure]:
    """Durable PostgreSQL, as in production."""
    policy = load_policy()
    with tempfile.TemporaryDirectory(prefix="relink-bench-") as folder:
        async with postgres(Path(folder) / "postgres") as server, create_pool(server.url) as pool:
            await migrate(pool)
            await pool.execute("create table floor (body text)")
            await pool.execute("insert into customers (external_id, name) values ('bench', 'Bench')")
            store = EventStore(pool, lambda: policy, load_catalogue())
            floor = await median_seconds(lambda: pool.execute(_FLOOR, "x" * 200), times=200)
            one = await median_seconds(lambda: store.take([event()]), times=200)
            again = event()
            await store.take([again])
            duplicate = await median_seconds(lambda: store.take([again]), times=200)
            thousand = await median_seconds(lambda: store.take([event() for _ in range(1000)]), times=5, warm_up=1)
    what = "one durable insert"
    return [
        compare("An event taken in: stored, judged, committed", one, floor, what),
        compare("The same event again", duplicate, floor, what),
        compare("An event in an array of 1,000", thousand / 1000, floor, what),
    ]
