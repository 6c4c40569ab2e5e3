"""Around every request: headers that browsers heed, HEAD, and no error that tells anything internal."""

from __future__ import annotations

import traceback

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activities.rendering import Renderer
from starter.api.html import DATA, DOCS, is_page, message
from starter.api.problems import Problem, problem_for, respond

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": DATA.content,
}
_DOCS = _HEADERS | {"Content-Security-Policy": DOCS.content}
_log = structlog.get_logger()


class Armour:
    """Outermost of our own: an error that gets here was handled nowhere else."""

    def __init__(self, app: ASGIApp, renderer: Renderer) -> None:
        self._app, self._renderer = app, renderer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False
        is_head = scope["method"] == "HEAD"
        if is_head:  # the same as GET, without the body
            scope = {**scope, "method": "GET"}

        async def send_on(event: Message) -> None:
            nonlocal begun
            if event["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=event)
                for name, value in (_DOCS if scope["path"].startswith(("/docs", "/redoc")) else _HEADERS).items():
                    headers.setdefault(name, value)
            elif is_head:
                event = {**event, "body": b""}
            await send(event)

        try:
            await self._app(scope, receive, send_on)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:  # noqa: BLE001  (nothing may reach the server's own error page)
            problem = problem_for(error) or _unexpected(error, scope)
            if not begun:
                await self._answer(problem, scope)(scope, receive, send_on)

    def _answer(self, problem: Problem, scope: Scope) -> Response:
        if not is_page(scope):
            return respond(problem)
        page = message(
            self._renderer,
            "Please try again",
            "This page can't be shown at the moment. Reload it in a minute; nothing was lost.",
            problem.status_code,
        )
        page.headers.update(problem.headers or {})
        return page


def _unexpected(error: Exception, scope: Scope) -> Problem:
    """Logged by type and place: a message could quote a customer's data."""
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[-8:])
    route = getattr(scope.get("route"), "path", "no route")
    _log.error("a request failed", method=scope["method"], route=route, error=type(error).__name__, frames=frames)
    return Problem(500, "something went wrong on our side; it was logged")
