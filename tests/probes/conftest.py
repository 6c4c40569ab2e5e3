"""Peers and a prober for the tests of the probes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from activities.db.connections import ConnectionStore
from activities.db.pool import Pool
from activities.playbooks import load_catalogue
from activities.probes.check import Prober
from activities.probes.http import ProbeClient
from tests.probes.connections import BOX
from tests.probes.peers import RotatingProvider, mock_provider, rotating_provider


@pytest.fixture(scope="session")
def rotating() -> Iterator[RotatingProvider]:
    with rotating_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def mock() -> Iterator[str]:
    with mock_provider() as issuer:
        yield issuer


@pytest_asyncio.fixture
async def client() -> AsyncIterator[ProbeClient]:
    """A client that may ask this machine."""
    async with ProbeClient(allow_private=True) as probes:
        yield probes


@pytest.fixture
def prober(client: ProbeClient) -> Prober:
    return Prober(client, load_catalogue())


@pytest.fixture
def store(pool: Pool) -> ConnectionStore:
    return ConnectionStore(pool, BOX)
