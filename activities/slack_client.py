"""The connection to Slack: bounded in time and in size, whatever stands at the other end."""

from __future__ import annotations

import copy
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from activities.settings import Settings

HTTP_TIMEOUT = 8  # seconds; below an activity's start-to-close
MAX_ANSWER = 8 * 2**20  # bytes; a page of 200 messages has less than one


def slack_client(settings: Settings) -> AsyncWebClient | None:
    """None without a token. No retry handlers: slack-sdk's own would post twice when a reply is lost."""
    if settings.slack_bot_token is None:
        return None
    return _BoundedClient(
        token=settings.slack_bot_token.get_secret_value(),
        base_url=settings.slack_api_url.rstrip("/") + "/",
        timeout=HTTP_TIMEOUT,
        retry_handlers=[],
    )


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


class _BoundedClient(AsyncWebClient):
    """As slack-sdk does, a session for each call; but one with bounded answers."""

    async def _request(self, *, http_verb: str, api_url: str, req_args: dict[str, Any]) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, response_class=_BoundedResponse) as session:
            call = copy.copy(self)
            call.session = session
            return await AsyncWebClient._request(call, http_verb=http_verb, api_url=api_url, req_args=req_args)
