"""How probes reach the world: public addresses only, bounded in time and size; no redirects, proxies or cookies.

Every host has a pool of at most 8 connections: that is the per-host limit, and many small pools are ten times faster
than one that all tasks share. Waiting for a place in it is never counted against the peer.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType

import httpcore
import httpx

from activities.probes.addresses import ForbiddenAddressError, Resolver, UnaskableError, UnresolvedError
from activities.probes.answer import Answer, certificate_end, decoded
from activities.probes.network import CheckedBackend
from activities.probes.trouble import NoAnswerError, in_words

__all__ = ["Answer", "ForbiddenAddressError", "NoAnswerError", "ProbeClient", "UnaskableError"]

MAX_BYTES = 256 * 1024
REQUEST_CAP = 10.0  # seconds, from the lookup of the name to the last byte

_CONNECT_TIMEOUT = 4.0  # of each address
_PER_HOST = 8
_MOST_WAIT = 60.0  # seconds for a place in a host's pool
_KEEP_ALIVE = 2.0  # below the idle timeout of every common server, so that a kept connection is hardly ever a dead one
_MOST_HOSTS = 512
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_HEADERS = {"User-Agent": "Relink-Monitor/1", "Accept": "*/*", "Accept-Encoding": "identity"}


@cache
def _usual_trust() -> ssl.SSLContext:
    """Read once: it is three hundred certificates."""
    return httpx.create_ssl_context(trust_env=False)


@dataclass
class _Host:
    pool: httpcore.AsyncConnectionPool
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_PER_HOST))
    users: int = 0


class ProbeClient:
    """Open with `async with`. `allow_private` is for local development only (RELINK_PROBE_ALLOW_PRIVATE)."""

    def __init__(self, *, allow_private: bool = False, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: which certificates to trust; by default those that httpx ships."""
        self._resolver = Resolver(allow_private=allow_private)
        self._tls = tls or _usual_trust()
        self._hosts: OrderedDict[tuple[str, str, int | None], _Host] = OrderedDict()

    async def __aenter__(self) -> ProbeClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._resolver.close()
        for host in self._hosts.values():
            await host.pool.aclose()
        self._hosts.clear()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        content: str | bytes | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """One request of at most REQUEST_CAP seconds; what is longer than `max_bytes` is cut off.

        Raises UnaskableError (a forbidden address, a URL or header that can't be sent, a host with too long a queue),
        or NoAnswerError, which is an httpx.HTTPError, if there was no complete answer.
        """
        try:
            request = httpx.Request(method, url, headers=_HEADERS | dict(headers or {}), data=data, content=content)
        except (httpx.InvalidURL, ValueError, TypeError) as error:  # what a URL or a header may not contain
            raise UnaskableError(f"the request can't be sent: {type(error).__name__}") from None
        async with self._place(request.url) as pool:
            return await _Exchange(pool, request, max_bytes).answer()

    @asynccontextmanager
    async def _place(self, url: httpx.URL) -> AsyncIterator[httpcore.AsyncConnectionPool]:
        host = await self._host(url)
        host.users += 1
        try:
            try:
                await asyncio.wait_for(host.places.acquire(), _MOST_WAIT)
            except TimeoutError:
                raise UnaskableError(f"too many requests to {url.host} are waiting") from None
            try:
                yield host.pool
            finally:
                host.places.release()
        finally:
            host.users -= 1

    async def _host(self, url: httpx.URL) -> _Host:
        key = (url.scheme, url.host, url.port)
        if key not in self._hosts:
            self._hosts[key] = _Host(
                httpcore.AsyncConnectionPool(
                    ssl_context=self._tls,
                    max_connections=_PER_HOST,
                    keepalive_expiry=_KEEP_ALIVE,
                    network_backend=CheckedBackend(self._resolver),
                )
            )
        host = self._hosts[key]
        self._hosts.move_to_end(key)
        if len(self._hosts) > _MOST_HOSTS:
            idle = next((k for k, h in self._hosts.items() if not h.users and h is not host), None)
            if idle is not None:
                host.users += 1  # so that nobody drops this one while the other is closed
                await self._hosts.pop(idle).pool.aclose()
                host.users -= 1
        return host


@dataclass
class _Exchange:
    """One request on its way."""

    pool: httpcore.AsyncConnectionPool
    request: httpx.Request
    max_bytes: int

    async def answer(self) -> Answer:
        try:
            async with asyncio.timeout(REQUEST_CAP):
                try:
                    return await self._once()
                except (httpcore.RemoteProtocolError, httpcore.ReadError):
                    if self.request.method not in _SAFE_METHODS:
                        raise
                    return await self._once()  # a kept connection may have been closed under our hands
        except httpcore.LocalProtocolError:
            raise UnaskableError("the request can't be sent: a header is not valid") from None
        except httpcore.UnsupportedProtocol:
            raise UnaskableError("the request can't be sent: not an http(s) address") from None
        except (TimeoutError, UnresolvedError, httpcore.TimeoutException, httpcore.NetworkError,
                httpcore.ProtocolError) as error:  # fmt: skip
            raise in_words(error, REQUEST_CAP) from None

    async def _once(self) -> Answer:
        url = self.request.url
        asked = httpcore.Request(
            self.request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=self.request.headers.raw,
            content=self.request.content,
            extensions={"timeout": {"connect": _CONNECT_TIMEOUT}},
        )
        started = time.monotonic()
        response = await self.pool.handle_async_request(asked)
        body = bytearray()
        try:
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > self.max_bytes:
                    break
        finally:
            with suppress(httpcore.NetworkError, httpcore.ProtocolError):
                await response.aclose()
        headers = httpx.Headers(response.headers)
        content, cut = decoded(bytes(body), headers.get("content-encoding", ""), self.max_bytes)
        return Answer(
            status=response.status,
            headers=MappingProxyType({name: headers[name] for name in headers}),
            body=content,
            seconds=time.monotonic() - started,
            at=datetime.now(UTC),
            cut=cut,
            certificate_ends=certificate_end(response),
        )
