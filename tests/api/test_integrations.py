"""PUT, DELETE and GET of integrations: adopted, revived, replaced, filtered."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.calling import Api

OAUTH = {
    "kind": "oauth2",
    "token_url": "https://login.salesforce.com/services/oauth2/token",
    "client_id": "relink",
    "client_secret": "s3cr3t-client",
    "refresh_token": "s3cr3t-refresh",
}
API_MONITOR = {
    "kind": "api",
    "headers": {"Authorization": "Bearer s3cr3t-header", "X-Tenant": "s3cr3t-tenant"},
    "endpoints": [{"url": "https://api.example.com/v1/ping"}],
    "interval": "10m",
}


async def put(api: Api, body: Any, integration: str = "salesforce/crm") -> httpx.Response:
    return await api.http.put(api.address(integration), json=body)


async def test_a_new_integration_is_201_and_again_200(apart: Api) -> None:
    first = await put(apart, {"display_name": "CRM"})
    second = await put(apart, {"display_name": "CRM 2"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert first.json() | {"display_name": "CRM 2", "updated_at": second.json()["updated_at"]} == second.json()


async def test_the_stored_object_has_the_columns_of_the_prd(apart: Api) -> None:
    """PRD-101 section 4.1, and what the contract adds."""
    stored = (await put(apart, {"is_critical": True, "reconnect_url": "https://app.example.com/reconnect?x=1"})).json()
    prd = {
        "id", "customer_id", "integration_type", "integration_id", "status", "last_successful_sync", "last_failure_at",
        "failure_count", "failure_reason", "error_code", "is_critical", "alerted_at", "resolved_at", "created_at",
        "updated_at",
    }  # fmt: skip
    added = {"customer", "display_name", "self_serve", "reconnect_url", "monitor", "open_incident", "removed_at"}
    assert set(stored) == prd | added
    assert (stored["status"], stored["self_serve"], stored["is_critical"]) == ("healthy", True, True)
    assert stored["customer"] == {"id": stored["customer_id"], "external_id": apart.name, "name": "TechCorp"}
    assert (await apart.http.get(f"/v1/integrations/{stored['id']}")).json() == stored


async def test_a_put_replaces_what_is_left_out(apart: Api) -> None:
    await put(
        apart,
        {"display_name": "CRM", "is_critical": True, "self_serve": False, "reconnect_url": "https://x.example/r"},
    )
    stored = (await put(apart, {})).json()
    shown = {name: stored[name] for name in ("display_name", "is_critical", "self_serve", "reconnect_url")}
    assert shown == {"display_name": None, "is_critical": False, "self_serve": True, "reconnect_url": None}


async def test_an_id_may_contain_slashes(apart: Api) -> None:
    assert (await put(apart, {}, "custom_api/eu/west/1")).json()["integration_id"] == "eu/west/1"
    assert (await apart.event(integration_type="custom_api", integration_id="eu/west/1"))["incident"]
    assert (await apart.http.delete(apart.address("custom_api/eu/west/1"))).status_code == 204


async def test_an_unknown_customer_is_404(shared: Api) -> None:
    for method in ("PUT", "DELETE"):
        path = "/v1/customers/nobody/integrations/salesforce/crm"
        assert (await shared.http.request(method, path, json={})).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reconnect_url": "javascript:alert(1)"}, "reconnect_url"),
        ({"reconnect_url": "/reconnect/me"}, "reconnect_url"),
        ({"is_critical": "perhaps"}, "is_critical"),
        ({"display_name": "a\nb"}, "display_name"),
        ({"colour": "red"}, "colour"),
        ({"monitor": {"kind": "telepathy"}}, "monitor"),
        ({"monitor": {"kind": "heartbeat", "every": "soon"}}, "monitor.every"),
        ({"monitor": {"kind": "api", "endpoints": []}}, "monitor.endpoints"),
        ({"monitor": OAUTH | {"interval": "5"}}, "monitor.interval"),
        ({"monitor": OAUTH | {"password": "x"}}, "monitor.password"),
    ],
)
async def test_what_is_wrong_is_named(shared: Api, body: dict[str, Any], field: str) -> None:
    response = await put(shared, body)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_the_integration_of_an_event_without_id_is_adopted_by_a_put(apart: Api) -> None:
    """When it is the only one of its type; its open incident stays its own."""
    found = await apart.event(integration_id=None)
    adopted = await put(apart, {"display_name": "CRM"})
    assert adopted.status_code == 200
    assert (adopted.json()["id"], adopted.json()["open_incident"]) == (found["integration"], found["incident"])
    second = await put(apart, {}, "salesforce/other")
    assert (second.status_code, second.json()["id"] == found["integration"]) == (201, False)


async def test_one_without_id_beside_another_is_not_adopted(apart: Api) -> None:
    found = await apart.event(integration_id=None)
    await apart.event(integration_id="billing")
    assert (await put(apart, {})).json()["id"] != found["integration"]


async def test_ten_puts_and_events_at_once_make_one_integration(apart: Api) -> None:
    work = [put(apart, {}) for _ in range(10)] + [apart.event() for _ in range(10)]
    await asyncio.gather(*work)
    items = (await apart.http.get("/v1/integrations", params={"customer": apart.name})).json()["items"]
    assert len(items) == 1


async def test_delete_cancels_the_incident_and_keeps_the_history(apart: Api) -> None:
    found = await apart.event()
    await apart.pool.execute(
        "insert into tasks (customer_id, incident_id, title, due_at, priority)"
        " select customer_id, id, 't', now(), 'high' from incidents where id = $1",
        found["incident"],
    )
    assert (await apart.http.delete(apart.address())).status_code == 204
    assert apart.rung(found["incident"]) == 2
    shown = await apart.show(found["incident"])
    assert (shown["status"], shown["resolution"], shown["next_action"]) == ("cancelled", "removed", None)
    assert await apart.doorbells(found["incident"]) == ["failure_recurred", "removed"]
    task = await apart.pool.fetchval("select status from tasks where incident_id = $1", found["incident"])
    assert task == "cancelled"
    single = (await apart.http.get(f"/v1/integrations/{found['integration']}")).json()
    assert (single["removed_at"] is not None, single["open_incident"]) == (True, None)
    query = {"customer": apart.name}
    assert not (await apart.http.get("/v1/integrations", params=query)).json()["items"]
    assert len((await apart.http.get("/v1/integrations", params=query | {"removed": "true"})).json()["items"]) == 1


async def test_deleting_again_changes_nothing_and_the_unknown_is_404(apart: Api) -> None:
    found = await apart.event()
    assert (await apart.http.delete(apart.address())).status_code == 204
    at = (await apart.http.get(f"/v1/integrations/{found['integration']}")).json()["removed_at"]
    assert (await apart.http.delete(apart.address())).status_code == 204
    assert (await apart.http.get(f"/v1/integrations/{found['integration']}")).json()["removed_at"] == at
    assert (await apart.http.delete(apart.address("salesforce/none"))).status_code == 404


async def test_a_put_revives_with_the_next_number(apart: Api) -> None:
    """What happened before or between is over; the next failure is incident 2."""
    found = await apart.event()
    await apart.http.delete(apart.address())
    revived = await put(apart, {})
    assert (revived.status_code, revived.json()["id"]) == (201, found["integration"])
    assert (revived.json()["status"], revived.json()["removed_at"]) == ("healthy", None)
    assert (await apart.event(occurred_at="2026-01-01T00:00:00Z"))["incident"] is None
    second = await apart.show((await apart.event())["incident"])
    assert (second["number"], second["integration"]["id"]) == (2, found["integration"])


async def test_lists_filter_and_page(apart: Api) -> None:
    ids = [(await put(apart, {}, f"{kind}/{i}")).json()["id"] for kind in ("slack", "google") for i in range(3)]
    await apart.event(integration_type="slack", integration_id="1")

    async def page(**query: Any) -> dict[str, Any]:
        response = await apart.http.get("/v1/integrations", params={"customer": apart.name} | query)
        assert response.status_code == 200, response.text
        return dict(response.json())

    assert [i["id"] for i in (await page())["items"]] == ids
    assert [i["id"] for i in (await page(integration_type="google"))["items"]] == ids[3:]
    assert [i["id"] for i in (await page(status="disconnected"))["items"]] == [ids[1]]
    assert [i["id"] for i in (await page(status=["disconnected", "healthy"]))["items"]] == ids
    first = await page(limit=4)
    rest = await page(limit=4, cursor=first["next_cursor"])
    assert [i["id"] for i in first["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None


async def test_wrong_queries_are_named(shared: Api) -> None:
    cursor = shared.resources.cursors.make("something else", b"x" * 24)
    for query, field in (
        ({"status": "broken"}, "status[0]"),
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"cursor": "tampered"}, "cursor"),
        ({"cursor": cursor}, "cursor"),
        ({"stauts": "healthy"}, "stauts"),
    ):
        response = await shared.http.get("/v1/integrations", params=query)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field), query


async def test_unknown_is_404(shared: Api) -> None:
    assert (await shared.http.get(f"/v1/integrations/{uuid4()}")).status_code == 404
