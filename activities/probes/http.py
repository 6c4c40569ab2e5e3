"""How probes reach the world: only public addresses, bounded in time and size, no redirects followed."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx
from httpx_secure import SSRFProtectionError, httpx_ssrf_protection

MAX_BYTES = 256 * 1024
_TIMEOUT = httpx.Timeout(8, connect=5)


class ForbiddenAddressError(Exception):
    """The address is not public; a probe does not go there."""


@dataclass(frozen=True)
class Answer:
    """What a peer answered; `body` is at most MAX_BYTES long."""

    status: int
    headers: MappingProxyType[str, str]
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class ProbeClient:
    """Open with `async with`. `allow_private` is for local development only (RELINK_PROBE_ALLOW_PRIVATE)."""

    def __init__(self, *, allow_private: bool = False) -> None:
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=8),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "Relink-Monitor/1"},
        )
        if not allow_private:
            httpx_ssrf_protection(self._client)

    async def __aenter__(self) -> ProbeClient:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        """One request. Raises ForbiddenAddressError, or httpx.HTTPError if there was no answer."""
        try:
            async with self._client.stream(method, url, **options) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) >= MAX_BYTES:
                        break
        except SSRFProtectionError as error:
            raise ForbiddenAddressError(f"{error.hostname} is not a public address") from None
        headers = MappingProxyType({name.lower(): value for name, value in response.headers.items()})
        return Answer(response.status_code, headers, bytes(body[:MAX_BYTES]), _seconds(response))


def _seconds(response: httpx.Response) -> float:
    try:
        return response.elapsed.total_seconds()
    except RuntimeError:  # the body was cut short, so httpx never took the time
        return 0.0
