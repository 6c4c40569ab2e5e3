"""One Chromium and one API for all browser tests of a process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from activities.db.pool import create_pool
from starter.embedded import ports
from starter.embedded.postgres import PostgresServer
from starter.embedded.web import serving
from tests.api.calling import opened
from tests.browser.chromium import chromium
from tests.browser.judges import Picture, Tab, open_tab
from tests.browser.site import Site, product
from tests.conftest import TEMPLATE


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=120_000)  # a machine that does much else at once
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def _tab(browser: Browser) -> AsyncIterator[Tab]:
    async with open_tab(browser) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session")
async def _plain_tab(browser: Browser) -> AsyncIterator[Tab]:
    async with open_tab(browser, javascript=False) as opened:
        yield opened


@pytest_asyncio.fixture
async def tab(_tab: Tab) -> Tab:
    await _tab.reset()
    return _tab


@pytest_asyncio.fixture
async def plain_tab(_plain_tab: Tab) -> Tab:
    """Without JavaScript."""
    await _plain_tab.reset()
    return _plain_tab


@pytest_asyncio.fixture(scope="session")
async def site(postgres_server: PostgresServer) -> AsyncIterator[Site]:
    """The API behind a real web server, on a database of its own; and the product, on another origin."""
    name = f"browser_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_server.url)
    await admin.execute(f"create database {name} template {TEMPLATE}")
    port = ports.free_port()
    url = f"http://{ports.HOST}:{port}"
    async with (
        create_pool(postgres_server.database(name)) as pool,
        opened(pool, public_url=url) as api,
        serving(api.app, port),
        serving(product()) as shop,
    ):
        yield Site(api, url, f"http://{ports.HOST}:{shop}/reconnect")
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Picture:
    """Keeps what a page looks like, if --screenshots says where."""
    return Picture(request.config.getoption("screenshots"))
