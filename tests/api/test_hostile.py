"""Bad, huge or forged input: a clear 4xx, nothing stored, nobody disturbed (promise 15)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from tests.api.calling import Api

JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024
EVENT = b'{"customer_external_id":"techcorp","integration_type":"salesforce","event_type":"auth_failure"%s}'

BODIES: dict[str, bytes] = {
    "empty": b"",
    "cut off": b'{"customer_external_id":',
    "not UTF-8": b'{"customer_external_id":"\xff\xfe"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + EVENT % b"",
    "a lone surrogate": EVENT % rb',"endpoint":"\ud83d"',
    "a NUL": EVENT % rb',"endpoint":"a\u0000b"',
    "NaN": EVENT % b',"error":{"http_status":NaN}',
    "Infinity": b"[Infinity]",
    "a huge integer": EVENT % (b',"error":{"http_status":' + b"9" * 10_000 + b"}"),
    "a huge exponent": EVENT % b',"error":{"http_status":1e999}',
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"error":' * 5_000 + b"1" + b"}" * 5_000,
    "a string": b'"event"',
    "a number": b"7",
    "null": b"null",
    "an array of arrays": b"[[]]",
    "an array of null": b"[null]",
    "two documents": EVENT % b"" + EVENT % b"",
    "a comment": b"/* hello */ {}",
    "XML": b"<event/>",
}


async def nothing_stored(api: Api) -> bool:
    """Nothing but the customer that was there before."""
    found = "select (select count(*) from integration_health), (select count(*) from customers)"
    return tuple(await api.pool.fetchrow(found)) == (0, 1)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_body_that_is_no_event_is_refused(shared: Api, body: bytes) -> None:
    response = await shared.http.post("/v1/events", content=body, headers=JSON)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"]
    assert await nothing_stored(shared)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/customers/other"),
        ("PUT", "/v1/customers/techcorp/integrations/salesforce/crm"),
        ("POST", "/v1/callbacks/reconnected"),
        ("POST", "/v1/incidents/5f0c7ae0-0000-4000-8000-000000000000/snooze"),
    ],
)
async def test_no_route_answers_garbage_with_a_5xx(shared: Api, method: str, path: str, body: bytes) -> None:
    response = await shared.http.request(method, path, content=body, headers=JSON)
    assert response.status_code == 422, response.text
    assert await nothing_stored(shared)


CONTENT_TYPES = {
    "application/json": 202,
    "application/json; charset=utf-8": 202,
    "application/cloudevents+json": 202,
    "": 202,
    "text/plain": 415,
    "application/x-www-form-urlencoded": 415,
    "multipart/form-data; boundary=x": 415,
}


async def test_the_content_type_must_be_json(api: Api) -> None:
    await api.customer()
    for content_type, status in CONTENT_TYPES.items():
        headers = {"Content-Type": content_type} if content_type else {}
        response = await api.http.post("/v1/events", content=EVENT % b"", headers=headers)
        assert response.status_code == status, content_type


async def test_a_thousand_events_are_taken_and_one_more_is_too_many(api: Api) -> None:
    await api.customer()
    event = {"customer_external_id": "techcorp", "integration_type": "salesforce", "event_type": "sync_succeeded"}
    too_many = await api.http.post("/v1/events", json=[event] * 1001)
    assert too_many.status_code == 413
    assert await nothing_stored(api)
    assert (await api.http.post("/v1/events", json=[event] * 1000)).json()["accepted"] == 1000


async def test_a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_not(api: Api) -> None:
    await api.customer()
    for size, status in ((MIB, 202), (MIB + 1, 413)):
        padding = b" " * (size - len(EVENT % b""))
        response = await api.http.post("/v1/events", content=EVENT % b"" + padding, headers=JSON)
        assert response.status_code == status


@asynccontextmanager
async def served(api: Api) -> AsyncIterator[int]:
    """The same API behind a real HTTP server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(api.app, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server._serve([listener]))  # serve() would take our signals
        yield int(listener.getsockname()[1])
        server.should_exit = True
        await asyncio.wait_for(running, 120)


async def test_a_chunked_body_is_refused_while_it_still_comes(shared: Api) -> None:
    """Nothing announces its length; the answer comes long before the end, and no more is read."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 200 * MIB:
            sent += 65_536
            yield b" " * 65_536
            await asyncio.sleep(0)

    async with served(shared) as port, httpx.AsyncClient(timeout=120, trust_env=False) as web:
        headers = {"Authorization": shared.http.headers["authorization"], **JSON}
        with contextlib.suppress(httpx.WriteError, httpx.ReadError):  # closed on us while we were still sending
            response = await web.post(f"http://127.0.0.1:{port}/v1/events", content=endless(), headers=headers)
            assert response.status_code == 413
    assert sent < 40 * MIB
    assert await nothing_stored(shared)


async def test_a_chunked_body_that_ends_gets_its_answer(shared: Api) -> None:
    """A sender that is a little over the limit reads why it was refused."""

    async def too_long() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 65_536

    async with served(shared) as port, httpx.AsyncClient(timeout=120, trust_env=False) as web:
        headers = {"Authorization": shared.http.headers["authorization"], **JSON}
        response = await web.post(f"http://127.0.0.1:{port}/v1/events", content=too_long(), headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (413, "application/problem+json")


async def test_an_announced_length_over_the_limit_is_refused_before_the_body(shared: Api) -> None:
    async with served(shared) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = shared.http.headers["authorization"]
        writer.write(
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {50 * MIB}\r\n\r\n".encode()
        )
        status = await asyncio.wait_for(reader.readline(), 120)
        writer.close()
    assert b" 413 " in status


async def test_a_stranger_is_refused_before_the_body_is_read(shared: Api) -> None:
    """401 though not one byte of the announced body has come."""
    async with served(shared) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT /v1/customers/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        status = await asyncio.wait_for(reader.readline(), 120)
        writer.close()
    assert b" 401 " in status


async def test_names_in_addresses_are_checked(shared: Api) -> None:
    long = "x" * 201
    assert (await shared.http.put(f"/v1/customers/{long}", json={"name": "X"})).status_code == 422
    assert (await shared.http.put("/v1/customers/a%00b", json={"name": "X"})).status_code == 422
    assert (await shared.http.get("/v1/customers/a%00b")).status_code == 422
    assert (await shared.http.get("/v1/incidents", params={"customer": "a\x00b"})).status_code == 422
    assert (await shared.http.get("/v1/integrations", params={"integration_type": "\x00"})).status_code == 422
    for path in ("/v1/incidents/7", "/v1/integrations/x", "/v1/incidents/x/acknowledge"):
        method = "POST" if path.endswith("acknowledge") else "GET"
        response = await shared.http.request(method, path, json={"by": "x"} if method == "POST" else None)
        assert response.status_code == 422, path


@pytest.mark.parametrize("monitor", [{"kind": "api", "endpoints": [{"url": "https://example.com", "expect_json": {}}]}])
async def test_free_json_in_a_monitor_must_be_storable(shared: Api, monitor: dict[str, Any]) -> None:
    """PostgreSQL can keep no NUL, and nobody wants to print a number of ten thousand digits."""
    path = "/v1/customers/techcorp/integrations/salesforce/crm"
    for value in ({"a": "\x00"}, {"\x00": 1}, {"a": 10**30}, {"a": [{"b": "\x00"}]}):
        monitor["endpoints"][0]["expect_json"] = value
        response = await shared.http.put(path, json={"monitor": monitor})
        assert response.status_code == 422, value
        assert response.json()["errors"][0]["field"].startswith("monitor.endpoints[0].expect_json")
    monitor["endpoints"][0]["expect_json"] = {"a": [1, {"b": None}]}
    assert (await shared.http.put(path, json={"monitor": monitor})).status_code == 201
