"""What one caller may ask of us: bodies of bounded size, well-formed JSON, and so many requests a second."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from activities.db.keys import ApiKey, KeyStore, key_hash
from starter.api.problems import Problem, field_name, invalid

MAX_BYTES = 1024 * 1024
# Closing with unread bytes resets the connection, and the sender never sees the answer: so much is read and dropped.
_MOST_DISCARDED = 16 * MAX_BYTES
_KEY_SECONDS = 5.0  # a revoked key is refused after so long at the latest
_MOST_KEYS = 10_000
_BIGGEST = 2**63  # beyond, a number is no number of ours, and costs quadratic time to print

T = TypeVar("T")


async def read_body(request: Request) -> bytes:
    """The body, refused as soon as it is seen to be over 1 MiB, whether its length was announced or not.

    Raises Problem (413).
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > _MOST_DISCARDED:
        raise _too_large()
    body, seen = bytearray(), 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen <= MAX_BYTES:
            body += chunk
        elif seen > _MOST_DISCARDED:
            break
    if seen > MAX_BYTES:
        raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    # The rest of the body may not have been read, so the connection can't be used for another request.
    return Problem(413, "the body is over 1 MiB; send less at once", headers={"Connection": "close"})


async def read_json(request: Request) -> Any:
    """The body as JSON. Raises Problem (413, 415, 422)."""
    return parse_json(request, await read_body(request))


def parse_json(request: Request, body: bytes) -> Any:
    """Takes nothing but what RFC 8259 allows. Raises Problem (415, 422)."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Problem(415, f"this is {kind[:100]!r}; send Content-Type: application/json")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        what = f"not valid JSON: {error}" if body else "a JSON body is needed"
        raise Problem.at("", what) from None


def validated(adapter: TypeAdapter[T], value: object) -> T:
    """Raises Problem (422) naming every wrong field."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)) from None


def body_of(model: type[T]) -> Any:
    """A dependency: the body of the request as this model. Declared behind the key, so that strangers send nothing."""
    adapter: TypeAdapter[T] = TypeAdapter(model)

    async def read(request: Request) -> T:
        value = await read_json(request)
        refuse_unstorable(value, [])
        return validated(adapter, value)

    return Depends(read)


def refuse_unstorable(value: object, location: list[int | str]) -> None:
    """Raises Problem (422) at the first text or number that PostgreSQL could not keep."""
    match value:
        case str() if "\x00" in value:
            raise Problem.at(field_name(location), "must not contain NUL characters")
        case int() if abs(value) > _BIGGEST:
            raise Problem.at(field_name(location), "this number is too large")
        case list():
            for i, item in enumerate(value):
                refuse_unstorable(item, [*location, i])
        case dict():
            for name, item in value.items():
                refuse_unstorable(name, location)
                refuse_unstorable(item, [*location, name])


class Throttle:
    """A token bucket for each key: a second's worth at once, then so many a second. Of this process alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[UUID, tuple[float, float]] = {}

    def take(self, key: UUID, per_second: int) -> None:
        """Raises Problem (429) saying when to come back."""
        now = self._clock()
        tokens, at = self._buckets.get(key, (float(per_second), now))
        tokens = min(float(per_second), tokens + (now - at) * per_second)
        if tokens < 1:
            self._buckets[key] = tokens, now
            wait = max(1, math.ceil((1 - tokens) / per_second))
            raise Problem(429, f"over {per_second} requests a second", headers={"Retry-After": str(wait)})
        self._buckets[key] = tokens - 1, now


class KeyCache:
    """Looks keys up, and remembers those that it found for five seconds."""

    def __init__(self, store: KeyStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._known: OrderedDict[bytes, tuple[ApiKey, float]] = OrderedDict()

    async def find(self, key: str) -> ApiKey | None:
        """The key, or None for an unknown or revoked one."""
        hashed = key_hash(key)
        known = self._known.get(hashed)
        if known is not None and known[1] > self._clock():
            return known[0]
        found = await self._store.find(key)
        self._known.pop(hashed, None)
        if found is not None:
            self._known[hashed] = found, self._clock() + _KEY_SECONDS
            while len(self._known) > _MOST_KEYS:
                self._known.popitem(last=False)
        return found
