"""PUT and GET of customers: a PUT replaces, people keep their ids, the score keeps its adjustments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.calling import Api

PERSON = {"name": "Eve", "email": "eve@acme.example"}


async def put(api: Api, **body: Any) -> Any:
    return await api.http.put(f"/v1/customers/{api.name}", json={"name": "TechCorp"} | body)


async def get(api: Api) -> dict[str, Any]:
    return dict((await api.http.get(f"/v1/customers/{api.name}")).json())


async def test_a_new_customer_is_201_and_again_200(shared: Api) -> None:
    path = "/v1/customers/brand new & co"
    first = await shared.http.put(path, json={"name": "Brand New"})
    second = await shared.http.put(path, json={"name": "Brand Newer"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert (await shared.http.get(path)).json()["name"] == "Brand Newer"


async def test_the_stored_object_is_answered(apart: Api) -> None:
    body = {
        "name": "TechCorp",
        "arr": 200_000.5,
        "health_score": 80,
        "csm": {
            "name": "Dana Kim",
            "email": "dana@acme.example",
            "slack_user_id": "U0DANA",
            "timezone": "America/New_York",
            "manager": {"name": "Max", "email": "max@acme.example", "slack_user_id": None, "timezone": None},
        },
        "technical_contacts": [
            {"name": "Bob", "email": "b@t.example", "role": "IT Admin", "timezone": "Europe/Berlin", "locale": "de-DE"},
            {"name": None, "email": "c@t.example", "role": None, "timezone": None, "locale": None},
        ],
    }
    stored = (await put(apart, **body)).json()
    assert stored == await get(apart)

    def without_ids(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without_ids(v) for k, v in value.items() if k not in {"id", "created_at", "updated_at"}}
        return [without_ids(v) for v in value] if isinstance(value, list) else value

    assert without_ids(stored) == body | {"external_id": apart.name}


async def test_a_put_replaces_but_leaves_the_score(apart: Api) -> None:
    await put(apart, arr=5, health_score=70, csm=PERSON, technical_contacts=[PERSON])
    stored = (await put(apart)).json()
    assert (stored["arr"], stored["csm"], stored["technical_contacts"]) == (None, None, [])
    assert stored["health_score"] == 70


async def test_the_score_is_the_base_plus_adjustments_shown_within_its_bounds(apart: Api) -> None:
    stored = (await put(apart, health_score=50)).json()
    incident = await apart.incident()
    await apart.pool.execute(
        "insert into health_score_adjustments (customer_id, incident_id, adjustment, reason) values ($1, $2, -10, 'x')",
        stored["id"],
        incident,
    )
    await apart.pool.execute("update customers set health_score = health_score - 10 where id = $1", stored["id"])
    assert (await get(apart))["health_score"] == 40
    assert (await put(apart)).json()["health_score"] == 40
    assert (await put(apart, health_score=90)).json()["health_score"] == 80
    assert (await put(apart, health_score=4)).json()["health_score"] == 0
    assert (await put(apart, health_score=30)).json()["health_score"] == 20  # clamped when shown, not when kept


async def test_people_are_recognised_by_address_and_keep_their_ids(apart: Api) -> None:
    before = await get(apart)
    csm, bob = before["csm"], before["technical_contacts"][0]
    after = (
        await put(
            apart,
            csm={"name": "Dana K.", "email": "DANA@acme.example"},
            technical_contacts=[PERSON, {"name": "Robert", "email": "Bob@TechCorp.example"}],
        )
    ).json()
    assert after["csm"]["id"] == csm["id"]
    assert (after["csm"]["name"], after["csm"]["slack_user_id"], after["csm"]["manager"]) == ("Dana K.", None, None)
    assert [c["name"] for c in after["technical_contacts"]] == ["Eve", "Robert"]
    assert after["technical_contacts"][1]["id"] == bob["id"]


async def test_who_is_not_listed_any_more_is_kept_as_removed_and_can_come_back(apart: Api) -> None:
    bob = (await get(apart))["technical_contacts"][0]
    await put(apart)
    removed = await apart.pool.fetchval("select removed_at from people where id = $1", bob["id"])
    assert removed is not None
    back = (await put(apart, technical_contacts=[{"email": "bob@techcorp.example"}])).json()
    assert [c["id"] for c in back["technical_contacts"]] == [bob["id"]]


async def test_somebody_without_an_address_is_recognised_by_slack_id_or_name(apart: Api) -> None:
    csm: dict[str, Any] = {"slack_user_id": "U0ONLY", "manager": {"name": "Only A. Name"}}
    first = (await put(apart, csm=csm)).json()["csm"]
    second = (await put(apart, csm=csm | {"name": "Now Named"})).json()["csm"]
    assert (first["id"], first["manager"]["id"]) == (second["id"], second["manager"]["id"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "Eve\r\nBcc: everybody@example.com"}, "name"),
        ({"arr": -1}, "arr"),
        ({"arr": "much"}, "arr"),
        ({"arr": 1e17}, "arr"),
        ({"arr": 0.001}, "arr"),
        ({"health_score": 101}, "health_score"),
        ({"health_score": 99.5}, "health_score"),
        ({"plan": "gold"}, "plan"),
        ({"csm": {}}, "csm.email"),
        ({"csm": {"email": "dana"}}, "csm.email"),
        ({"csm": {"email": "dana@acme.example\r\nBcc: x@y.example"}}, "csm.email"),
        ({"csm": {"email": "Dana <dana@acme.example>"}}, "csm.email"),
        ({"csm": {"email": "dana@acme"}}, "csm.email"),
        ({"csm": {"email": "dana@[127.0.0.1]"}}, "csm.email"),
        ({"csm": {"email": "a@b.example,c@d.example"}}, "csm.email"),
        ({"csm": {"email": "dänä@acme.example"}}, "csm.email"),
        ({"csm": PERSON | {"slack_user_id": "dana"}}, "csm.slack_user_id"),
        ({"csm": PERSON | {"slack_user_id": "C0CHANNEL"}}, "csm.slack_user_id"),
        ({"csm": PERSON | {"timezone": "Mars/Olympus"}}, "csm.timezone"),
        ({"csm": PERSON | {"timezone": "../../etc/passwd"}}, "csm.timezone"),
        ({"csm": PERSON | {"timezone": "Europe"}}, "csm.timezone"),
        ({"csm": PERSON | {"manager": {"email": "no"}}}, "csm.manager.email"),
        ({"csm": PERSON | {"manager": PERSON | {"manager": PERSON}}}, "csm.manager.manager"),
        ({"technical_contacts": [PERSON, {"email": "@"}]}, "technical_contacts[1].email"),
        ({"technical_contacts": [PERSON, {"email": "EVE@acme.example"}]}, "technical_contacts[1].email"),
        ({"technical_contacts": [PERSON | {"locale": "<script>"}]}, "technical_contacts[0].locale"),
        ({"technical_contacts": [{"role": "IT"}]}, "technical_contacts[0].email"),
        ({"technical_contacts": [PERSON] * 51}, "technical_contacts"),
        ({"technical_contacts": PERSON}, "technical_contacts"),
    ],
)
async def test_what_is_wrong_is_named(shared: Api, change: dict[str, Any], field: str) -> None:
    """422, the field, and nothing changed."""
    before = await get(shared)
    response = await put(shared, **change)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert await get(shared) == before


async def test_two_puts_at_once_leave_one_of_both(apart: Api) -> None:
    """No mixture, no doubled people."""
    bodies = [{"name": f"N{i}", "technical_contacts": [PERSON | {"name": f"N{i}"}]} for i in range(10)]
    responses = await asyncio.gather(*(put(apart, **body) for body in bodies))
    assert {r.status_code for r in responses} == {200}
    stored = await get(apart)
    assert [c["name"] for c in stored["technical_contacts"]] == [stored["name"]]
    rows = await apart.pool.fetchval("select count(*) from people where customer_id = $1", stored["id"])
    assert rows == 4  # Dana, Max and Bob of before, and one Eve


async def test_unknown_is_404(shared: Api) -> None:
    assert (await shared.http.get("/v1/customers/nobody")).status_code == 404


async def test_all_customers_page_by_page(api: Api) -> None:
    names = [f"c{i}" for i in range(5)] + ["ü", "zz/?&"[:1]]
    for name in names:
        await api.customer(name)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = (await api.http.get("/v1/customers", params=query)).json()
        seen += [c["external_id"] for c in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(seen) == sorted(names)
    assert len(seen) == len(names)
    for wrong in ({"limit": 0}, {"limit": 501}, {"cursor": "x"}):
        assert (await api.http.get("/v1/customers", params=wrong)).status_code == 422
