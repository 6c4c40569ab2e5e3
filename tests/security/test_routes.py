"""Who may do what: keys, scopes and customers, for every route that the API has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from activities.db.keys import Scope
from activities.links import Purpose
from tests.api.calling import Api
from tests.security.routes import (
    CUSTOMERS,
    GUARDS,
    HIDDEN,
    LINK,
    OF_ALL,
    OF_ALL_CUSTOMERS,
    PUBLIC,
    SLACK,
    call,
    concrete,
    guarded,
    hidden,
    mailed,
    operations,
    planned,
)


async def untimed(api: Api, incident: str) -> dict[str, Any]:
    """The incident without what moves with the clock."""
    return {name: value for name, value in (await api.show(incident)).items() if name != "next_action"}


def test_every_route_is_guarded_as_written_down(shared: Api) -> None:
    """A route that nobody thought about is not served by accident; one that is not described neither."""
    described = {(method, path): PUBLIC for method, path, _ in operations(shared)}
    described |= {(method, path): scope for method, path, scope in guarded(shared)}
    written = {route: PUBLIC if guard in {LINK, SLACK} else guard for route, guard in GUARDS.items()}
    assert described == written
    assert hidden(shared) == HIDDEN


async def test_what_is_hidden_or_public_names_nobody(api: Api) -> None:
    """Without a key: that we run, how much there is to do, and what the API looks like."""
    person = {"name": "Canary Smith", "email": "smith@canary.example"}
    await api.customer(name="Canary Corp", csm=person, technical_contacts=[person])
    incident = await api.incident()
    integration = await api.pool.fetchval("select id::text from integration_health")
    public = {path for (_, path), guard in GUARDS.items() if guard == PUBLIC}
    async with api.anonymous() as http:
        for path in (public | HIDDEN) - {"/static-offline-docs"}:
            said = (await http.get(path)).text
            for secret in ("canary", incident, integration):
                assert secret not in said.lower(), path


async def test_without_a_good_link_nothing_is_shown_or_done(api: Api) -> None:
    """Every page of a link, for a guess, and for a link to something else or for something else."""
    await api.customer()
    event = await api.event()
    other = api.resources.links
    now = datetime.now(UTC)
    tokens = ["guessed", "", "a" * 5000, *(other.sign(purpose, uuid4(), uuid4(), now) for purpose in Purpose)]
    before = await untimed(api, event["incident"])
    async with api.anonymous() as http:
        for (method, path), guard in GUARDS.items():
            if guard != LINK:
                continue
            for token in tokens:
                address = path.format(token=token or "-", integration=event["integration"])
                page = await http.request(method, address, params={"token": token} if "{token}" not in path else {})
                assert page.status_code in {403, 404, 410}, (method, path, token)
                assert "TechCorp" not in page.text
                assert "Salesforce" not in page.text
    assert await untimed(api, event["incident"]) == before


async def test_without_a_good_key_every_route_is_401(shared: Api) -> None:
    nobody = str(uuid4())
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer relink_guessed"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic cmVsaW5rOng="},
        {"Authorization": "Bearer " + "x" * 5000},
    ]
    for method, path, _ in guarded(shared):
        for headers in wrong:
            response = await call(shared, method, concrete(path, nobody, nobody), headers)
            assert response.status_code == 401, (method, path, headers)
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.headers["content-type"] == "application/problem+json"


async def test_each_scope_opens_its_own_routes_and_no_other(shared: Api) -> None:
    """The matrix of scopes and routes: 403 names the scope that is lacking."""
    nobody = str(uuid4())
    keys = {scope: await shared.key(scope) for scope in Scope}
    for method, path, needed in guarded(shared):
        for scope, headers in keys.items():
            response = await call(shared, method, concrete(path, nobody, nobody, "not-there"), headers)
            if scope == needed:
                assert response.status_code not in {401, 403}, (method, path, scope)
            else:
                assert response.status_code == 403, (method, path, scope)
                assert needed in response.json()["detail"]
                assert response.json()["scope"] == needed


async def test_a_key_of_one_customer_gets_404_for_everything_of_another(api: Api) -> None:
    """Promise 13, on every route; nothing of the other customer is shown or changed."""
    await api.customer()
    await api.integration(display_name="Theirs")
    event = await api.event()
    await mailed(api, event["incident"])
    await planned(api, "techcorp")
    await api.customer("stranger")
    headers = await api.key(customer="stranger")
    before = await untimed(api, event["incident"])
    for method, path, _ in guarded(api):
        address = concrete(path, event["incident"], event["integration"])
        if method == "GET" and address in OF_ALL:
            address += "?customer=techcorp"
        response = await call(api, method, address, headers)
        if address in CUSTOMERS:
            assert [c["external_id"] for c in response.json()["items"]] == ["stranger"]
        else:
            assert response.status_code == 404, (method, address, response.text)
            assert "TechCorp" not in response.text
            assert "Theirs" not in response.text
    assert await untimed(api, event["incident"]) == before
    assert (await api.http.get("/v1/customers/techcorp")).json()["name"] == "TechCorp"


async def test_a_key_of_one_customer_sees_all_of_its_own(api: Api) -> None:
    await api.customer()
    await api.event()
    await api.customer("stranger")
    own = await api.event(customer_external_id="stranger")
    await mailed(api, own["incident"])
    await planned(api, "stranger")
    headers = await api.key(customer="stranger")
    for path in ("/v1/incidents", "/v1/integrations"):
        items = (await api.http.get(path, headers=headers)).json()["items"]
        assert [item["customer"]["external_id"] for item in items] == ["stranger"]
        same = await api.http.get(path, headers=headers, params={"customer": "stranger"})
        assert same.json()["items"] == items
    routes = [route for route in guarded(api) if route[1] not in OF_ALL_CUSTOMERS]
    for method, path, _ in sorted(routes, key=lambda route: (route[0] == "DELETE", "resolve" in route[1])):
        response = await call(
            api, method, concrete(path, own["incident"], own["integration"], "stranger"), headers, "stranger"
        )
        assert response.status_code < 300, (method, path, response.text)


async def test_a_customer_that_does_not_exist_looks_like_one_that_is_not_yours(api: Api) -> None:
    """Nothing tells a key of one customer which others there are."""
    await api.customer()
    await api.customer("stranger")
    headers = await api.key(customer="stranger")
    for path in ("/v1/customers/{}", "/v1/customers/{}/reliability", *(f"{path}?customer={{}}" for path in OF_ALL)):
        theirs = await api.http.get(path.format("techcorp"), headers=headers)
        nobodys = await api.http.get(path.format("nobody"), headers=headers)
        assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json())
