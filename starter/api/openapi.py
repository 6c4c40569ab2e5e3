"""The API's description at /openapi.json: complete, with the bodies that the routes read by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter

from activities.customers import CustomerWrite, IntegrationWrite
from activities.events import Event
from starter.api.problems import MEDIA_TYPE, PROBLEM_CONTENT, ProblemDetails

_REF = "#/components/schemas/{model}"


def takes(model: type[BaseModel], *, many: bool = False, examples: dict[str, Any] | None = None) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its own body."""
    one = {"$ref": _REF.format(model=model.__name__)}
    schema = {"anyOf": [one, {"type": "array", "items": one, "maxItems": 1000}]} if many else one
    content: dict[str, Any] = {"schema": schema}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def describe(app: FastAPI, bodies: list[type[BaseModel]]) -> Callable[[], dict[str, Any]]:
    """Replaces `app.openapi`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            for model in bodies:
                described = TypeAdapter(model).json_schema(ref_template=_REF)
                for name, part in described.pop("$defs", {}).items():
                    components.setdefault(name, part)
                components[model.__name__] = described
            _tell_our_own_errors(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    return openapi


def _tell_our_own_errors(schema: dict[str, Any]) -> None:
    """FastAPI describes a 422 of its own where a route does not; it never answers so here."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            described = operation["responses"].get("422")
            if described and MEDIA_TYPE not in described["content"]:
                described["content"] = PROBLEM_CONTENT
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


BODIES: list[type[BaseModel]] = [Event, CustomerWrite, IntegrationWrite, ProblemDetails]
