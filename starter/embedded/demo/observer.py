"""What the demo sees with its own eyes: rows in PostgreSQL, calls that Slack received, mails in the inbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import httpx

T = TypeVar("T")
Json = dict[str, Any]

PATIENCE = 15.0  # seconds for a step, unless it is a timer's


class NotSeenError(Exception):
    """Something that should have happened was not seen; the message says what, and for how long we looked."""


@dataclass(frozen=True)
class Observer:
    """Looks again and again until it sees what it looks for."""

    database: asyncpg.Connection[asyncpg.Record]
    web: httpx.AsyncClient
    inbox_url: str
    slack_url: str

    async def until(self, what: str, look: Callable[[], Awaitable[T | None]], seconds: float = PATIENCE) -> T:
        """What `look` returns as soon as it is something. Raises NotSeenError naming `what`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen = await look()
            if seen:
                return seen
            await asyncio.sleep(0.1)
        raise NotSeenError(f"{what} was not seen within {seconds:.0f} s.")

    async def row(self, what: str, query: str, *arguments: object, seconds: float = PATIENCE) -> asyncpg.Record:
        """The row that a query finds, once it finds one."""
        return await self.until(what, lambda: self.database.fetchrow(query, *arguments), seconds)

    async def slack_call(self, what: str, method: str, fits: Callable[[Json], bool], seconds: float = PATIENCE) -> Json:
        """The first call of a method that Slack received and answered `ok`, and whose arguments fit."""

        async def look() -> Json | None:
            return next((call for call in await self.slack_calls(method) if fits(call["arguments"])), None)

        return await self.until(what, look, seconds)

    async def slack_calls(self, method: str) -> list[Json]:
        """The calls of a method that were answered `ok`, oldest first."""
        calls = (await self.web.get(f"{self.slack_url}/_calls")).json()["calls"]
        return [call for call in calls if call["method"] == method and call["response"].get("ok")]

    async def mail(self, what: str, fits: Callable[[Json], bool]) -> Json:
        """The first mail received that fits."""

        async def look() -> Json | None:
            return next((mail for mail in await self.mails() if fits(mail)), None)

        return await self.until(what, look)

    async def mails(self) -> list[Json]:
        """Every mail received, oldest first."""
        answer = await self.web.get(f"{self.inbox_url}/api/messages")
        return list(answer.json()["messages"])
