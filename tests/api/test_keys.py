"""Who may do what: keys, scopes and customers, for every route that the API has (issue 7, "The edges")."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from activities.db.customers import UnknownCustomerError
from activities.db.intents import CUSTOMER
from activities.db.keys import KeyStore, Scope
from starter.api.limits import KeyCache, Throttle
from starter.api.problems import Problem
from tests.api.calling import Api

# Routes that need no key; each is guarded by something else, or by nothing, on purpose.
OPEN = {"/healthz", "/readyz", "/metrics", "/static/relink.css"}
OF_ALL = {"/v1/incidents", "/v1/integrations", "/v1/maintenance", "/v1/metrics/success"}  # narrowed by ?customer=
OTHERWISE_GUARDED = {"/slack/interactions", "/integrations/{integration}", "/r/{token}", "/r/{token}/returned"}


def operations(api: Api) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of the API, so that a new route cannot escape."""
    for path, methods in api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def guarded(api: Api) -> list[tuple[str, str, str]]:
    """Method, path and scope of every operation that needs a key."""
    found = []
    for method, path, operation in operations(api):
        scopes = [scope for scheme in operation.get("security", []) for scope in scheme.get("apiKey", [])]
        if scopes:
            found.append((method, path, scopes[0]))
    return found


MAINTENANCE = "00000000-0000-4000-8000-000000000001"


async def planned(api: Api, customer: str) -> None:
    """There is maintenance of this customer."""
    await api.pool.execute(
        "insert into maintenance_windows (id, customer_id, starts_at, ends_at)"
        " select $1, id, now(), now() + interval '1 hour' from customers where external_id = $2",
        UUID(MAINTENANCE),
        customer,
    )


def delivery_of(incident: str) -> str:
    return f"{incident}/email/{CUSTOMER}/somebody"


async def mailed(api: Api, incident: str) -> None:
    """The incident has a mail that was sent."""
    await api.pool.execute(
        "insert into deliveries (delivery_key, incident_id, channel, template, recipient, role, status)"
        " values ($1, $2, 'email', $3, 'bob@techcorp.example', 'technical_contact', 'sent')",
        delivery_of(incident),
        UUID(incident),
        CUSTOMER,
    )


def concrete(path: str, incident: str, integration: str, customer: str = "techcorp") -> str:
    values = {
        "external_id": customer,
        "integration_type": "salesforce",
        "integration_id": "crm",
        "incident": incident,
        "integration": integration,
        "delivery_key": delivery_of(incident),
        "maintenance": MAINTENANCE,
    }
    return path.replace(":path", "").format(**values)


def body_for(path: str, customer: str) -> dict[str, Any] | None:
    """A body that the route would take."""
    event = {"customer_external_id": customer, "integration_type": "salesforce", "integration_id": "crm"}
    if path == "/v1/events":
        return event | {"event_type": "auth_failure"}
    if path == "/v1/callbacks/reconnected":
        return event
    if path == "/v1/maintenance":
        return {"customer": customer, "from": "2026-11-01T00:00:00Z", "until": "2026-11-01T01:00:00Z"}
    if path.endswith("/bounced"):
        return {"reason": "no such mailbox"}
    if "/incidents/" in path:
        more = {"snooze": {"for": "1h"}, "resolve": {"reason": "fixed"}}
        return {"by": "dana"} | more.get(path.rpartition("/")[2], {})
    return {} if "integrations" in path else {"name": "Taken over", "technical_contacts": [{"email": "a@b.example"}]}


async def call(api: Api, method: str, path: str, headers: dict[str, str], customer: str = "techcorp") -> httpx.Response:
    async with api.anonymous() as http:
        body = body_for(path, customer) if method in {"PUT", "POST"} else None
        return await http.request(method, path, json=body, headers=headers)


async def untimed(api: Api, incident: str) -> dict[str, Any]:
    """The incident without what moves with the clock."""
    return {name: value for name, value in (await api.show(incident)).items() if name != "next_action"}


async def test_every_route_is_guarded_or_open_on_purpose(shared: Api) -> None:
    with_key = {path for _, path, _ in guarded(shared)}
    assert {path for _, path, _ in operations(shared)} == with_key | OPEN | OTHERWISE_GUARDED
    assert len(guarded(shared)) >= 15


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
        if address == "/v1/customers":
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
    for method, path, _ in sorted(guarded(api), key=lambda route: (route[0] == "DELETE", "resolve" in route[1])):
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


async def test_keys_are_stored_as_hashes_only(shared: Api) -> None:
    store = KeyStore(shared.pool)
    made, key = await store.create("producer", ["events", "events"])
    assert key.startswith("relink_")
    assert len(key) >= len("relink_") + 43  # 256 bits
    row = await shared.pool.fetchrow("select * from api_keys where id = $1", made.id)
    assert row is not None
    assert row["key_hash"] == hashlib.sha256(key.encode()).digest()
    assert key not in str(dict(row))
    assert made.scopes == {Scope.EVENTS}
    assert made.id in {known.id for known in await store.list()}


async def test_a_key_needs_known_scopes_and_a_known_customer(shared: Api) -> None:
    store = KeyStore(shared.pool)
    with pytest.raises(ValueError, match="everything"):
        await store.create("x", ["everything"])
    with pytest.raises(ValueError, match="at least one scope"):
        await store.create("x", [])
    with pytest.raises(UnknownCustomerError):
        await store.create("x", ["read"], "nobody")


async def test_a_revoked_key_is_refused_within_five_seconds(shared: Api) -> None:
    """Found keys are remembered for five seconds, and no longer."""
    store, now = KeyStore(shared.pool), 0.0
    cache = KeyCache(store, clock=lambda: now)
    made, key = await store.create("short-lived", ["read"])
    assert await cache.find(key) == made
    assert await store.revoke(made.id)
    assert not await store.revoke(made.id)
    now = 5.0
    assert await cache.find(key) is None


async def test_an_unknown_key_is_not_remembered(shared: Api) -> None:
    """So that a key works from the moment that it is made."""
    cache = KeyCache(KeyStore(shared.pool), clock=lambda: 0.0)
    assert await cache.find("relink_none") is None
    assert cache._known == {}


def test_a_bucket_refills_while_time_passes() -> None:
    now = 100.0
    throttle, key, other = Throttle(clock=lambda: now), UUID(int=1), UUID(int=2)
    for _ in range(3):
        throttle.take(key, 3)
    with pytest.raises(Problem) as refused:
        throttle.take(key, 3)
    assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
    throttle.take(other, 3)  # another key has its own
    now += 0.34
    throttle.take(key, 3)
    with pytest.raises(Problem):
        throttle.take(key, 3)


async def test_too_fast_is_429_with_retry_after(shared: Api) -> None:
    headers = await shared.key("read")
    limit = shared.resources.policy.current.limits.per_key_per_second
    (key,) = [k for k in await KeyStore(shared.pool).list() if k.name == "test" and k.scopes == {Scope.READ}][-1:]
    shared.resources.throttle._buckets[key.id] = (0.0, shared.resources.throttle._clock() + 60)
    response = await shared.http.get("/v1/incidents", headers=headers)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    assert str(limit) in response.json()["detail"]
