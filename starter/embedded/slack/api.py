"""The HTTP face of the stand-in that programs use: the Web API, response URLs, and controls for tests."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from starter.embedded.plan import Plan
from starter.embedded.slack.interactions import Interactions
from starter.embedded.slack.methods import Methods
from starter.embedded.slack.shapes import SCOPES, Arguments
from starter.embedded.slack.store import Json, Store
from starter.embedded.web import drop_connection


class Failure(BaseModel):
    """A failure of the next `times` calls of a method (`*` means any).

    After `delay` seconds it answers `http_status` (429 with Retry-After), or `ok: false` with `error`. With `drop`
    the call takes effect and the connection is cut before the answer. With only a delay the call then succeeds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    times: int = Field(default=1, ge=1)
    delay: float = Field(default=0, ge=0)
    http_status: Literal[429, 500, 502, 503] | None = None
    retry_after: int = Field(default=1, ge=0)
    error: str | None = None
    drop: bool = False


@dataclass(frozen=True)
class Api:
    """Routes `/api/{method}` and the controls, which are named with an underscore."""

    store: Store
    methods: Methods
    interactions: Interactions
    token: str
    failures: Plan[Failure] = field(default_factory=Plan)

    def routes(self) -> list[Route]:
        return [
            Route("/api/{method}", self._call, methods=["GET", "POST"]),
            Route("/_response/{token}", self._respond, methods=["POST"]),
            Route("/_calls", self._calls, methods=["GET", "DELETE"]),
            Route("/_failures", self._failures, methods=["POST", "DELETE"]),
        ]

    async def _call(self, request: Request) -> Response:
        method = request.path_params["method"]
        arguments = await _arguments(request)
        token = arguments.values.pop("token", request.headers.get("authorization", "").removeprefix("Bearer "))
        failure = self.failures.take(lambda planned: planned.method in (method, "*"))
        if failure is not None:
            await asyncio.sleep(failure.delay)
        answer, status = self._answer(method, arguments, str(token), failure)
        self.store.record_call(method, arguments.values, status, answer)
        if failure and failure.drop:
            await drop_connection(request)
        headers = {"X-OAuth-Scopes": SCOPES}
        if status == 429 and failure:
            headers["Retry-After"] = str(failure.retry_after)
        return JSONResponse(answer, status, headers)

    def _answer(self, method: str, arguments: Arguments, token: str, failure: Failure | None) -> tuple[Json, int]:
        if failure and failure.http_status:
            error = "ratelimited" if failure.http_status == 429 else "internal_error"
            return {"ok": False, "error": error}, failure.http_status
        if failure and failure.error:
            return {"ok": False, "error": failure.error}, 200
        if not token:
            return {"ok": False, "error": "not_authed"}, 200
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return {"ok": False, "error": "invalid_auth"}, 200
        return self.methods.call(method, arguments), 200

    async def _respond(self, request: Request) -> Response:
        body = await _arguments(request)
        answer = self.interactions.respond(request.path_params["token"], body.values)
        self.store.record_call("response_url", body.values, 200 if answer["ok"] else 404, answer)
        return PlainTextResponse("ok") if answer["ok"] else JSONResponse(answer, 404)

    async def _calls(self, request: Request) -> Response:
        """Every call received, oldest first; DELETE forgets messages and calls."""
        if request.method == "DELETE":
            self.store.clear()
            return Response(status_code=204)
        return JSONResponse({"calls": self.store.calls()})

    async def _failures(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.failures.clear()
            return Response(status_code=204)
        try:
            failure = Failure.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"errors": error.errors(include_url=False)}, 422)
        self.failures.add(failure, failure.times)
        return Response(status_code=204)


async def _arguments(request: Request) -> Arguments:
    """As Slack takes them: from the query, and from a body that is JSON or a form."""
    values: Json = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            body = json.loads(await request.body() or b"{}")
        except ValueError:
            body = {}
        values |= body if isinstance(body, dict) else {}
    else:
        values |= dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
    return Arguments(values)
