"""Whatever is in any text field stays text: for the database, for browsers, for headers and for spreadsheets.

How messages and pages are rendered is tested field by field in tests/unit/test_rendering_hostile.py, and every value at
every place in tests/api/test_fuzz.py; here the same texts go the whole way, in through the API and out by every door.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import lxml.html

from activities.links import Purpose
from tests.api.calling import Api
from tests.api.test_app import Temporal
from tests.api.test_fuzz import VALID, places, replaced
from tests.security.routes import concrete, routes
from tests.site.visitor import Visitor

MARK = "zqmark"
TEXTS = {
    "sql": f"'; drop table incidents; select '{MARK}' --",
    "sql like": f"%' or '1'='1' /* {MARK} */ \\' $1 {{0}}",
    "html": f"<script>{MARK}()</script><img src=x onerror={MARK}()>",
    "attribute": f"\"'><a href=javascript:{MARK}()>x</a>",
    "header": f"x\r\nX-{MARK}: 1\r\nSet-Cookie: {MARK}=1\r\n\r\n<p>{MARK}",
    "template": f"{{{{ 7*7 }}}}{{% raw %}} ${{7*7}} {MARK}",
    "mrkdwn": f"<!channel> <https://evil.example|{MARK}> *{MARK}*",
    "formula": f'=cmd|"/c calc"!A0+{MARK}',
}


async def _send_everywhere(api: Api) -> None:
    """One of the texts, by chance, in every text field of every body; nothing of it comes back in a header."""
    incident, seed = await api.incident(), random.randrange(10**6)
    chance = random.Random(seed)
    for method, path, body in VALID:
        for place in places(body):
            if _at(body, place) is None:
                continue
            sent = json.dumps(replaced(body, place, chance.choice([*TEXTS.values()])))
            headers = {"Content-Type": "application/json"}
            response = await api.http.request(method, path.format(incident=incident), content=sent, headers=headers)
            assert response.status_code < 500, (seed, path, place, response.text)
            assert MARK not in str(response.headers).lower(), (seed, path, place)


def _at(body: Any, place: tuple[Any, ...]) -> str | None:
    for step in place:
        body = body[step]
    return body if isinstance(body, str) else None


async def test_it_comes_out_as_it_went_in(api: Api) -> None:
    """By every GET of the API and every page, also for a customer of that very name."""
    await api.customer()
    object.__setattr__(api.resources, "temporal", Temporal())  # ready
    tables = await api.pool.fetchval("select count(*) from pg_tables where schemaname = 'public'")
    await _send_everywhere(api)
    for text in TEXTS.values():
        renamed = {"name": text, "technical_contacts": [{"email": "b@t.example", "name": text}]}
        answer = await api.http.put("/v1/customers/techcorp", json=renamed)
        if "\n" in text:
            assert answer.status_code == 422  # a name is one line
        else:
            assert answer.json()["name"] == text
        for response in await _everything(api):
            _nothing_is_made_of_it(response)
    assert await api.pool.fetchval("select count(*) from pg_tables where schemaname = 'public'") == tables


def _nothing_is_made_of_it(response: httpx.Response) -> None:
    assert response.status_code < 500, response.url
    assert MARK not in str(response.headers).lower(), response.url
    kind = response.headers.get("content-type", "")
    if kind.startswith("text/html"):
        _is_text_only(response.text)
    elif kind.startswith("text/csv"):
        cells = [cell for row in csv.reader(io.StringIO(response.text)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]


async def _everything(api: Api) -> list[httpx.Response]:
    """Every GET there is, as somebody who may see all of it."""
    incidents = (await api.http.get("/v1/incidents")).json()["items"]
    person = await api.pool.fetchval("select id from people where email = 'b@t.example' and removed_at is null")
    visitor = Visitor.operator(api)
    visitor.http.headers["authorization"] = api.http.headers["authorization"]
    found = []
    for incident in incidents[:3]:
        token = (
            api.resources.links.sign(Purpose.RECONNECT, UUID(incident["id"]), person, datetime.now(UTC))
            if person
            else "x"
        )
        for route in routes(api):
            if "GET" in (getattr(route, "methods", None) or ()) and not route.path.startswith(("/docs", "/redoc")):
                address = concrete(route.path, incident["id"], incident["integration"]["id"], token=token)
                found.append(await visitor.http.get(address))
    return found


def _is_text_only(page: str) -> None:
    """No element, attribute or address is made of it."""
    for element in lxml.html.document_fromstring(page).iter():
        if not isinstance(element.tag, str):
            assert MARK not in (element.text or ""), "in a comment"
            continue
        assert MARK not in element.tag
        if element.tag in {"script", "style"}:
            assert MARK not in (element.text or "")
        for name, value in element.attrib.items():
            assert MARK not in name
            assert not name.startswith("on"), (element.tag, name)
            if name in {"href", "src", "action"}:
                assert value.startswith(("/", "http://", "https://", "mailto:", "#", "?", "data:image/")), value


ROOT = Path(__file__).parents[2]
RUNS_SQL = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "cursor", "prepare"}


def _composed(code: str) -> list[str]:
    """Calls that run a statement which was put together from pieces."""
    found = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=[ast.JoinedStr() | ast.BinOp(), *_]) if name in RUNS_SQL:
                found.append(ast.unparse(node))
            case ast.Call(func=ast.Attribute(attr=name), args=[ast.Call(func=ast.Attribute(attr=how)), *_]):
                if name in RUNS_SQL and how in {"format", "join", "replace"}:
                    found.append(ast.unparse(node))
    return found


def test_no_statement_is_put_together_from_texts() -> None:
    """Values are parameters, always."""
    files = [path for folder in ("activities", "starter") for path in (ROOT / folder).rglob("*.py")]
    files.remove(ROOT / "starter/embedded/slack/store.py")  # a stand-in that empties its own tables, by their names
    found = {str(path.relative_to(ROOT)): _composed(path.read_text()) for path in [*files, ROOT / "worker.py"]}
    assert {path: calls for path, calls in found.items() if calls} == {}
    assert _composed("pool.fetch(f'select {x}')")
    assert _composed("pool.execute('select ' + x)")
