"""Promises 8 and 9: only evidence or a named person resolves, never a click; reading changes nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from starter.embedded import ports
from starter.embedded.web import serving
from tests.faults.scene import PATIENCE, Integration, Scene


class Provider:
    """An API that refuses the key until it is mended."""

    def __init__(self) -> None:
        self.works = False
        self.url = ""
        self.looked_at_by = list[Integration]()

    async def answer(self, _: Request) -> Response:
        return JSONResponse({"ok": True} if self.works else {"error": "invalid_api_key"}, 200 if self.works else 401)


@pytest_asyncio.fixture
async def provider(scene: Scene) -> AsyncIterator[Provider]:
    """Nobody looks at it any more when it goes away: that would be the next failure, in the middle of another test."""
    made = Provider()
    async with serving(Starlette(routes=[Route("/", made.answer)])) as port:
        made.url = f"http://{ports.HOST}:{port}/"
        yield made
        await scene.cluster.restore()
        for one in made.looked_at_by:
            (await scene.http.delete(one.path)).raise_for_status()
            await scene.until_over(one.customer)


async def _broken(scene: Scene, provider: Provider) -> Integration:
    monitor = {"kind": "api", "endpoints": [{"url": provider.url}], "headers": {"Authorization": "Bearer old"}}
    (one,) = provider.looked_at_by = await scene.integrations(1, monitor=monitor)
    await scene.until_told(2, one.customer)
    return one


async def test_clicks_callbacks_and_events_are_hints(scene: Scene, provider: Provider) -> None:
    """Whatever is said or pressed, it stays open until Relink's own look succeeds; then it is verified."""
    one = await _broken(scene, provider)
    (mail,) = [mail for mail in scene.cluster.inbox.messages() if mail.recipients == (f"bob@{one.customer}.example",)]
    link = next(link for link in mail.links if "/r/" in link)
    identity = {"customer_external_id": one.customer, "integration_type": one.kind, "integration_id": one.name}
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as stranger:
        for _ in range(3):
            await stranger.get(link)
            await stranger.head(link)
            await stranger.post(link)
    callback = await scene.http.post("/v1/callbacks/reconnected", json=identity)
    assert callback.status_code == 202
    await scene.say_until_taken(one.event("reconnected"), one.event("sync_succeeded"))
    await asyncio.sleep(4)  # two quiet windows
    incident = (await scene.http.get("/v1/incidents", params={"customer": one.customer})).json()["items"][0]
    assert (incident["status"], incident["resolution"]) == ("open", None)
    provider.works = True
    await scene.until_over(one.customer)
    resolution = "select resolution from incidents i join customers c on c.id = i.customer_id where c.external_id = $1"
    assert await scene.pool.fetchval(resolution, one.customer) == "verified"
    await scene.audit()


async def test_reading_changes_nothing(scene: Scene, provider: Provider) -> None:
    """GET and HEAD of every address leave each table as it was, but for the timeline's `page_fetched`."""
    one = await _broken(scene, provider)
    incident = (await scene.http.get("/v1/incidents", params={"customer": one.customer})).json()["items"][0]
    links = {
        link for mail in scene.cluster.inbox.messages() for link in mail.links if one.customer in mail.recipients[0]
    }
    described = (await scene.http.get("/openapi.json")).json()["paths"]
    known = {"external_id": one.customer, "incident": incident["id"], "integration": incident["integration"]["id"]}
    paths = [_filled(path, known) for path, calls in described.items() if "get" in calls]
    for name in ("probes", "worker-1", "worker-2"):  # who may write at any time
        await scene.cluster.stop(name)
    before = await _tables(scene)
    for address in sorted({*links, *paths}):
        answer = await scene.http.get(address)
        assert answer.status_code < 500, address
        await scene.http.head(address)
    assert await _tables(scene) == before
    await scene.cluster.restore()
    provider.works = True
    await scene.until_over(one.customer)
    await scene.audit()


def _filled(path: str, known: dict[str, str]) -> str:
    values = known | {name: known["incident"] for name in re.findall(r"{(\w+)}", path) if name not in known}
    return path.format(**values)


async def _tables(scene: Scene) -> dict[str, str]:
    tables = await scene.pool.fetch("select tablename from pg_tables where schemaname = 'public' order by 1")
    return {
        name: await scene.pool.fetchval(
            f"select md5(coalesce(string_agg(t::text, '' order by t::text), '')) from {name} t"  # our own names
            + (" where kind <> 'page_fetched'" if name == "incident_timeline" else "")
        )
        for (name,) in tables
    }
