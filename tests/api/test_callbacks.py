"""POST /v1/callbacks/reconnected: a hint, by key or by Standard Webhooks signature; forged ones change nothing."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from starter.api.callbacks import webhook_secret
from tests.api.calling import SECRET_KEY, Api, settings_for_tests

PATH = "/v1/callbacks/reconnected"
OAUTH = {
    "kind": "oauth2",
    "token_url": "https://login.salesforce.com/services/oauth2/token",
    "client_id": "relink",
    "refresh_token": "s3cr3t",
}


def body_for(api: Api, **changes: Any) -> dict[str, Any]:
    named = {"customer_external_id": api.name, "integration_type": "salesforce", "integration_id": "crm"}
    return named | {"event_id": f"cb-{uuid4()}", "occurred_at": "2026-02-01T10:00:00Z"} | changes


async def hints(api: Api, incident: str) -> dict[str, Any]:
    row = await api.pool.fetchrow(
        "select status, hint_kind, hint_seq > checked_seq as waiting from incidents where id = $1", incident
    )
    assert row is not None
    return dict(row)


def signed(
    body: bytes, *, secret: str | None = None, at: float | None = None, id_: str | None = None
) -> dict[str, str]:
    """Headers as a Standard Webhooks sender makes them, independently of the code under test."""
    key = base64.b64decode((secret or webhook_secret(settings_for_tests())).removeprefix("whsec_"))
    id_, stamp = id_ or f"msg_{uuid4()}", int(at or time.time())
    mac = base64.b64encode(hmac.digest(key, f"{id_}.{stamp}.".encode() + body, "sha256")).decode()
    return {
        "content-type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(stamp),
        "webhook-signature": f"v1,{mac}",
    }


async def send(api: Api, body: bytes, headers: Any) -> httpx.Response:
    async with api.anonymous() as http:
        return await http.post(PATH, content=body, headers=headers)


async def test_a_callback_hints_and_resolves_nothing(apart: Api) -> None:
    await apart.integration(monitor=OAUTH)
    found = await apart.event()
    headers = await apart.key("callbacks")
    response = await apart.http.post(PATH, json=body_for(apart), headers=headers)
    assert response.status_code == 202
    assert response.json() == {"integration": found["integration"], "incident": found["incident"]}
    assert await hints(apart, found["incident"]) == {"status": "open", "hint_kind": "callback", "waiting": True}
    assert (await apart.doorbells(found["incident"])).count("reconnected") >= 1
    assert apart.rung(found["incident"]) == 2


async def test_without_an_incident_there_is_none(apart: Api) -> None:
    await apart.integration()
    answer = (await apart.http.post(PATH, json=body_for(apart))).json()
    assert answer["incident"] is None
    assert answer["integration"]


async def test_the_same_callback_again_has_the_same_answer_and_no_effect(apart: Api) -> None:
    found = await apart.event()
    body = body_for(apart)
    first = await apart.http.post(PATH, json=body)
    timeline = await apart.timeline(found["incident"])
    second = await apart.http.post(PATH, json=body)
    assert (first.json(), second.status_code) == (second.json(), 202)
    assert await apart.timeline(found["incident"]) == timeline
    changed = await apart.http.post(PATH, json=body | {"occurred_at": "2026-02-01T11:00:00Z"})
    assert changed.status_code == 409


async def test_only_the_names_are_needed(apart: Api) -> None:
    await apart.event()
    minimal = {"customer_external_id": apart.name, "integration_type": "salesforce"}
    for _ in range(2):
        assert (await apart.http.post(PATH, json=minimal)).status_code == 202


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"customer_external_id": "nobody"}, "customer_external_id"),
        ({"customer_external_id": None}, "customer_external_id"),
        ({"integration_type": ""}, "integration_type"),
        ({"occurred_at": "2026-02-01T10:00:00"}, "occurred_at"),
        ({"occurred_at": "2999-02-01T10:00:00Z"}, "occurred_at"),
        ({"status": "fixed"}, "status"),
    ],
)
async def test_what_is_wrong_is_named(shared: Api, change: dict[str, Any], field: str) -> None:
    response = await shared.http.post(PATH, json=body_for(shared, **change))
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"integration_type": "salesfroce"}, "integration_id"), ({"integration_id": "crn"}, "integration_id"),
     ({"integration_type": "salesfroce", "integration_id": None}, "integration_type")],
)  # fmt: skip
async def test_a_callback_registers_nothing(apart: Api, change: dict[str, Any], field: str) -> None:
    """A slip of the pen is told to its sender; it makes no integration that nobody has, and uses up no event_id."""
    await apart.integration()
    body = body_for(apart, **change)
    response = await apart.http.post(PATH, json=body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)
    known = "select count(*) from integration_health h join customers c on c.id = h.customer_id where external_id = $1"
    assert await apart.pool.fetchval(known, apart.name) == 1
    assert await apart.pool.fetchval("select count(*) from event_keys where event_id = $1", body["event_id"]) == 0
    right = {"integration_type": "salesforce", "integration_id": "crm"}
    assert (await apart.http.post(PATH, json=body | right)).status_code == 202


async def test_a_signature_is_as_good_as_a_key(apart: Api) -> None:
    """And its webhook-id makes a body without an event_id idempotent."""
    found = await apart.event()
    body = json.dumps(body_for(apart, event_id=None)).encode()
    first = await send(apart, body, signed(body, id_="msg_1" + apart.name))
    assert (first.status_code, first.json()["incident"]) == (202, found["incident"])
    timeline = await apart.timeline(found["incident"])
    again = await send(apart, body, signed(body, id_="msg_1" + apart.name))
    assert again.json() == first.json()
    assert await apart.timeline(found["incident"]) == timeline


async def test_a_signature_beside_older_ones_counts(apart: Api) -> None:
    """Standard Webhooks: several signatures, separated by spaces, while a secret is being changed."""
    await apart.integration()
    body = json.dumps(body_for(apart)).encode()
    headers = signed(body)
    headers["webhook-signature"] = f"v1,{base64.b64encode(b'x' * 32).decode()} {headers['webhook-signature']}"
    assert (await send(apart, body, headers)).status_code == 202


async def test_a_signature_is_good_for_five_minutes(apart: Api) -> None:
    await apart.integration()
    for age, status in ((290, 202), (310, 401), (-290, 202), (-310, 401)):
        body = json.dumps(body_for(apart)).encode()
        assert (await send(apart, body, signed(body, at=time.time() - age))).status_code == status, age


async def test_forged_callbacks_change_nothing(apart: Api) -> None:
    incident = await apart.incident()
    before = await apart.timeline(incident), await apart.doorbells(incident)
    body = json.dumps(body_for(apart)).encode()
    good = signed(body)
    mac = base64.b64decode(good["webhook-signature"].partition(",")[2])
    flips = [bytes(b ^ (1 << bit) if i == at else b for i, b in enumerate(mac)) for at in (0, 31) for bit in (0, 7)]
    forged: list[tuple[bytes, dict[str, str]]] = [
        (body + b" ", good),
        (body.replace(b"salesforce", b"slack"), good),
        (body, good | {"webhook-id": "another"}),
        (body, good | {"webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)}),
        (body, signed(body, secret="whsec_" + base64.b64encode(b"guessed").decode())),
        (body, signed(body, secret="whsec_" + base64.b64encode(SECRET_KEY.encode()).decode())),
        *((body, good | {"webhook-signature": f"v1,{base64.b64encode(flip).decode()}"}) for flip in flips),
        *(
            (body, good | {"webhook-signature": text})
            for text in ("", "v1", "v1,", "v1,?", "v1,é", "v2,A", ",", "v1,a,b")
        ),
        *((body, good | {"webhook-timestamp": text}) for text in ("", "now", "nan", "inf", "1e400", "-1", "9" * 30)),
        *((body, {k: v for k, v in good.items() if k != name}) for name in ("webhook-id", "webhook-timestamp")),
        (b"\xff\xfe", good),
        (body, {"content-type": "application/json"}),
    ]
    for content, headers in forged:
        response = await send(apart, content, {name: value.encode() for name, value in headers.items()})
        assert response.status_code == 401, headers
    assert (await apart.timeline(incident), await apart.doorbells(incident)) == before


async def test_a_bad_key_is_not_saved_by_a_good_signature(apart: Api) -> None:
    body = json.dumps(body_for(apart)).encode()
    headers = signed(body) | {"authorization": "Bearer relink_wrong"}
    assert (await send(apart, body, headers)).status_code == 401


def test_the_secret_is_our_own_and_not_the_key_itself() -> None:
    secret = webhook_secret(settings_for_tests())
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != webhook_secret(settings_for_tests(secret_key="another secret key of this installation, 32+"))
    assert SECRET_KEY.encode() not in base64.b64decode(secret.removeprefix("whsec_"))
