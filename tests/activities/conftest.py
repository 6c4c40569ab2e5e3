"""A store with two customers; the tests share one database, which each finds emptied."""

from __future__ import annotations

import pytest_asyncio

from activities.db.pool import Pool
from tests.activities.store import CUSTOMERS, Store


@pytest_asyncio.fixture
async def store(emptied_pool: Pool) -> Store:
    await emptied_pool.execute(CUSTOMERS)
    return Store(emptied_pool)
