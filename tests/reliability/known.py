"""The year whose truth is known, in a database behind the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from activities.db.pool import create_pool
from starter.api import reliability
from starter.embedded.postgres import PostgresServer
from tests.api.calling import Api, opened
from tests.conftest import TEMPLATE
from tests.reliability.year import Year, simulate
from tests.reliability.year_rows import Written, write


@dataclass
class Known:
    """The year, the rows that it became, and the API that tells of it at its last minute."""

    year: Year
    rows: Written
    api: Api
    url: str

    async def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        response = await self.api.http.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return dict(response.json())


@asynccontextmanager
async def known_year(postgres_server: PostgresServer, **settings: Any) -> AsyncIterator[Known]:
    """In a database of its own."""
    name = f"year_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_server.url)
    await admin.execute(f"create database {name} template {TEMPLATE}")
    year = simulate()
    url = postgres_server.database(name)
    async with create_pool(url) as pool, opened(pool, **settings) as api:
        rows = await write(pool, year)
        api.resources.throttle.take = lambda *_: None  # type: ignore[method-assign]  # so many questions at once
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(reliability, "now", lambda: rows.until)
            yield Known(year, rows, api, url)
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()
