"""Every error as an RFC 9457 problem that names the field and says what to do; never with anything internal in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from activities.db.actions import ActionRefusedError
from activities.db.customers import UnknownCustomerError
from activities.db.incidents import UnknownIncidentError
from activities.db.intake import EventRefusedError
from activities.db.integrations import IntegrationRefusedError, UnknownIntegrationError
from activities.db.pool import UNAVAILABLE
from activities.db.reliability import UnknownMaintenanceError
from starter.api.cursors import BadCursorError

MEDIA_TYPE = "application/problem+json"
PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
RETRY_AFTER = 2  # seconds; a restarted database is usually back by then


class FieldProblem(BaseModel):
    """What is wrong with one field, and what is expected there."""

    field: str = Field(examples=["[3].occurred_at"], description="Where; empty: the body as a whole.")
    message: str = Field(examples=["give an offset, for example 2026-01-29T10:45:00Z"])


class ProblemDetails(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str | None = None
    errors: list[FieldProblem] | None = None


class Problem(HTTPException):
    """An error that the caller is told about. `extra` become members of the problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.errors, self.extra = errors, extra

    @classmethod
    def at(cls, field: str, message: str, status: int = 422) -> Problem:
        """One wrong field, or the body as a whole."""
        named = [FieldProblem(field=field, message=message)] if field or status == 422 else []
        return cls(status, f"{field}: {message}" if field else message, errors=named)


def away(what: str) -> Problem:
    """Something that we need is not there at the moment."""
    return Problem(503, f"{what} can't be reached at the moment; try again", headers={"Retry-After": str(RETRY_AFTER)})


def problem_for(error: Exception) -> Problem | None:
    """The problem that an exception means to the caller; None if it is a fault of ours."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return Problem(error.status_code, _said(error), headers=error.headers)
        case RequestValidationError():
            return invalid(error.errors())
        case ActionRefusedError():
            return Problem.at(error.field, error.message, error.status)
        case IntegrationRefusedError():
            return Problem.at(error.field, error.message)
        case BadCursorError():
            return Problem.at("cursor", "not a cursor of this list; leave it out to begin at the first page")
        case asyncpg.DataError():
            return Problem(422, "a value can't be stored: too large, or with characters that are no text")
    return _not_there(error)


def refused(error: EventRefusedError, *, is_array: bool) -> Problem:
    """An event that can't be taken, named by its place in the array if there is one."""
    field = f"[{error.index}].{error.field}" if is_array else error.field
    return Problem.at(field, error.message, error.status)


def _not_there(error: Exception) -> Problem | None:
    for kind, what in _UNKNOWN.items():
        if isinstance(error, kind):
            return Problem(404, f"there is no such {what}")
    if isinstance(error, _BEHIND):
        return Problem(503, "this service is being updated; try again", headers={"Retry-After": str(RETRY_AFTER)})
    return away("The database") if isinstance(error, (*UNAVAILABLE, asyncpg.TransactionRollbackError)) else None


# Around `relink migrate`: what is new in this version is not in the tables yet, or they changed under a running one.
_BEHIND = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidCachedStatementError,
)


_UNKNOWN = {
    UnknownCustomerError: "customer",
    UnknownIntegrationError: "integration",
    UnknownIncidentError: "incident",
    UnknownMaintenanceError: "maintenance",
}


def respond(problem: Problem) -> JSONResponse:
    """The response that carries a problem."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
    }
    if problem.errors:
        content["errors"] = [error.model_dump() for error in problem.errors]
    return JSONResponse(
        {**content, **problem.extra}, problem.status_code, headers=problem.headers, media_type=MEDIA_TYPE
    )


def invalid(errors: Sequence[Any]) -> Problem:
    """422 with every wrong field of a validation."""
    found = [_field_problem(error) for error in errors[:100]]
    first = found[0]
    return Problem(422, f"{first.field}: {first.message}" if first.field else first.message, errors=found)


_REWORDED = {
    "extra_forbidden": "unknown field; see /docs",
    "missing": "required",
    "timezone_aware": "give an offset, for example 2026-01-29T10:45:00Z",
    "model_attributes_type": "expected an object",
    "model_type": "expected an object",
    "dict_type": "expected an object",
}
_PLACES = {"body", "query", "path", "header"}


def _field_problem(error: ErrorDetails) -> FieldProblem:
    context = error.get("ctx") or {}
    location = list(error["loc"])
    if location[:1] and location[0] in _PLACES:
        del location[0]
    if location[:1] == ["monitor"] and location[1:2]:
        del location[1]  # its kind, by which pydantic tells the six apart
    field = field_name([*location, *([context["field"]] if error["type"] == "field" else [])])
    message = _REWORDED.get(error["type"], error["msg"].removeprefix("Value error, "))
    return FieldProblem(field=field, message=message)


def field_name(location: Sequence[int | str]) -> str:
    """`[3].error.http_status`"""
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return name.removeprefix(".")


def _said(error: HTTPException) -> str:
    said = {
        404: "there is nothing at this address; see /docs",
        405: "this address does not take this method; see /docs",
    }
    return said.get(error.status_code, str(error.detail))


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route documents; those of every authorised route are there by themselves."""
    described = {
        401: "No API key, or an unknown or revoked one",
        403: "The key lacks the scope",
        404: "There is no such thing, or it is not this key's",
        409: "It contradicts what is stored",
        413: "More than 1 MiB or 1,000 events",
        415: "Not JSON",
        422: "Something is malformed; `errors` names every field",
        429: "Too fast; see Retry-After",
        503: "Something that we need is away; see Retry-After",
    }
    return {status: {"description": described[status], "content": PROBLEM_CONTENT} for status in statuses}


async def _answer(request: Request, error: Exception) -> JSONResponse:
    problem = problem_for(error)
    assert problem is not None  # registered below only for what has one
    if problem.status_code == 405:
        problem.headers = {"Allow": ", ".join(_methods_of(request))}
    return respond(problem)


def _methods_of(request: Request) -> list[str]:
    """Every method that this address takes: the framework names those of the first route that has its path."""

    def is_taken(method: str) -> bool:
        asked = {**request.scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)

    return [method for method in ("GET", "PUT", "POST", "DELETE") if is_taken(method)]


def handle_errors(app: FastAPI) -> None:
    """Answers every error of FastAPI and Starlette as a problem; the rest is caught by Armour."""
    for kind in (HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer)


def created(model: type[BaseModel], when: str) -> dict[int | str, dict[str, Any]]:
    """201 beside 200."""
    return {201: {"model": model, "description": when}}
