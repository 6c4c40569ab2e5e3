"""Migrations, statements, and what the tables themselves refuse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from activities.db import migrate as migrating
from activities.db.migrate import Migration, MigrationError, migrate, migrations, pending
from activities.db.pool import UNAVAILABLE, Pool, create_pool
from starter.api.problems import problem_for
from starter.embedded import ports
from starter.embedded.postgres import PostgresServer, database_url
from tests.activities.store import Store
from tests.statements import everything


@pytest_asyncio.fixture
async def empty(postgres_server: PostgresServer) -> AsyncIterator[Pool]:
    """A database without any table."""
    name = f"empty_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres_server.url)
    await admin.execute(f"create database {name}")
    async with create_pool(postgres_server.database(name), size=20) as pool:
        yield pool
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def test_several_starters_at_once(empty: Pool) -> None:
    """Each migration is applied by exactly one of them, in order; all of them find the database up to date."""
    done = await asyncio.gather(*(migrate(empty) for _ in range(8)))
    assert sorted(name for names in done for name in names) == [m.name for m in migrations()]
    assert await migrate(empty) == []
    async with empty.acquire() as connection:
        assert await pending(connection) == []


async def test_a_changed_migration_is_refused(empty: Pool) -> None:
    """What was applied must not differ from what is there: it is named, and nothing is applied."""
    await migrate(empty)
    await empty.execute("update schema_migrations set checksum = 'other' where version = 2")
    with pytest.raises(MigrationError, match="0002_what_decides was changed after it was applied"):
        await migrate(empty)


async def test_a_failing_migration_leaves_nothing_behind(empty: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those before it stay; it is rolled back whole, and tried again by the next start."""
    known = migrations()
    broken = Migration(9999, "9999_broken", "create table half (id int); select 1 / 0")
    monkeypatch.setattr(migrating, "migrations", lambda: [*known, broken])
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty)
    assert await empty.fetchval("select to_regclass('half')") is None
    assert await empty.fetchval("select count(*) from schema_migrations") == len(known)
    mended = Migration(9999, "9999_broken", "create table half (id int)")
    monkeypatch.setattr(migrating, "migrations", lambda: [*known, mended])
    assert await migrate(empty) == ["9999_broken"]


async def test_a_server_that_said_goodbye_is_away(postgres_server: PostgresServer) -> None:
    """Between the last words of a stopping server and the end of its connection, whoever uses that connection meets a
    server that is away (a 503, and worth a later try), not a fault of ours."""
    async with _lingering(postgres_server.port) as (port, gone), create_pool(database_url(port), patience=5) as pool:
        pid = await pool.fetchval("select pg_backend_pid()")
        admin = await asyncpg.connect(postgres_server.url)
        await admin.fetchval("select pg_terminate_backend($1)", pid)
        await admin.close()
        await asyncio.wait_for(gone.wait(), 60)
        await asyncio.sleep(0.05)  # its last words arrive; if they do not yet, this is the time-out of a dead server
        with pytest.raises(UNAVAILABLE) as met:
            await pool.fetchval("select 1")
        problem = problem_for(met.value)
        assert problem is not None
        assert problem.status_code == 503


@contextlib.asynccontextmanager
async def _lingering(server: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that leads to a server's; the client never hears that a connection has ended. Set once one has."""
    gone = asyncio.Event()
    opened: list[asyncio.StreamWriter] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(ports.HOST, server)
        opened.extend((writer, to_server))
        asking = asyncio.create_task(_pass_on(reader, to_server))
        await _pass_on(from_server, writer)
        gone.set()
        await asking

    async with await asyncio.start_server(relay, ports.HOST, 0) as listening:
        yield listening.sockets[0].getsockname()[1], gone
        for writer in opened:
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()


def test_migrations_are_numbered_without_gaps() -> None:
    assert [m.version for m in migrations()] == list(range(1, len(migrations()) + 1))


async def test_every_statement_fits_the_schema(store: Store) -> None:
    """PostgreSQL can plan each of them: no column or type is misspelt in a corner that is rarely run."""
    async with store.pool.acquire() as connection:
        for name, statement in everything():
            try:
                await connection.prepare(statement)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{name}: {error}")


async def test_the_tables_are_those_of_the_prd(store: Store) -> None:
    """PRD-101 section 4.1, column by column."""
    assert (
        await _columns(store, "integration_health")
        >= {
            "id": "uuid",
            "customer_id": "uuid",
            "integration_type": "character varying(100)",
            "integration_id": "text",
            "status": "character varying(50)",
            "last_successful_sync": "timestamp with time zone",
            "last_failure_at": "timestamp with time zone",
            "failure_count": "integer",
            "failure_reason": "text",
            "error_code": "text",
            "is_critical": "boolean",
            "alerted_at": "timestamp with time zone",
            "resolved_at": "timestamp with time zone",
            "created_at": "timestamp with time zone",
            "updated_at": "timestamp with time zone",
        }.items()
    )
    assert (
        await _columns(store, "integration_events")
        >= {
            "id": "uuid",
            "customer_id": "uuid",
            "integration_type": "character varying(100)",
            "event_type": "character varying(50)",
            "error_details": "jsonb",
            "created_at": "timestamp with time zone",
        }.items()
    )


async def _columns(store: Store, table: str):  # type: ignore[no-untyped-def]
    rows = await store.pool.fetch(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = $1::text::regclass and attnum > 0 and not attisdropped",
        table,
    )
    return dict(map(tuple, rows)).items()


async def test_at_most_one_open_incident(store: Store) -> None:
    """The partial unique index, whatever a program does wrong."""
    await store.fail()
    again = (
        "insert into incidents select (jsonb_populate_record(i,"
        " jsonb_build_object('id', gen_random_uuid(), 'number', 2))).* from incidents i"
    )
    with pytest.raises(asyncpg.UniqueViolationError, match="one_open_incident_per_integration"):
        await store.pool.execute(again)
    await store.pool.execute("update incidents set status = 'closed'")
    await store.pool.execute(again.replace("'number', 2", "'number', 2, 'status', 'open'"))


@pytest.mark.parametrize("change", ["update incident_timeline set kind = 'x'", "delete from incident_timeline"])
async def test_the_timeline_is_append_only(store: Store, change: str) -> None:
    await store.fail()
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await store.pool.execute(change)
