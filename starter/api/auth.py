"""Who is asking: API keys with scopes, and what a key that belongs to one customer may see."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias
from uuid import UUID

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer as BearerScheme
from fastapi.security.base import SecurityBase

from activities.db.keys import ApiKey, Scope
from starter.api.problems import Problem
from starter.api.resources import resources_of

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="relink"'}


def unauthorised(detail: str) -> Problem:
    """401, saying how to do better."""
    return Problem(401, detail, headers=_CHALLENGE)


class KeyWith(SecurityBase):
    """A dependency: the request's API key, which must have this scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.scheme_name = "apiKey"
        self.model = BearerScheme(description="An API key; make one with `relink keys create NAME --scope read`.")

    async def __call__(self, request: Request) -> ApiKey:
        return await authenticate(request, self.scope)


async def authenticate(request: Request, scope: Scope) -> ApiKey:
    """The key of this request. Raises Problem: 401 without a good key, 429 too fast, 403 without the scope."""
    kind, _, sent = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not sent.strip():
        raise unauthorised("send an API key: Authorization: Bearer relink_…")
    resources = resources_of(request)
    key = await resources.keys.find(sent.strip())
    if key is None:
        raise unauthorised("this API key is unknown or was revoked")
    resources.throttle.take(key.id, resources.policy.current.limits.per_key_per_second)
    if scope not in key.scopes:
        raise Problem(403, f"this API key lacks the scope {scope.value!r}", scope=scope.value)
    return key


def _needs(scope: Scope) -> Any:
    return Security(KeyWith(scope), scopes=[scope.value])


EventsKey: TypeAlias = Annotated[ApiKey, _needs(Scope.EVENTS)]
ReadKey: TypeAlias = Annotated[ApiKey, _needs(Scope.READ)]
CallbacksKey: TypeAlias = Annotated[ApiKey, _needs(Scope.CALLBACKS)]
OperateKey: TypeAlias = Annotated[ApiKey, _needs(Scope.OPERATE)]
AdminKey: TypeAlias = Annotated[ApiKey, _needs(Scope.ADMIN)]


def only_own(key: ApiKey, customer: str | None) -> UUID | None:
    """The customer that this key is limited to, if any. Raises Problem (404) if another one is named."""
    if key.customer_id is not None and customer is not None and customer != key.customer:
        raise Problem(404, "there is no such customer")
    return key.customer_id
