"""The API on a real database, and people in front of Slack."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from activities.db.pool import Pool, create_pool
from starter.embedded.postgres import PostgresServer
from starter.embedded.slack import SlackServer, slack
from tests.api.calling import Api, opened, with_settings
from tests.api.slack_person import SECRET, Slack
from tests.conftest import TEMPLATE


@pytest_asyncio.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    """On a database of its own."""
    async with opened(pool) as found:
        yield found


@pytest_asyncio.fixture(scope="module")
async def shared(postgres_server: PostgresServer) -> AsyncIterator[Api]:
    """On one database for a whole module: for tests that store nothing, or nothing that another would see."""
    name = f"api_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_server.url)
    await admin.execute(f"create database {name} template {TEMPLATE}")
    async with create_pool(postgres_server.database(name)) as pool, opened(pool) as found:
        await found.customer()
        yield found
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest_asyncio.fixture
async def apart(shared: Api) -> Api:
    """A customer that no other test knows, on the module's database."""
    own = replace(shared, name=f"corp-{uuid4().hex[:12]}")
    await own.customer()
    return own


@pytest.fixture(scope="module")
async def stand_in(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SlackServer]:
    async with slack(
        tmp_path_factory.mktemp("slack") / "slack.db", token="xoxb-test", signing_secret=SECRET
    ) as running:
        yield running


@pytest.fixture
async def dana(apart: Api, stand_in: SlackServer, unhurried: None) -> AsyncIterator[Slack]:
    """The CSM, in her direct channel with us."""
    stand_in.clear()
    user = stand_in.store.user_by_email("dana@acme.example")
    assert user is not None
    await apart.customer(
        csm={
            "name": "Dana Kim",
            "email": "dana@acme.example",
            "slack_user_id": user.id,
            "timezone": "America/New_York",
            "manager": {"name": "Max Boss", "email": "max@acme.example"},
        }
    )
    channel = stand_in.store.direct_channel(user).id
    api = with_settings(apart, slack_api_url=stand_in.api_url, slack_signing_secret=SECRET)
    async with api.http:
        yield Slack(api, stand_in, user.id, channel)
