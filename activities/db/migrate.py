"""Brings a database up to this version's schema; safe when several processes start at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from activities.db.pool import UNAVAILABLE, Connection, Pool

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x72656C696E6B  # "relink"
_PAUSE = 2  # seconds between looks at a database that is away
_log = structlog.get_logger()


class MigrationError(Exception):
    """The database and this version's migrations don't fit; the message says which and what to do."""


@dataclass(frozen=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All migrations in order: `NNNN_what_changed.sql`."""
    files = sorted(_FOLDER.glob("[0-9]*.sql"))
    return [Migration(int(f.stem[:4]), f.stem, f.read_text(encoding="utf-8")) for f in files]


@asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[None]:
    # Polling the try-lock: waiting inside pg_advisory_lock would deadlock with CREATE INDEX CONCURRENTLY.
    while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.1)
    try:
        yield
    finally:
        await connection.execute("select pg_advisory_unlock($1)", _LOCK)


async def _applied(connection: Connection) -> dict[int, str]:
    if await connection.fetchval("select to_regclass('public.schema_migrations')") is None:
        return {}
    rows = await connection.fetch("select version, checksum from schema_migrations order by version")
    return {row["version"]: row["checksum"] for row in rows}


async def pending(connection: Connection) -> list[Migration]:
    """The migrations that this database still lacks; empty means up to date.

    Raises MigrationError if an applied migration was changed afterwards.
    """
    applied = await _applied(connection)
    for migration in migrations():
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"{migration.name} was changed after it was applied here. Restore it; put the change in a new file."
            )
    return [m for m in migrations() if m.version not in applied]


async def until_migrated(pool: Pool) -> None:
    """Returns once the database is there and up to date; says what it waits for. Raises MigrationError."""
    said = ""
    while True:
        try:
            async with pool.acquire() as connection:
                missing = await pending(connection)
        except UNAVAILABLE as error:
            waits_for = f"waiting for PostgreSQL: {type(error).__name__}"
        else:
            waits_for = f"waiting for {len(missing)} migrations: run `relink migrate`" if missing else ""
        if waits_for and waits_for != said:
            _log.warning(waits_for)
        if not waits_for:
            if said:
                _log.info("PostgreSQL is there")
            return
        said = waits_for
        await asyncio.sleep(_PAUSE)


async def migrate(pool: Pool) -> list[str]:
    """Applies what is missing, each migration in a transaction of its own; returns their names."""
    async with pool.acquire() as connection, _alone(connection):
        await connection.execute(
            "create table if not exists schema_migrations (version integer primary key, name text not null,"
            " checksum text not null, applied_at timestamptz not null default now())"
        )
        missing = await pending(connection)
        for migration in missing:
            async with connection.transaction():
                await connection.execute(migration.sql, timeout=None)
                await connection.execute(
                    "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
        return [m.name for m in missing]
