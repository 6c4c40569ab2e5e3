"""No route reads more than it may, whoever asks, however the body comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.api.calling import Api
from tests.security.routes import GUARDS, concrete, routes
from tests.site.visitor import Visitor

MIB = 1024 * 1024
CHUNK = 64 * 1024
MOST_READ = 16 * MIB + 2 * CHUNK  # so much is read and dropped, so that an honest sender gets to see the answer


class Body:
    """Chunked, without an announced length; knows how much of it was asked for."""

    def __init__(self, size: int) -> None:
        self.left, self.sent = size, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left > 0:
            self.left -= CHUNK
            self.sent += CHUNK
            yield b" " * CHUNK


def _taking_bodies(api: Api) -> list[tuple[str, Any]]:
    nobody = str(uuid4())
    found = [
        (method, concrete(route.path, nobody, nobody), GUARDS.get((method, route.path)))
        for route in routes(api)
        for method in sorted({"POST", "PUT", "DELETE"} & set(getattr(route, "methods", None) or ()))
    ]
    assert len(found) >= 15
    return found


@pytest.mark.parametrize("size", [2 * MIB, 64 * MIB])
async def test_an_endless_body_is_cut_off_by_every_route(shared: Api, size: int) -> None:
    """With a key, a session and a signature or none of them; nothing but a refusal comes of it."""
    visitor = Visitor.operator(shared)
    visitor.http.headers["authorization"] = shared.http.headers["authorization"]
    for http in (visitor.http, shared.anonymous()):
        for method, address, _ in _taking_bodies(shared):
            body = Body(size)
            headers = {"Content-Type": "application/json", "webhook-signature": "v1,x"}
            response = await http.request(method, address, content=body, headers=headers)
            assert response.status_code in {303, 401, 403, 404, 410, 413}, (method, address, response.status_code)
            assert body.sent <= MOST_READ, (method, address)


async def test_a_stranger_sends_nothing_that_is_read(shared: Api) -> None:
    """Where a key is needed, it comes first; not a byte of the body is asked for."""
    async with shared.anonymous() as http:
        for method, address, guard in _taking_bodies(shared):
            if guard in {"events", "read", "operate", "admin"}:
                body = Body(2 * MIB)
                assert (await http.request(method, address, content=body)).status_code == 401
                assert body.sent <= CHUNK, (method, address)  # what the client has at hand


async def test_an_announced_length_is_believed_before_the_body(shared: Api) -> None:
    """Over 16 MiB, the answer comes at once."""
    for method, address, guard in _taking_bodies(shared):
        if guard in {"events", "callbacks", "read", "operate", "admin"} and method != "DELETE":
            body = Body(32 * MIB)
            headers = {"Content-Type": "application/json", "Content-Length": str(32 * MIB)}
            response = await shared.http.request(method, address, content=body, headers=headers)
            assert response.status_code == 413, (method, address)
            assert response.headers["connection"] == "close"
            assert body.sent <= CHUNK, (method, address)
