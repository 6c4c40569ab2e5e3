"""The api monitor (FR-1.2, FR-1.6)."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from activities.probes.check import Prober, Seen
from activities.probes.monitor import MONITOR
from tests.probes.peers import http, peer, says
from workflows.contracts import Check
from workflows.domain.diagnosis import Category

REVOKED = '{"error":{"code":"token_revoked","message":"The token was revoked"}}'


async def look(prober: Prober, *endpoints: dict[str, Any], headers: dict[str, str] | None = None) -> Seen:
    body = {"kind": "api", "headers": headers or {}, "endpoints": list(endpoints)}
    return await prober.look("custom_api", MONITOR.validate_python(body))


@pytest.fixture
def server(httpserver: HTTPServer) -> HTTPServer:
    """Endpoints of every mood, in the paths."""
    answers = {
        "/ok": Response('{"ok":true,"user":{"id":7,"roles":["a"]}}'),
        "/revoked": Response(REVOKED, 401),
        "/401": Response("", 401),
        "/500": Response("", 500),
        "/404": Response("", 404),
        "/403": Response("", 403),
        "/302": Response("", 302, {"Location": "/ok"}),
        "/429": Response("", 429, {"Retry-After": "30"}),
        "/github": Response("{}", 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "90"}),
        "/503": Response("", 503, {"Retry-After": "600"}),
        "/false": Response('{"ok":false,"error":"token_revoked"}'),
        "/graphql": Response('{"errors":[{"type":"FORBIDDEN"}],"data":null}'),
        "/html": Response("<html>hello</html>"),
        "/challenge": Response("", 401, {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The access token was revoked"'}),  # noqa: E501
        "/pat": Response("{}", 200, {"github-authentication-token-expiration": "2027-01-31 12:00:00 UTC"}),
    }  # fmt: skip
    for path, response in answers.items():
        httpserver.expect_request(path).respond_with_response(response)
    return httpserver


async def test_authenticated_and_as_expected(prober: Prober, httpserver: HTTPServer) -> None:
    """Header values are sent, the JSON may hold more than was asked for, and the time is measured."""

    def me(request: Request) -> Response:
        good = request.headers.get("Authorization") == "Bearer s3cr3t-value"
        return Response('{"ok":true,"user":{"id":7,"name":"x"}}' if good else "", 200 if good else 401)

    httpserver.expect_request("/me").respond_with_handler(me)
    endpoint = {"name": "me", "url": httpserver.url_for("/me"), "expect_json": {"ok": True, "user": {"id": 7}}}
    seen = await look(prober, endpoint, headers={"Authorization": "Bearer s3cr3t-value"})
    assert (seen.check, seen.detail) == (Check.WORKING, "1 of 1 endpoints answered as expected")
    assert seen.latency is not None
    assert timedelta() < seen.latency < timedelta(seconds=5)
    seen = await look(prober, endpoint, headers={"Authorization": "Bearer wrong"})
    assert seen.check is not Check.WORKING


@pytest.mark.parametrize(
    ("paths", "check", "category"),
    [
        (["/ok"], Check.WORKING, None),
        (["/revoked"], Check.BROKEN, Category.TOKEN_REVOKED),
        (["/challenge"], Check.BROKEN, Category.TOKEN_REVOKED),
        (["/false"], Check.BROKEN, Category.TOKEN_REVOKED),
        (["/revoked", "/revoked"], Check.BROKEN, Category.TOKEN_REVOKED),
        (["/revoked", "/404"], Check.INCONCLUSIVE, Category.NOT_FOUND),
        (["/graphql"], Check.INCONCLUSIVE, Category.CONSENT_OR_SCOPE_MISSING),
        # Part of it works.
        (["/ok", "/revoked"], Check.DEGRADED, Category.TOKEN_REVOKED),
        (["/ok", "/500"], Check.DEGRADED, Category.PROVIDER_OUTAGE),
        (["/ok", "/404", "/429"], Check.DEGRADED, Category.NOT_FOUND),
        # May pass by itself; a provider in trouble refuses good credentials too.
        (["/500"], Check.INCONCLUSIVE, Category.PROVIDER_OUTAGE),
        (["/401"], Check.INCONCLUSIVE, Category.TOKEN_EXPIRED),
        (["/302"], Check.INCONCLUSIVE, Category.APP_MISCONFIGURED),
        (["/revoked", "/500"], Check.INCONCLUSIVE, Category.PROVIDER_OUTAGE),
        # A rate limit is never a failure.
        (["/429"], Check.INCONCLUSIVE, Category.RATE_LIMITED),
        (["/github"], Check.INCONCLUSIVE, Category.RATE_LIMITED),
        (["/ok", "/429"], Check.INCONCLUSIVE, Category.RATE_LIMITED),
        (["/revoked", "/429"], Check.INCONCLUSIVE, Category.RATE_LIMITED),
    ],
)  # fmt: skip
async def test_one_or_several(
    prober: Prober, server: HTTPServer, paths: list[str], check: Check, category: Category | None
) -> None:
    """All, some or none of the endpoints fail, for good or for now."""
    seen = await look(prober, *({"name": path, "url": server.url_for(path)} for path in paths))
    assert seen.check is check, seen
    assert (seen.diagnosis.category if seen.diagnosis else None) == category
    assert set(seen.failing) == {e.name for e in seen.endpoints if e.name.removesuffix(" (2)") != "/ok"}
    assert all(endpoint.latency for endpoint in seen.endpoints)


async def test_which_ones_fail(prober: Prober, server: HTTPServer) -> None:
    """FR-1.6: the detail and the endpoints say which, with what; a query, which may hold a key, is in neither."""
    seen = await look(
        prober,
        {"url": server.url_for("/ok?api_key=s3cr3t")},
        {"name": "deals", "url": server.url_for("/403")},
        {"url": server.url_for("/500?api_key=s3cr3t")},
    )
    where = server.url_for("/500")
    assert seen.detail == f"2 of 3 endpoints did not answer as expected: deals answered 403; {where} answered 500"
    assert [(e.name, e.check, e.status) for e in seen.endpoints] == [
        (server.url_for("/ok"), Check.WORKING, 200),
        ("deals", Check.INCONCLUSIVE, 403),
        (where, Check.INCONCLUSIVE, 500),
    ]
    assert "s3cr3t" not in repr(seen)


@pytest.mark.parametrize(
    ("path", "wanted", "works"),
    [
        ("/ok", {"expect_json": {"ok": True}}, True),
        ("/ok", {"expect_json": {"user": {"roles": ["a"]}}}, True),
        ("/ok", {"expect_json": {"ok": 1}}, False),
        ("/ok", {"expect_json": {"user": {"id": "7"}}}, False),
        ("/ok", {"expect_json": {"user": {"roles": []}}}, False),
        ("/false", {"expect_json": {"ok": True}}, False),
        ("/false", {"expect_json": {"ok": False}}, True),
        ("/html", {"expect_json": {"ok": True}}, False),
        ("/404", {"expect_status": 404}, True),
        ("/ok", {"expect_status": 201}, False),
        ("/302", {"expect_status": 302}, True),
    ],
)
async def test_expectations(prober: Prober, server: HTTPServer, path: str, wanted: dict[str, Any], works: bool) -> None:
    """A status, and JSON in which more may be; a success with the failure inside is a failure."""
    seen = await look(prober, {"url": server.url_for(path), **wanted})
    assert (seen.check is Check.WORKING) == works, seen
    assert (seen.failure is None) == works


async def test_too_slow(prober: Prober) -> None:
    """Slower than allowed is degraded, not broken."""
    async with peer(says(b"", pause=1.05, then=http(200))) as slow:
        seen = await look(prober, {"name": "report", "url": slow.url, "max_latency": "1s"})
    assert seen.check is Check.DEGRADED
    assert re.fullmatch(r"report took [1-9]\.\d s, more than 1 s", seen.detail)


@pytest.mark.parametrize(("path", "seconds"), [("/429", 30), ("/github", 90), ("/503", 600), ("/500", None)])
async def test_when_to_come_back(prober: Prober, server: HTTPServer, path: str, seconds: int | None) -> None:
    """What the peer asks for is handed on."""
    seen = await look(prober, {"url": server.url_for(path)}, {"url": server.url_for("/ok")})
    assert (seen.retry_after.total_seconds() if seen.retry_after else None) == seconds


async def test_all_at_once(prober: Prober) -> None:
    """Twenty endpoints take as long as the slowest few, and a dead one holds nobody up."""

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(http(204))
        await writer.drain()

    async with peer(slow) as server, peer(says(b"")) as dead:
        urls = [f"{server.url}/{i}" for i in range(19)] + [dead.url]
        started = asyncio.get_running_loop().time()
        seen = await look(prober, *({"url": url} for url in urls))
        assert asyncio.get_running_loop().time() - started < 4  # one after the other: 6 s
    assert seen.check is Check.DEGRADED
    assert seen.failing == (dead.url,)


async def test_a_key_with_an_end(prober: Prober, server: HTTPServer) -> None:
    """GitHub says with every answer when the token ends; elsewhere the owner may say so."""
    seen = await look(prober, {"url": server.url_for("/pat")})
    assert [(e.kind, e.at.isoformat(), e.renewed_by) for e in seen.expiries] == [
        ("api_key", "2027-01-31T12:00:00+00:00", "customer")
    ]
    body = {
        "kind": "api",
        "endpoints": [{"url": server.url_for("/ok")}],
        "credential_expires_at": "2027-02-01T00:00:00Z",
    }
    seen = await prober.look("custom_api", MONITOR.validate_python(body))
    assert [(e.kind, e.at.isoformat()) for e in seen.expiries] == [("api_key", "2027-02-01T00:00:00+00:00")]


async def test_a_forbidden_endpoint_is_no_failure_of_theirs(server: HTTPServer) -> None:
    """What we may not ask says nothing about the connection."""
    from activities.playbooks import load_catalogue  # noqa: PLC0415
    from activities.probes.http import ProbeClient  # noqa: PLC0415

    async with ProbeClient() as client:
        seen = await look(Prober(client, load_catalogue()), {"url": server.url_for("/ok")})
    assert (seen.check, seen.diagnosis, seen.failure) == (Check.INCONCLUSIVE, None, None)
    assert "is not a public address" in seen.detail


async def test_nothing_renews_a_header(prober: Prober, server: HTTPServer) -> None:
    """A 401 to a stored key is a refused key, and its owner is asked; not an expired token that is being renewed. It
    still takes a second look."""
    endpoint = {"url": server.url_for("/401")}
    seen = await look(prober, endpoint, headers={"Authorization": "Bearer s3cr3t-value"})
    assert seen.check is Check.INCONCLUSIVE
    assert seen.diagnosis is not None
    assert seen.diagnosis.category is Category.CREDENTIALS_INVALID
    assert seen.diagnosis.who_fixes.is_customer
    bare = await look(prober, endpoint)
    assert bare.diagnosis is not None
    assert bare.diagnosis.category is Category.TOKEN_EXPIRED
