"""Around every request: headers that browsers heed, and no error that tells anything internal."""

from __future__ import annotations

import traceback

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.api.problems import Problem, problem_for, respond

_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
_log = structlog.get_logger()


class Armour:
    """Outermost of our own: what gets here was handled nowhere else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:  # noqa: BLE001  (nothing may reach the server's own error page)
            problem = problem_for(error) or _unexpected(error, scope)
            if not begun:
                await respond(problem)(scope, receive, send_with_headers)


def _unexpected(error: Exception, scope: Scope) -> Problem:
    """Logged by type and place: a message could quote a customer's data."""
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[-8:])
    route = getattr(scope.get("route"), "path", "no route")
    _log.error("a request failed", method=scope["method"], route=route, error=type(error).__name__, frames=frames)
    return Problem(500, "something went wrong on our side; it was logged")
