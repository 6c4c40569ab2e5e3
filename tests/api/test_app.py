"""The API as a whole: errors, health, its description, and what happens when something that it needs is away."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from activities.db.keys import ApiKey, Scope, key_hash
from activities.db.pool import create_pool
from activities.links import Purpose
from starter.api import health, serving
from starter.api.app import create_app
from starter.api.limits import KeyCache
from tests.api.calling import Api, RecordedBells, assemble, client_of
from tests.security.routes import body_for, concrete, guarded, operations

PROBLEM = "application/problem+json"


def check_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    problem = dict(response.json())
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_errors_of_the_framework_are_problems_too(shared: Api) -> None:
    check_problem(await shared.http.get("/nothing/here"), 404)
    check_problem(await shared.http.get("/static-offline-docs/nothing"), 404)
    check_problem(await shared.http.get("/v1/events/"), 404)
    wrong = await shared.http.delete("/v1/events")
    check_problem(wrong, 405)
    assert wrong.headers["allow"] == "POST"
    several = await shared.http.post("/v1/customers/techcorp")
    check_problem(several, 405)
    assert several.headers["allow"] == "GET, PUT"
    check_problem(await shared.http.request("BREW", "/healthz"), 405)


async def test_head_is_get_without_a_body(shared: Api) -> None:
    for path in ("/healthz", "/v1/incidents", "/metrics", "/docs"):
        get, head = await shared.http.get(path), await shared.http.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"]


class Broken:
    """A collaborator with a fault of ours in it, and a message that quotes a customer."""

    def __getattr__(self, _: str) -> Any:
        raise ZeroDivisionError("s3" + "cr3t")


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(shared: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Not to the caller, and not to the log: that has the type and the place."""
    object.__setattr__(shared.resources, "reader", Broken())
    try:
        problem = check_problem(await shared.http.get("/v1/incidents"), 500)
        page = await shared.http.get(shared.resources.links.status(uuid4(), datetime.now(UTC)))
    finally:
        object.__setattr__(shared.resources, "reader", assemble(shared.pool, shared.bells).reader)
    assert "s3cr3t" not in str(problem)
    assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
    logged = capsys.readouterr().out
    assert "ZeroDivisionError" in logged
    assert "s3cr3t" not in logged


async def test_every_answer_has_the_headers_that_browsers_heed(shared: Api) -> None:
    for path in ("/healthz", "/v1/incidents", "/nothing", "/openapi.json"):
        headers = (await shared.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


@pytest.fixture(scope="module")
async def away() -> AsyncIterator[Api]:
    """The API while PostgreSQL is not there; keys are remembered from before."""
    async with create_pool("postgresql://nobody@127.0.0.1:9/none") as pool:
        resources = assemble(pool, RecordedBells())
        app = create_app(resources)
        async with client_of(app, Authorization="Bearer relink_known") as http:
            api = Api(http, app, resources, RecordedBells(), pool)
            remember(resources.keys)
            yield api


def remember(cache: KeyCache) -> None:
    key = ApiKey(uuid4(), "known", frozenset(Scope), None, None, datetime.now(UTC), None)
    cache._known[key_hash("relink_known")] = key, cache._clock() + 3600


async def test_no_2xx_while_the_database_is_away(away: Api) -> None:
    """Promise 1: 2xx means committed. Every route that needs the database says 503 and when to come back."""
    some = str(uuid4())
    for method, path, _ in guarded(away):
        if path == "/codec/decode":  # nothing of it is stored
            continue
        address = concrete(path, some, some)
        response = await away.http.request(method, address, json=body_for(path, "techcorp"))
        check_problem(response, 503)
        assert int(response.headers["retry-after"]) >= 1
    check_problem(await away.http.get("/metrics"), 503)
    unknown = await away.http.get("/v1/incidents", headers={"Authorization": "Bearer relink_unknown"})
    check_problem(unknown, 503)  # not 401: nobody can say that it is unknown


async def test_pages_say_so_kindly_while_the_database_is_away(away: Api) -> None:
    now = datetime.now(UTC)
    token = away.resources.links.sign(Purpose.RECONNECT, uuid4(), uuid4(), now)
    for method, path in (
        ("GET", f"/r/{token}"),
        ("POST", f"/r/{token}"),
        ("GET", away.resources.links.status(uuid4(), now)),
    ):
        page = await away.http.request(method, path)
        assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert "Please try again" in page.text
        assert int(page.headers["retry-after"]) >= 1


async def test_alive_without_anything(away: Api) -> None:
    assert (await away.http.get("/healthz")).json() == {"status": "ok"}
    problem = check_problem(await away.http.get("/readyz"), 503)
    assert problem["checks"] == {
        "database": "can't be reached",
        "migrations": "unknown",
        "temporal": "can't be reached",
    }


class Temporal:
    """Says how Temporal is, after a while."""

    def __init__(self, *, serving: bool = True, seconds: float = 0) -> None:
        self.service_client, self._serving, self._seconds = self, serving, seconds

    async def check_health(self) -> bool:
        await asyncio.sleep(self._seconds)
        return self._serving


async def readiness(api: Api, temporal: Temporal) -> httpx.Response:
    object.__setattr__(api.resources, "temporal", temporal)
    return await api.http.get("/readyz")


async def test_ready_is_the_database_its_migrations_and_temporal(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = await readiness(api, Temporal())
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "checks": {"database": "ok", "migrations": "ok", "temporal": "ok"}}
    not_serving = check_problem(await readiness(api, Temporal(serving=False)), 503)
    assert not_serving["checks"]["temporal"] == "not serving"
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    stuck = check_problem(await readiness(api, Temporal(seconds=30)), 503)
    assert "no answer" in stuck["checks"]["temporal"]
    assert stuck["checks"]["database"] == "ok"
    monkeypatch.undo()
    await api.pool.execute("delete from schema_migrations where version = 1")
    behind = check_problem(await readiness(api, Temporal()), 503)
    assert "relink migrate" in behind["checks"]["migrations"]
    assert "migrations" in behind["detail"]
    await api.pool.execute("insert into schema_migrations (version, name, checksum) values (1, 'x', 'changed')")
    changed = check_problem(await readiness(api, Temporal()), 503)
    assert "changed after it was applied" in changed["checks"]["migrations"]


async def test_what_the_database_lacks_is_logged(api: Api) -> None:
    """Also what waiting does not heal: the process that serves 503s has the reason in its log."""
    await api.pool.execute("update schema_migrations set checksum = 'changed' where version = 1")
    with capture_logs() as said:
        await serving._say_what_is_missing(api.pool)
    assert "changed after it was applied" in said[0]["problem"]


async def test_between_a_deploy_and_its_migrations(api: Api) -> None:
    """What needs a column that is not there yet is asked for again; so is whatever is asked while tables change."""
    await api.customer()
    incident = await api.incident()
    path, body = f"/v1/incidents/{incident}/resolve", {"by": "Dana Kim", "reason": "fixed"}
    for change, status in (
        ("alter table incidents rename hinted_by to not_yet", 503),
        ("select 1", 503),
        ("alter table incidents rename not_yet to hinted_by", 503),
        ("select 1", 202),
    ):
        await api.pool.execute(change)
        answer = await api.http.post(path, json=body)
        assert answer.status_code == status, (change, answer.text)
        if status == 503:
            assert "being updated" in check_problem(answer, 503)["detail"]
            assert int(answer.headers["retry-after"]) >= 1
    hints = "select count(*) from incident_timeline where kind = 'recovery_hinted'"
    assert await api.pool.fetchval(hints) == 1


async def test_figures_for_prometheus(api: Api) -> None:
    await api.customer()
    await api.integration(is_critical=True)
    incident = await api.incident()
    await api.act(incident, "acknowledge")
    response = await api.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    assert 'relink_incidents{severity="critical",status="open"} 1' in lines
    assert 'relink_integrations{status="disconnected"} 1' in lines
    assert 'relink_deliveries{channel="slack",status="pending"} 1' in lines
    assert "relink_doorbells_unrung 2" in lines
    sample = re.compile(r'^[a-z_]+(\{[a-z]+="[a-z_]+"(,[a-z]+="[a-z_]+")*\})? [0-9.]+$')
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ")) or sample.match(line), line
    assert len([line for line in lines if line.startswith("# TYPE")]) == len(
        {line for line in lines if "# TYPE" in line}
    )


async def test_conflicts_between_transactions_are_worth_another_try(shared: Api) -> None:
    class Deadlocked:
        async def incidents(self, *_: object) -> None:
            raise asyncpg.DeadlockDetectedError("x")

    reader = shared.resources.reader
    object.__setattr__(shared.resources, "reader", Deadlocked())
    try:
        response = await shared.http.get("/v1/incidents")
    finally:
        object.__setattr__(shared.resources, "reader", reader)
    check_problem(response, 503)
    assert int(response.headers["retry-after"]) >= 1


async def test_docs_work_offline(shared: Api) -> None:
    """Everything that the pages load comes from here."""
    for path in ("/docs", "/redoc"):
        page = await shared.http.get(path)
        assert page.status_code == 200
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert loaded
        for address in loaded:
            assert address.startswith("/"), address
            assert (await shared.http.get(address)).status_code == 200


def test_the_description_is_complete(shared: Api) -> None:
    """Summaries, models of answers, problems of errors, the key, and no reference that leads nowhere."""
    schema = shared.app.openapi()
    for method, path, operation in operations(shared):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        good = [code for code in operation["responses"] if code.startswith(("2", "3"))]
        assert good, where
        for code, response in operation["responses"].items():
            if code in good or "410" in code:
                continue
            model = response["content"][PROBLEM]["schema"]
            assert model == {"$ref": "#/components/schemas/ProblemDetails"}, f"{where} {code}"
        if path.startswith("/v1/"):
            assert {"401", "403", "429", "503"} <= set(operation["responses"]), where
            if "204" not in good:
                assert operation["responses"][good[0]]["content"]["application/json"]["schema"]["$ref"], where
        if method in {"PUT", "POST"} and path.startswith("/v1/"):
            assert operation["requestBody"]["content"]["application/json"]["schema"], where
    assert schema["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    names = set(schema["components"]["schemas"])
    assert {ref.rpartition("/")[2] for ref in re.findall(r'"\$ref": "([^"]+)"', json.dumps(schema))} <= names
    ids = [operation["operationId"] for _, _, operation in operations(shared)]
    assert len(ids) == len(set(ids))


def test_the_app_is_made_anew_each_time(shared: Api) -> None:
    first, second = create_app(shared.resources), create_app(shared.resources)
    assert isinstance(first, FastAPI)
    assert first is not second
    assert first.openapi() == second.openapi()
