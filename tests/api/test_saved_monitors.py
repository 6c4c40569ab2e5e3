"""Monitors as they are saved: secrets go in and never come out, and no address of our own network is taken."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.api.calling import Api, with_settings

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


async def secrets_of(api: Api, integration: str) -> dict[str, str]:
    sealed = await api.pool.fetchval("select monitor_secrets from integration_health where id = $1", integration)
    return api.resources.box.open(UUID(integration), sealed)


async def test_secrets_are_sealed_and_shown_as_set(apart: Api) -> None:
    response = await put(apart, {"monitor": OAUTH})
    stored = response.json()
    assert stored["monitor"] == {
        "kind": "oauth2",
        "token_url": OAUTH["token_url"],
        "client_id": "relink",
        "client_secret": {"set": True},
        "refresh_token": {"set": True},
        "paused": False,
    }
    shown = await apart.http.get(f"/v1/integrations/{stored['id']}")
    row = await apart.pool.fetchrow("select * from integration_health where id = $1", stored["id"])
    for place in (response.text, shown.text, str(row)):
        assert "s3cr3t" not in place
    assert await secrets_of(apart, stored["id"]) == {
        "client_secret": "s3cr3t-client",
        "refresh_token": "s3cr3t-refresh",
    }


async def test_header_values_are_secrets_too(apart: Api) -> None:
    stored = (await put(apart, {"monitor": API_MONITOR})).json()
    assert stored["monitor"]["headers"] == {"Authorization": {"set": True}, "X-Tenant": {"set": True}}
    fewer = API_MONITOR | {"headers": {"Authorization": {"set": True}}}
    assert (await put(apart, {"monitor": fewer})).json()["monitor"]["headers"] == {"Authorization": {"set": True}}
    assert await secrets_of(apart, stored["id"]) == {"headers.Authorization": "Bearer s3cr3t-header"}
    other = API_MONITOR | {"headers": {"X-New": None}}
    refused = await put(apart, {"monitor": other})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "monitor")


@pytest.mark.parametrize("left_out", [{}, {"client_secret": None}, {"client_secret": {"set": True}}])
async def test_secrets_that_are_left_out_stay_byte_for_byte(apart: Api, left_out: dict[str, Any]) -> None:
    """Untouched bytes let a check that renews a rotating token at this very moment store it (compare and set)."""
    stored = (await put(apart, {"monitor": OAUTH})).json()
    query = "select monitor_secrets from integration_health where id = $1"
    before = await apart.pool.fetchval(query, stored["id"])
    monitor = {name: value for name, value in OAUTH.items() if "secret" not in name and "refresh" not in name}
    again = await put(apart, {"monitor": monitor | left_out})
    assert (again.status_code, again.json()["monitor"]["refresh_token"]) == (200, {"set": True})
    assert await apart.pool.fetchval(query, stored["id"]) == before


async def test_one_new_secret_leaves_the_other(apart: Api) -> None:
    stored = (await put(apart, {"monitor": OAUTH})).json()
    monitor = {name: value for name, value in OAUTH.items() if name != "client_secret"}
    await put(apart, {"monitor": monitor | {"refresh_token": "renewed"}})
    assert await secrets_of(apart, stored["id"]) == {"client_secret": "s3cr3t-client", "refresh_token": "renewed"}


async def test_without_a_monitor_its_secrets_wait_and_null_forgets_them(apart: Api) -> None:
    stored = (await put(apart, {"monitor": OAUTH})).json()
    assert (await put(apart, {})).json()["monitor"] is None
    bare = {name: value for name, value in OAUTH.items() if name in {"kind", "token_url", "client_id"}}
    assert (await put(apart, {"monitor": bare})).status_code == 200
    await put(apart, {"monitor": None})
    assert await secrets_of(apart, stored["id"]) == {}
    refused = await put(apart, {"monitor": bare})
    assert refused.status_code == 422
    assert "refresh_token" in refused.json()["detail"]


async def test_without_encryption_keys_a_monitor_with_secrets_is_refused_saying_so(apart: Api) -> None:
    bare = with_settings(apart, encryption_keys=None)
    async with bare.http:
        refused = await put(bare, {"monitor": OAUTH})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "monitor")
        assert "RELINK_ENCRYPTION_KEYS" in refused.json()["detail"]
        assert (await put(bare, {"monitor": {"kind": "oidc", "issuer": "https://id.example.com"}})).status_code == 201


PRIVATE = [
    "http://127.0.0.1/token", "http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://0177.0.0.1/",
    "http://10.0.0.8/", "http://172.16.0.1:8080/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/", "http://0.0.0.0/", "http://[::1]/", "http://[::]/", "http://[fe80::1]/", "http://[fd00::1]/",
    "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::10.0.0.1]/",
    "http://[2002:7f00:1::]/", "http://224.0.0.1/", "http://255.255.255.255/", "http://localhost/", "http://LOCALHOST./",
    "http://db.localhost/", "http://metadata.google.internal/", "http://１２７.0.0.1/", "http://①②⑦.0.0.1/",
]  # fmt: skip
FORBIDDEN_SHAPES = [
    "ftp://example.com/x", "javascript:alert(1)", "file:///etc/passwd", "http://user:pw@example.com/",
    "http://a b.com/", "//example.com/xx", "https://",
]  # fmt: skip


async def test_no_monitor_of_a_private_address_is_stored(shared: Api) -> None:
    """All spellings (promise 16). What a public name leads to is looked at again by every probe."""
    await shared.http.put("/v1/customers/private", json={"name": "P"})
    path = "/v1/customers/private/integrations/custom_api/x"
    for url in PRIVATE + FORBIDDEN_SHAPES:
        for monitor in (
            OAUTH | {"token_url": url},
            OAUTH | {"introspection_url": url},
            {"kind": "api", "endpoints": [{"url": "https://example.com/a"}, {"url": url}]},
            {"kind": "webhook", "window": "1h", "failure_budget": 0.1, "test_url": url},
            {"kind": "saml", "metadata_url": url},
            {"kind": "oidc", "issuer": url},
        ):
            response = await shared.http.put(path, json={"monitor": monitor})
            assert response.status_code == 422, (url, monitor)
            assert response.json()["errors"][0]["field"].startswith("monitor"), (url, monitor)
    assert not (await shared.http.get("/v1/integrations?customer=private")).json()["items"]


async def test_public_addresses_are_stored(apart: Api) -> None:
    for url in ("https://8.8.8.8/x", "https://[2606:4700::1111]/x", "https://login.microsoftonline.com/x"):
        assert (await put(apart, {"monitor": {"kind": "saml", "metadata_url": url}})).status_code in {200, 201}, url


async def test_private_addresses_are_stored_where_a_developer_allows_them(apart: Api) -> None:
    local = with_settings(apart, probe_allow_private=True)
    async with local.http:
        monitor = {"kind": "oidc", "issuer": "http://127.0.0.1:9000"}
        assert (await put(local, {"monitor": monitor})).status_code == 201


async def test_a_secret_in_a_refused_body_is_not_repeated(shared: Api) -> None:
    response = await put(shared, {"monitor": OAUTH | {"token_url": 7, "refresh_token": ["s3cr3t"]}})
    assert response.status_code == 422
    assert "s3cr3t" not in response.text


async def test_new_secrets_while_an_incident_is_open_start_a_check(apart: Api) -> None:
    await put(apart, {"monitor": OAUTH})
    found = await apart.event()
    await put(apart, {"monitor": OAUTH})  # the same: nothing to check
    assert "reconnected" not in await apart.doorbells(found["incident"])
    await put(apart, {"monitor": OAUTH | {"refresh_token": "a new grant"}})
    assert "reconnected" in await apart.doorbells(found["incident"])
    assert (await apart.timeline(found["incident"]))[-1] == "recovery_hinted"
    assert apart.rung(found["incident"]) == 2
    hint = await apart.pool.fetchval("select hint_kind from incidents where id = $1", found["incident"])
    assert hint == "callback"


async def test_an_unreadable_stored_secret_says_which_setting_to_mend(apart: Api) -> None:
    """The key that sealed it is gone: new secrets are taken, kept ones can't be."""
    await put(apart, {"monitor": OAUTH})
    other = with_settings(apart, encryption_keys="k2:" + "B" * 43 + "=")
    bare = {name: value for name, value in OAUTH.items() if "secret" not in name and "refresh" not in name}
    async with other.http:
        refused = await put(other, {"monitor": bare})
        assert refused.status_code == 422
        assert "RELINK_ENCRYPTION_KEYS has no key 'k1'" in refused.json()["detail"]
        taken = await put(other, {"monitor": OAUTH})
        assert taken.status_code == 200
        assert await secrets_of(other, taken.json()["id"]) == {
            "client_secret": "s3cr3t-client",
            "refresh_token": "s3cr3t-refresh",
        }


def test_monitors_are_described(shared: Api) -> None:
    """The six kinds are in /openapi.json, secrets as write-only."""
    schemas = shared.app.openapi()["components"]["schemas"]
    kinds = json.dumps(schemas["IntegrationWrite"]["properties"]["monitor"])
    for kind in ("OAuth2Monitor", "ApiMonitor", "WebhookMonitor", "SamlMonitor", "OidcMonitor", "HeartbeatMonitor"):
        assert kind in kinds
        assert kind in schemas
    assert schemas["OAuth2Monitor"]["properties"]["client_secret"]["writeOnly"] is True
