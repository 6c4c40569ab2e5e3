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

AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, httpx.TransportError)


class NotSeenError(Exception):
    """Something that should have happened was not seen; the message says what, and for how long we looked."""


@dataclass(frozen=True)
class Observer:
    """Looks again and again until it sees what it looks for, for at most `patience` seconds.

    A server that is away for a moment is waited for.
    """

    database: asyncpg.Pool[asyncpg.Record]
    web: httpx.AsyncClient
    inbox_url: str
    slack_url: str
    patience: float = 15.0

    async def until(self, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """What `look` returns as soon as it is something. Raises NotSeenError naming `what`."""
        deadline = time.monotonic() + self.patience
        trouble = ""
        while time.monotonic() < deadline:
            try:
                if seen := await look():
                    return seen
                trouble = ""
            except AWAY as error:
                trouble = f" ({type(error).__name__}: {error})"
            await asyncio.sleep(0.1)
        raise NotSeenError(f"{what} was not seen within {self.patience:g} s{trouble}.")

    async def row(self, what: str, query: str, *arguments: object) -> asyncpg.Record:
        """The row that a query finds, once it finds one."""
        return await self.until(what, lambda: self.database.fetchrow(query, *arguments))

    async def slack_call(self, what: str, method: str, fits: Callable[[Json], bool]) -> Json:
        """The first call of a method that Slack received, answered `ok`, and that fits: `{"at","arguments",…}`."""

        async def look() -> Json | None:
            return next((call for call in await self.slack_calls(method) if fits(call)), None)

        return await self.until(what, look)

    async def direct_message(self, what: str, email: str) -> Json:
        """The first message, not in a thread, to the Slack user with that address."""

        async def look() -> Json | None:
            found = await self.slack_calls("users.lookupByEmail")
            users = {call["response"]["user"]["id"] for call in found if call["arguments"]["email"] == email}
            opened = await self.slack_calls("conversations.open")
            channels = {call["response"]["channel"]["id"] for call in opened if call["arguments"]["users"] in users}
            posts = await self.slack_calls("chat.postMessage")
            return next((post for post in posts if _is_direct(post, users | channels)), None)

        return await self.until(what, look)

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


def _is_direct(post: Json, channels: set[str]) -> bool:
    return post["arguments"]["channel"] in channels and "thread_ts" not in post["arguments"]
