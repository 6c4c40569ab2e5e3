"""An installation of an earlier version goes on with this one: nothing that was open, held or under way is lost."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from activities.db import migrate as migrating
from activities.db.migrate import migrate, migrations
from activities.db.pool import Pool, create_pool
from activities.links import Links, Purpose
from starter.embedded.postgres import PostgresServer
from tests.workflows.surroundings import Surroundings, world_in
from tests.workflows.world import CUSTOMER_MAIL, SECRET_KEY

# What that version wrote, with six migrations: an acknowledged incident whose customer's mail was being sent when the
# worker died, one that was closed as no longer used, one that is held because of a person's word.
ROWS = Path(__file__).parents[1] / "data" / "before_0007.json"
LAST = 6
BROKEN = UUID("5a00f3b6-5762-46c8-8d36-02be4273988d")
UNUSED = UUID("f4548c3e-d6cf-41ea-8144-57b4babde030")
HELD = UUID("28839152-608e-46a2-a9b8-4892938a6582")
SIGNED = datetime(2026, 11, 24, tzinfo=UTC)
LINK = "WgDztldiRsiNNgK-QnOYjQAAAAAAAAAAAAAAAAAAAAAAayxggKgD0MaE44A7xDaZfFgRVUU"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)")


def as_of_now(text: str) -> str:
    """The same with its newest moment a minute ago: deadlines were not missed while the file was on a disk."""
    times = {said: datetime.fromisoformat(said) for said in _TIME.findall(text)}
    written = datetime.fromisoformat(json.loads(text)["doorbells"][-1]["created_at"])
    passed = datetime.now(UTC) - timedelta(minutes=1) - written
    return _TIME.sub(lambda said: (times[said[0]] + passed).isoformat(), text)


@pytest_asyncio.fixture
async def old(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """The database as the earlier version left it."""
    name = f"old_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres_server.url)
    await admin.execute(f"create database {name}")
    async with create_pool(postgres_server.database(name), size=20) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(migrating, "migrations", lambda: migrations()[:LAST])
            await migrate(pool)
        for table, rows in json.loads(as_of_now(ROWS.read_text())).items():
            names = sorted({column for row in rows for column in row})
            for row in rows:
                given = ", ".join(column for column in names if column in row)
                await pool.execute(
                    f"insert into {table} ({given}) overriding system value"
                    f" select {given} from jsonb_populate_record(null::{table}, $1)",
                    row,
                )
        for table, column in (("integration_events", "seq"), ("incident_timeline", "id"), ("doorbells", "id")):
            await pool.execute(
                f"select setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) from {table}"
            )
        yield pool
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def test_open_incidents_go_on_after_an_upgrade(old: Pool, around: Surroundings) -> None:
    """The mail goes out once, the held repair is closed, the time without use is kept, and what comes is dealt with."""
    assert await migrate(old) == [m.name for m in migrations()[LAST:]]
    async with world_in(around, old, is_new=False) as world, world.make_worker():
        for incident in (BROKEN, UNUSED, HELD):
            await world.ring.incident(incident)
        await world.until_delivery(BROKEN, CUSTOMER_MAIL, "email", "sent")
        row = await world.row(BROKEN)
        assert row["status"] == "open"
        # From its line in the timeline, which was written milliseconds after it.
        assert row["first_acknowledged_at"] - row["acknowledged_at"] < timedelta(seconds=1)
        assert (await world.result(UNUSED))["resolution"] == "no_longer_used"
        await world.pass_time(HELD, timedelta(minutes=11))
        assert (await world.result(HELD))["resolution"] == "reported"

        await world.say("sync_succeeded", integration_type="slack")
        gone = "select gone_at from integration_absences"
        assert await world.value(gone) == (await world.row(UNUSED))["closed_at"]
        await world.say("sync_succeeded")
        await world.until_timeline(BROKEN, "recovering")
        await world.pass_time(BROKEN, timedelta(minutes=11))
        assert (await world.result(BROKEN))["resolution"] == "reported"
        assert len(world.mails_to("bob@techcorp.example")) == 2  # what to do, and that it is over
        assert await world.value("select count(*) from doorbells") == 0


def test_links_that_were_mailed_before_are_good() -> None:
    """Signed by the earlier version; they live for thirty days."""
    read = Links("https://relink.example", ["another-key-of-32-characters-0000", SECRET_KEY]).read
    assert read(Purpose.RECONNECT, LINK, SIGNED).subject == BROKEN
