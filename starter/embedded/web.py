"""Small web servers of our own: served in this process, on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import uvicorn
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from starter.embedded import ports

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, port: int = 0) -> AsyncIterator[int]:
    """Serves the application while the block runs and gives its port; 0 takes any free one.

    Raises OSError if the port is taken.
    """
    with socket.create_server((ports.HOST, port)) as listener:  # connections queue from here on
        config = uvicorn.Config(
            app,
            http=_DroppableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await task


async def drop_connection(request: Request) -> None:
    """Cuts the connection of this request, so that its sender never learns the answer."""
    if request.client and (transport := _transports.get((request.client.host, request.client.port))):
        transport.abort()
        await asyncio.sleep(0)  # the server notices in the next turn, and then answers nobody


def page(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Renders one of our pages, which may run no script but its own and load nothing from elsewhere."""
    nonce = secrets.token_urlsafe(16)
    html = _templates.get_template(template).render(nonce=nonce, path=request.url.path, **values)
    return HTMLResponse(html, status, headers=_page_headers(nonce))


def _page_headers(nonce: str) -> Mapping[str, str]:
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; img-src data:; "
            "connect-src 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


_transports: dict[tuple[str, int], asyncio.Transport] = {}


class _DroppableProtocol(H11Protocol):
    """Remembers each connection by its peer, which is all that an application knows of it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._peer: tuple[str, int] = transport.get_extra_info("peername")
        _transports[self._peer] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        _transports.pop(self._peer, None)
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves Ctrl-C to whoever started us."""
        yield
