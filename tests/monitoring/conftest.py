"""A scene a test, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from activities.db.pool import Pool
from activities.probes.http import ProbeClient
from tests.monitoring.scene import Scene


@pytest_asyncio.fixture
async def scene(pool: Pool) -> AsyncIterator[Scene]:
    async with ProbeClient(allow_private=True) as client:
        yield Scene(pool, client)
