"""The sockets under a probe's HTTP: a name is resolved and every address of it checked before any connection is made,
and the connection then goes to the numeric address that was checked, so a name that changes its mind (DNS rebinding)
gains nothing. A forbidden address sees no packet of ours."""

from __future__ import annotations

from collections.abc import Iterable

import httpcore
from httpcore import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream

from activities.probes.addresses import Resolver

_MOST_TRIES = 4


class CheckedBackend(AsyncNetworkBackend):
    """Raises ForbiddenAddressError or UnresolvedError from connect_tcp, beside httpcore's own errors. TLS is set up
    above it, with the name."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver, self._sockets = resolver, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Tries the first addresses in turn; `timeout` is for each, the request's own cap is for all of them."""
        failure: Exception = httpcore.ConnectError("no address")
        addresses = await self._resolver.addresses(host, port)
        for address in addresses[:_MOST_TRIES]:
            try:
                return await self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._sockets.sleep(seconds)
