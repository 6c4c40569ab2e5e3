"""The connection to Slack: bounded in time and in size, whatever stands at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from activities.settings import Settings

HTTP_TIMEOUT = 8  # seconds; below an activity's start-to-close
MAX_ANSWER = 8 * 2**20  # bytes; a page of 200 messages has less than one


class _BoundedResponse(aiohttp.ClientResponse):
    """aiohttp would keep all that is sent."""

    async def read(self) -> bytes:
        if self._body is None:
            body = bytearray()
            async for chunk in self.content.iter_any():
                body += chunk
                if len(body) > MAX_ANSWER:
                    self.close()
                    raise aiohttp.ClientPayloadError(f"an answer of more than {MAX_ANSWER} bytes")
            self._body = bytes(body)
        return self._body


@asynccontextmanager
async def slack_client(settings: Settings) -> AsyncIterator[AsyncWebClient | None]:
    """None without a token. No retry handlers: slack-sdk's own would post twice when a reply is lost."""
    if settings.slack_bot_token is None:
        yield None
        return
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=HTTP_TIMEOUT),
        connector=aiohttp.TCPConnector(force_close=True),  # one that was closed meanwhile would look like a failure
        response_class=_BoundedResponse,
    ) as session:
        yield AsyncWebClient(
            token=settings.slack_bot_token.get_secret_value(),
            base_url=settings.slack_api_url.rstrip("/") + "/",
            timeout=HTTP_TIMEOUT,
            retry_handlers=[],
            session=session,
        )
