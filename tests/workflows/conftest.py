"""A world a test: its own Temporal server, so that no test sees another's workflows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from activities.db.pool import Pool
from tests.workflows.world import World, temporal_with_time_skipping, world


@pytest_asyncio.fixture(name="world")
async def _world(pool: Pool, servers_folder: Path) -> AsyncIterator[World]:
    async with temporal_with_time_skipping() as environment, world(pool, environment, servers_folder) as made:
        yield made
