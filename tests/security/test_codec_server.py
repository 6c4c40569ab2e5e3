"""Temporal's UI and command line show what is encrypted, to those who may read everything, and to nobody else."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads

from activities.codec import EncryptingCodec, data_converter
from activities.secrets import Keys
from starter.site.sessions import Session
from starter.site.staff import Role
from tests.api.calling import ENCRYPTION_KEYS, Api, client_of, with_settings
from tests.site.visitor import Visitor

UI = "https://temporal.acme.example"
OTHER_KEY = "k9:" + base64.b64encode(b"9" * 32).decode()


async def _encrypted(keys: str = ENCRYPTION_KEYS) -> dict[str, Any]:
    """As Temporal's UI sends it."""
    payloads = await data_converter(keys).encode(["Alert the CSM in Slack"])
    return dict(MessageToDict(Payloads(payloads=payloads)))


async def _decoded(response: httpx.Response) -> list[Any]:
    payloads = ParseDict(response.json(), Payloads()).payloads
    return await data_converter(None).decode(payloads)


async def test_what_we_encrypted_is_shown(shared: Api) -> None:
    response = await shared.http.post("/codec/decode", json=await _encrypted())
    assert response.status_code == 200
    assert await _decoded(response) == ["Alert the CSM in Slack"]


async def test_what_is_not_encrypted_stays_as_it_is(shared: Api) -> None:
    """In its place among the others, whatever a newer version adds to it."""
    plain = {"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": "Nw==", "newField": {}}
    sent = {"payloads": [plain, *(await _encrypted())["payloads"]], "another": 1}
    response = await shared.http.post("/codec/decode", json=sent, headers={"X-Namespace": "default"})
    assert await _decoded(response) == [7, "Alert the CSM in Slack"]


async def test_a_key_that_is_missing_is_named(shared: Api) -> None:
    response = await shared.http.post("/codec/decode", json=await _encrypted(OTHER_KEY))
    assert response.status_code == 422
    assert "RELINK_ENCRYPTION_KEYS has no key 'k9'" in response.json()["detail"]


async def test_a_key_of_one_customer_sees_no_histories(shared: Api) -> None:
    """They are of all customers."""
    headers = await shared.key("read", customer="techcorp")
    response = await shared.http.post("/codec/decode", json=await _encrypted(), headers=headers)
    assert response.status_code == 404


async def test_whoever_is_signed_in_sees_them(shared: Api) -> None:
    """The page of Temporal's UI has no API key; it sends the cookie of the operator who looks at it."""
    visitor = Visitor.viewer(shared)
    assert await _decoded(await visitor.http.post("/codec/decode", json=await _encrypted())) == [
        "Alert the CSM in Slack"
    ]
    of_one = Visitor.viewer(shared, only=uuid4())
    assert (await of_one.http.post("/codec/decode", json=await _encrypted())).status_code == 404
    gone = Visitor(shared, Session.begin("Vera", Role.VIEWER, lasts=timedelta(seconds=-1)))
    assert (await gone.http.post("/codec/decode", json=await _encrypted())).status_code == 401
    wrong_key = await visitor.http.post("/codec/decode", json={"payloads": []}, headers={"Authorization": "Bearer no"})
    assert wrong_key.status_code == 401


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"payloads": None}, {"payloads": [None]}, {"payloads": [{"metadata": {"a": 1}}]}],
)  # fmt: skip
async def test_anything_else_is_refused_by_field(shared: Api, body: object) -> None:
    response = await shared.http.post("/codec/decode", json=body)
    assert response.status_code == 422
    assert response.json()["errors"]


async def test_a_secret_of_a_monitor_can_not_be_read_through_it(shared: Api) -> None:
    """Encrypted with the same keys, for another purpose."""
    monitor = {"kind": "api", "headers": {"A": "canary"}, "endpoints": [{"url": "https://a.example/"}]}
    await shared.integration("custom/hidden", monitor=monitor)
    sealed = await shared.pool.fetchval("select monitor_secrets from integration_health where monitor is not null")
    metadata = {"encoding": b"binary/encrypted", "encryption-key-id": b"k1"}
    forged = MessageToDict(Payloads(payloads=[Payload(metadata=metadata, data=sealed[3:])]))
    response = await shared.http.post("/codec/decode", json=forged)
    assert response.status_code == 422
    assert "canary" not in response.text


def _preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
    }


async def test_the_page_of_temporals_ui_may_ask(shared: Api) -> None:
    """From the operator's browser, whatever the answer is."""
    api = with_settings(shared, temporal_ui_url=f"{UI}/some/path")
    async with client_of(api.app) as stranger:
        allowed = await stranger.options("/codec/decode", headers=_preflight(UI))
        refused = await stranger.post("/codec/decode", json={}, headers={"Origin": UI})
    async with api.http as http:
        answered = await http.post("/codec/decode", json=await _encrypted(), headers={"Origin": UI})
    assert allowed.status_code == 200
    assert refused.status_code == 401
    for response in (allowed, refused, answered):
        assert response.headers["access-control-allow-origin"] == UI
        assert response.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{UI}.evil.example", UI.replace("https", "http"), f"{UI}:8443"]
)
async def test_no_other_page_may(shared: Api, origin: str) -> None:
    """A browser shows it nothing, not even with the operator's cookies."""
    api = with_settings(shared, temporal_ui_url=UI)
    async with api.http as http:
        preflight = await http.options("/codec/decode", headers=_preflight(origin))
        answered = await http.post("/codec/decode", json=await _encrypted(), headers={"Origin": origin})
    assert preflight.status_code == 400
    for response in (preflight, answered):
        assert "access-control-allow-origin" not in response.headers


async def test_nothing_else_is_opened_to_it(shared: Api) -> None:
    """The rest of the API is for no page of another origin; without RELINK_TEMPORAL_UI_URL, the codec neither."""
    api = with_settings(shared, temporal_ui_url=UI)
    async with api.http as http:
        rest = [
            await http.get("/v1/incidents", headers={"Origin": UI}),
            await http.options("/v1/events", headers=_preflight(UI)),
        ]
    unset = await shared.http.post("/codec/decode", json=await _encrypted(), headers={"Origin": UI})
    for response in (*rest, unset):
        assert "access-control-allow-origin" not in response.headers


async def test_it_encrypts_nothing(shared: Api) -> None:
    """Nobody needs to write payloads by hand: signals carry none."""
    assert (await shared.http.post("/codec/encode", json=await _encrypted())).status_code == 404
    assert await EncryptingCodec(Keys(None)).encode([]) == []
