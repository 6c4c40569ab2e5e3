"""Real servers for all tests: one PostgreSQL for each process that runs tests, an empty database for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path, PurePath
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from xdist.scheduler import LoadScopeScheduling

from activities.db.migrate import migrate
from activities.db.pool import Pool, create_pool
from starter.embedded.postgres import FAST_OPTIONS, PostgresServer, postgres
from tests.statements import pytest_sessionfinish, pytest_testnodedown  # noqa: F401 - hooks that pytest finds here

TEMPLATE = "relink_template"
# Deleting a few rows takes a millisecond, new files for all tables a fifth of a second. Triggers would forbid some.
_EMPTY = """
do $$ declare name text; begin
  perform set_config('session_replication_role', 'replica', true);
  for name in select tablename from pg_tables where schemaname = 'public' and tablename <> 'schema_migrations' loop
    if pg_relation_size(name::regclass) > 1000000 then execute format('truncate %I cascade', name);
    else execute format('delete from %I', name); end if;
  end loop;
end $$"""
_END_OTHERS = """
select pg_terminate_backend(pid, 60000) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()"""
_HURRY = (  # seconds that people in front of Slack are given, by us and by Slack
    "starter.api.slack_buttons.PATIENCE",
    "starter.api.slack_buttons._LOOK_UP",
    "starter.api.slack_buttons._DIALOG",
    "starter.embedded.slack.interactions.PATIENCE",
    "starter.embedded.slack.methods.TRIGGER_SECONDS",
)
# Which tests one worker runs, because they share what is costly to start. Faults mostly wait, so two groups of them.
# All others go by file, but those of workflows one by one: they share nothing, and some take long.
GROUPS = {
    "faults of messages": ("faults/test_05*", "faults/test_11*", "faults/test_12*"),
    "faults": ("faults/*",),
    "browser": ("browser/*",),
}
# What takes longest begins first, so that no worker is left alone with it in the end.
FIRST = (
    "faults/*",
    "browser/*",
    "security/test_canaries.py",
    "workflows/test_backtest.py",
    "monitoring/test_day.py",
    "workflows/test_crashes.py",
    "security/*",
    "reliability/*",
    "monitoring/*",
    "site/*",
    "unit/test_rendering*",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-histories", action="store_true", help="write the histories of the tests that are marked `history`"
    )
    parser.addoption(
        "--screenshots", type=Path, metavar="DIR", help="where the browser tests leave pictures of every page"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but those of a test peer about its own libraries are not ours to mend."""
    config.addinivalue_line("markers", "history: the workflow's history is recorded in tests/replay/histories")
    for module in ("authlib", "oidc_provider_mock"):
        config.addinivalue_line("filterwarnings", f"ignore::DeprecationWarning:{module}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((n for n, path in enumerate(FIRST) if item.path.match(path)), len(FIRST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Its own `loadgroup` renames tests, which this pytest does not let it do: nothing would be grouped."""
    config.option.loadscopereorder = False  # by the number of tests, which says nothing of how long they take
    return _Sharing(config, log)


class _Sharing(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        path = PurePath(nodeid.partition("::")[0])
        alone = nodeid if path.match("workflows/*") else str(path)
        return next((name for name, paths in GROUPS.items() if any(map(path.match, paths))), alone)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicks may take long: a test is about what they do, and the machine may be busy."""
    for limit in _HURRY:
        monkeypatch.setattr(limit, 120.0)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Where the servers of this run keep their data; other system users may enter it."""
    path = Path(tempfile.mkdtemp(prefix="relink-tests-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest_asyncio.fixture(scope="session")
async def postgres_server(servers_folder: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL server with a migrated template database."""
    async with postgres(servers_folder / "postgres", options=FAST_OPTIONS) as server:
        admin = await asyncpg.connect(server.url)
        await admin.execute(f"create database {TEMPLATE}")
        async with create_pool(server.database(TEMPLATE)) as pool:
            await migrate(pool)
        await admin.close()
        yield server


@pytest_asyncio.fixture(scope="session")
async def _reused(postgres_server: PostgresServer) -> str:
    return await _migrated(postgres_server, "reused")


@pytest_asyncio.fixture
async def database(_reused: str) -> str:
    """The URL of an empty, migrated database to which nobody is connected any more."""
    admin = await asyncpg.connect(_reused)
    await admin.execute(_END_OTHERS)
    await admin.execute(_EMPTY)
    await admin.close()
    return _reused


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    """Connections to an empty, migrated database."""
    async with create_pool(database) as connections:
        yield connections


@pytest_asyncio.fixture(scope="session")
async def shared_pool(postgres_server: PostgresServer) -> AsyncIterator[Pool]:
    """Connections to one database that stay open; each test empties it first."""
    async with create_pool(await _migrated(postgres_server, "shared"), size=20) as connections:
        yield connections


@pytest_asyncio.fixture
async def emptied_pool(shared_pool: Pool) -> Pool:
    await shared_pool.execute(_EMPTY)
    return shared_pool


async def _migrated(server: PostgresServer, purpose: str) -> str:
    """The URL of a new database, which ends with its server."""
    name = f"{purpose}_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(server.url)
    await admin.execute(f"create database {name} template {TEMPLATE}")
    await admin.close()
    return server.database(name)
