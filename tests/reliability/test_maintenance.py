"""Planned maintenance: entered, listed, cancelled, and counted out of uptime."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.calling import Api
from tests.reliability.test_answers import HOUR, down, get, reliability


def plan(api: Api, hours_ago: float, hours: float, **named: Any) -> dict[str, Any]:
    begin = datetime.now(UTC) - hours_ago * HOUR
    return {"customer": api.name, "from": begin.isoformat(), "until": (begin + hours * HOUR).isoformat()} | named


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"integration_type": "salesforce"},
        {"integration_type": "salesforce", "integration_id": "crm"},
        {"customer": None, "integration_type": "salesforce"},
    ],
)
async def test_its_time_counts_neither_as_up_nor_as_down(api: Api, named: dict[str, Any]) -> None:
    """Of a customer, of a type, of both, or of one integration; and it counts again once it is cancelled."""
    await api.customer()
    await down(api, 12 * HOUR, 6 * HOUR)
    made = await api.http.post("/v1/maintenance", json=plan(api, 9, 6, note="they move data centres") | named)
    assert made.status_code == 201, made.text
    answer = await reliability(api, window="1d")
    assert answer["observed_minutes"] == pytest.approx(18 * 60, abs=1)
    assert answer["minutes_down"] == pytest.approx(3 * 60, abs=1)
    assert answer["incidents"] == 1
    assert (await api.http.delete(f"/v1/maintenance/{made.json()['id']}")).status_code == 204
    assert (await reliability(api, window="1d"))["minutes_down"] == pytest.approx(6 * 60, abs=1)


async def test_it_is_about_those_that_it_names_only(api: Api) -> None:
    await api.customer()
    await down(api, 12 * HOUR, 6 * HOUR)
    await api.integration("salesforce/other")
    await api.integration("slack/main")
    for named in (
        {"integration_type": "slack"},
        {"integration_type": "salesforce", "integration_id": "other"},
        {"customer": None, "integration_type": "slack"},
    ):
        assert (await api.http.post("/v1/maintenance", json=plan(api, 9, 6) | named)).status_code == 201
    assert (await reliability(api, window="1d"))["minutes_down"] == pytest.approx(6 * 60, abs=1)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"until": "2020-01-01T00:00:00Z"}, "until"),
        ({"from": "2026-01-01T00:00:00"}, "from"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"from": None}, "from"),
        ({"customer": None}, "customer"),
        ({"integration_id": "crm"}, "integration_id"),
        ({"customer": None, "integration_type": "salesforce", "integration_id": "crm"}, "integration_id"),
        ({"integration_type": "salesfarce"}, "integration_type"),
        ({"integration_type": "salesforce", "integration_id": "none"}, "integration_id"),
        ({"note": "x" * 501}, "note"),
        ({"note": "\x00"}, "note"),
        ({"whom": "me"}, "whom"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(apart: Api, wrong: dict[str, Any], field: str) -> None:
    """And nothing is stored."""
    await apart.integration()
    refused = await apart.http.post("/v1/maintenance", json=plan(apart, 2, 1) | wrong)
    assert refused.status_code == 422, refused.text
    assert [error["field"] for error in refused.json()["errors"]] == [field]
    assert (await get(apart, "/v1/maintenance", customer=apart.name))["items"] == []


async def test_it_is_listed_page_by_page_the_latest_first(apart: Api) -> None:
    await apart.integration()
    for hours in (1, 3, 2):
        made = await apart.http.post("/v1/maintenance", json=plan(apart, hours, 1, note=f"{hours}"))
        assert made.status_code == 201, made.text
    first = await get(apart, "/v1/maintenance", customer=apart.name, limit=2)
    rest = await get(apart, "/v1/maintenance", customer=apart.name, limit=2, cursor=first["next_cursor"])
    assert [item["note"] for item in first["items"] + rest["items"]] == ["1", "2", "3"]
    assert rest["next_cursor"] is None
    one = first["items"][0]
    assert (one["customer"], one["integration_type"], one["integration_id"]) == (apart.name, None, None)
    assert datetime.fromisoformat(one["until"]) - datetime.fromisoformat(one["from"]) == timedelta(hours=1)


async def test_a_key_of_one_customer_plans_for_that_customer_only(api: Api) -> None:
    """For all customers of a type neither, nor does it see what was planned for all."""
    await api.customer()
    await api.integration()
    stranger = replace(api, name="stranger")
    await stranger.customer()
    headers = await api.key(customer="stranger")
    theirs = await api.http.post("/v1/maintenance", json=plan(api, 2, 1), headers=headers)
    everybodys = plan(api, 2, 1, customer=None, integration_type="salesforce")
    refused = await api.http.post("/v1/maintenance", json=everybodys, headers=headers)
    assert (theirs.status_code, refused.status_code) == (404, 422)
    assert [error["field"] for error in refused.json()["errors"]] == ["customer"]
    made = await api.http.post("/v1/maintenance", json=everybodys)
    assert (await api.http.get("/v1/maintenance", headers=headers)).json()["items"] == []
    path = f"/v1/maintenance/{made.json()['id']}"
    assert (await api.http.delete(path, headers=headers)).status_code == 404
    assert (await api.http.delete(path)).status_code == 204
    assert (await api.http.delete(path)).status_code == 404
