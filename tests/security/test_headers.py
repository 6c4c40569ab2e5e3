"""What browsers are told on every answer of every route: nothing is kept, framed, guessed, or named to another site."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest_asyncio
from starlette.responses import HTMLResponse

from activities.links import Purpose
from tests.api.calling import Api
from tests.security.routes import body_for, concrete, routes
from tests.site.visitor import Visitor

KEPT = {"/static/relink.css", "/static/{address}", "/static-offline-docs"}  # the same for everybody
OWN_REFERRER = "same-origin"  # staff's pages; nothing of it reaches another site


@pytest_asyncio.fixture
async def answers(api: Api) -> list[tuple[Any, httpx.Response]]:
    """Every route as somebody with a good key, session and link sees it, and as a stranger does."""
    await api.customer()
    await api.integration(reconnect_url="https://product.example/reconnect")
    event = await api.event()
    person = await api.pool.fetchval("select id from people where role = 'technical_contact'")
    found = []
    for http in (api.http, Visitor.operator(api).http, api.anonymous()):
        for route in routes(api):
            for token in _tokens(api, event["incident"], person):
                address = concrete(route.path, event["incident"], event["integration"], token=token)
                for method in sorted(getattr(route, "methods", None) or {"GET"}):
                    body = body_for(route.path, "techcorp") if method in {"PUT", "POST"} else None
                    found.append((route, await http.request(method, address, json=body)))
    return found


def _tokens(api: Api, incident: str, person: UUID) -> list[str]:
    now = datetime.now(UTC)
    sign = api.resources.links.sign
    return [*(sign(purpose, UUID(incident), person, now) for purpose in Purpose), "guessed"]


async def test_every_answer_is_marked(answers: list[tuple[Any, httpx.Response]]) -> None:
    """Pages, data, redirects and errors."""
    for route, answer in answers:
        where = (route.path, answer.request.method, answer.status_code)
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff", where
        policy = _directives(headers["content-security-policy"])
        assert policy["frame-ancestors"] == "'none'", where
        assert headers["referrer-policy"] in {"no-referrer", OWN_REFERRER}, where
        if route.path not in KEPT:
            assert headers["cache-control"] == "no-store", where


async def test_no_page_runs_or_loads_anything_from_elsewhere(answers: list[tuple[Any, httpx.Response]]) -> None:
    """Customers' pages run no script at all, staff's only our own files, and none has a frame or a plug-in."""
    seen = set()
    for route, answer in answers:
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        where = (route.path, answer.request.method, answer.status_code)
        seen.add(route.path)
        policy = _directives(answer.headers["content-security-policy"])
        assert policy["default-src"] in {"'none'", "'self'"}, where
        assert policy["base-uri"] == "'none'", where
        if not route.path.startswith(("/docs", "/redoc")):
            assert policy["default-src"] == "'none'", where
            assert policy.get("script-src", "'none'") in {"'none'", "'self'"}, where
            assert "unsafe" not in answer.headers["content-security-policy"], where
            assert answer.headers["x-robots-tag"] == "noindex, nofollow", where
        if route.path.startswith("/r/"):
            assert "script-src" not in policy, where
            assert answer.headers["referrer-policy"] == "no-referrer", where
    pages = {route.path for route, _ in answers if getattr(route, "response_class", None) is HTMLResponse}
    files = {path for path in pages if path.endswith(".csv")}
    assert pages - seen == {"/"} | files  # it only leads on
    assert seen >= {"/docs", "/redoc"}


def _directives(policy: str) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in policy.split(";"))
    return {name: value for name, _, value in parts}
