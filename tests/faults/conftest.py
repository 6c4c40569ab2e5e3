"""One cluster for all fault tests: it is made whole again before each, and audited after each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.faults.cluster import Cluster, cluster_in
from tests.faults.scene import Scene


@pytest_asyncio.fixture(scope="session")
async def cluster(servers_folder: Path) -> AsyncIterator[Cluster]:
    async with cluster_in(servers_folder / "cluster") as made:
        yield made


@pytest_asyncio.fixture
async def scene(cluster: Cluster) -> AsyncIterator[Scene]:
    await cluster.restore()
    async with cluster.pool() as pool, cluster.http() as http:
        yield Scene(cluster, pool, http)
    assert [*cluster.slack_wire.failures, *cluster.smtp_wire.failures] == []
