"""A store with two customers; the tests share one database, which each finds emptied."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest_asyncio

from activities.db.pool import Pool, create_pool
from starter.embedded.postgres import PostgresServer
from tests.activities.store import CUSTOMERS, Store
from tests.conftest import TEMPLATE


@pytest_asyncio.fixture(scope="package")
async def shared_pool(postgres_server: PostgresServer) -> AsyncIterator[Pool]:
    name = f"activities_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(postgres_server.url)
    await admin.execute(f"create database {name} template {TEMPLATE}")
    await admin.close()
    async with create_pool(postgres_server.database(name), size=20) as pool:
        yield pool


@pytest_asyncio.fixture
async def store(shared_pool: Pool) -> Store:
    await shared_pool.execute("truncate customers cascade")
    await shared_pool.execute(CUSTOMERS)
    return Store(shared_pool)
