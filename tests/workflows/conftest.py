"""One set of servers for all workflow tests; a database and a world of its own for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from activities.db.pool import Pool
from tests.workflows.world import Surroundings, World, surroundings, temporal_with_time_skipping, world_in


@pytest_asyncio.fixture(scope="session")
async def around(servers_folder: Path) -> AsyncIterator[Surroundings]:
    """Temporal with time skipping, an inbox and a Slack, shared by all worlds."""
    async with temporal_with_time_skipping() as environment, surroundings(environment, servers_folder) as shared:
        yield shared


@pytest_asyncio.fixture(name="world")
async def _world(pool: Pool, around: Surroundings) -> AsyncIterator[World]:
    async with world_in(around, pool) as made:
        yield made
