"""Reading incidents: filters, pages that miss and repeat nothing, and what happens next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from activities.db.ledger import CUSTOMER, Intent, intend
from tests.api.calling import Api

FIELDS = {
    "id", "number", "status", "severity", "resolution", "category", "who_fixes", "customer", "integration",
    "occurrences", "opened_at", "detected_at", "alerted_at", "acknowledged_at", "acknowledged_by", "snoozed_until",
    "closed_at",
}  # fmt: skip


async def page(api: Api, **query: Any) -> dict[str, Any]:
    response = await api.http.get("/v1/incidents", params={"customer": api.name} | query)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def ids(api: Api, **query: Any) -> list[str]:
    return [item["id"] for item in (await page(api, **query))["items"]]


async def test_an_incident_has_the_shape_of_the_contract(apart: Api) -> None:
    await apart.integration(display_name="Salesforce CRM Sync", is_critical=True)
    incident = await apart.incident(occurred_at="2026-01-29T10:45:00Z", error={"code": "invalid_grant"})
    (item,) = (await page(apart))["items"]
    assert set(item) == FIELDS
    assert (item["number"], item["status"], item["severity"], item["occurrences"]) == (1, "open", "critical", 1)
    assert (item["category"], item["who_fixes"]) == ("refresh_failed", "customer_user")
    assert item["customer"]["external_id"] == apart.name
    assert item["integration"] | {"id": None} == {
        "id": None,
        "integration_type": "salesforce",
        "integration_id": "crm",
        "display_name": "Salesforce CRM Sync",
    }
    assert item["opened_at"] == "2026-01-29T10:45:00Z"
    single = await apart.show(incident)
    assert {name: single[name] for name in FIELDS} == item
    assert set(single) == FIELDS | {"timeline", "deliveries", "funnel", "next_action"}


async def test_the_single_one_tells_its_history_and_what_was_sent(apart: Api) -> None:
    incident = await apart.incident()
    contact = await apart.pool.fetchval("select id from people where email = 'bob@techcorp.example' limit 1")
    async with apart.pool.acquire() as connection:
        to = "bob@techcorp.example"
        await intend(connection, Intent(UUID(incident), "email", CUSTOMER, "technical_contact", to, contact))
    shown = await apart.show(incident)
    assert [(entry["kind"], entry["actor"]) for entry in shown["timeline"]] == [("detected", "relink")]
    (delivery,) = shown["deliveries"]
    contract = {"channel", "template", "recipient", "status", "external_id", "attempts", "error"}
    assert contract <= set(delivery)
    assert (delivery["channel"], delivery["recipient"], delivery["status"]) == ("email", to, "pending")


async def test_what_happens_next(apart: Api) -> None:
    """Computed by the same rule that drives the workflow."""
    incident = await apart.incident()
    assert (await apart.show(incident))["next_action"]["kind"] == "response_due"
    await apart.pool.execute(
        "update incidents set informed_kind = kind, alerted_at = '2999-01-01T00:00:00Z' where id = $1", incident
    )
    following = (await apart.show(incident))["next_action"]
    assert following == {"kind": "escalation_due", "at": "2999-01-01T01:00:00Z"}  # high: after 1 h
    await apart.act(incident, "snooze", **{"for": "4h"})
    assert (await apart.show(incident))["next_action"]["kind"] == "message_waiting"  # the note in the thread
    await apart.pool.execute("update deliveries set status = 'sent' where incident_id = $1", incident)
    shown = await apart.show(incident)
    assert shown["next_action"] == {"kind": "snooze_ended", "at": shown["snoozed_until"]}
    await apart.act(incident, "resolve", reason="false_alarm")
    assert (await apart.show(incident))["next_action"] is None


async def test_filters(apart: Api) -> None:
    await apart.integration("slack/1", is_critical=True)
    one = await apart.incident(integration_type="slack", integration_id="1")
    two = await apart.incident()
    await apart.act(two, "resolve", reason="no_longer_used")
    assert await ids(apart) == [two, one]
    assert await ids(apart, integration_type="slack") == [one]
    assert await ids(apart, severity="critical") == [one]
    assert await ids(apart, status="closed") == [two]
    assert await ids(apart, status=["open", "closed"]) == [two, one]
    assert await ids(apart, status="open", integration_type="salesforce") == []


async def test_pages_miss_and_repeat_nothing_while_incidents_come_and_close(apart: Api) -> None:
    made = [await apart.incident(integration_id=f"i{i}") for i in range(7)]
    moment = datetime.now(UTC)
    await apart.pool.execute("update incidents set detected_at = $1 where id = any($2)", moment, made[2:5])  # ties
    expected = await ids(apart)
    seen, cursor = [], None
    while True:
        found = await page(apart, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [item["id"] for item in found["items"]]
        await apart.incident(integration_id=f"later-{len(seen)}")
        await apart.act(seen[-1], "resolve", reason="false_alarm")
        cursor = found["next_cursor"]
        if cursor is None:
            break
    assert seen == expected


async def test_a_cursor_belongs_to_its_list_its_filters_and_its_key(apart: Api) -> None:
    for i in range(2):
        await apart.incident(integration_id=f"i{i}")
    cursor = (await page(apart, limit=1))["next_cursor"]
    own = await apart.key("read", customer=apart.name)
    last = "A" if cursor[-1] != "A" else "B"
    for query, headers in (
        ({"customer": apart.name, "cursor": cursor, "status": "open"}, {}),
        ({"cursor": cursor}, {}),
        ({"customer": apart.name, "cursor": cursor}, own),
        ({"customer": apart.name, "cursor": cursor[:10]}, {}),
        ({"customer": apart.name, "cursor": last + cursor[1:]}, {}),
        ({"customer": apart.name, "cursor": "ü"}, {}),
        ({"customer": apart.name, "cursor": ""}, {}),
    ):
        response = await apart.http.get("/v1/incidents", params=query, headers=headers)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "cursor"), query
    assert len(await ids(apart, cursor=cursor, limit=500)) == 1  # another limit is the same list


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "acknowledged"}, "status[0]"),
        ({"severity": "huge"}, "severity[0]"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"limit": "all"}, "limit"),
        ({"since": "yesterday"}, "since"),
    ],
)
async def test_wrong_queries_are_named(shared: Api, query: dict[str, Any], field: str) -> None:
    response = await shared.http.get("/v1/incidents", params=query)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


async def test_the_default_limit_is_fifty(apart: Api) -> None:
    event = {"customer_external_id": apart.name, "integration_type": "slack", "event_type": "auth_failure"}
    events = [event | {"integration_id": f"i{i}"} for i in range(51)]
    assert (await apart.http.post("/v1/events", json=events)).status_code == 202
    found = await page(apart)
    assert len(found["items"]) == 50
    assert len((await page(apart, cursor=found["next_cursor"]))["items"]) == 1
    assert (await page(apart, limit=500))["next_cursor"] is None


async def test_unknown_is_404(shared: Api) -> None:
    assert (await shared.http.get(f"/v1/incidents/{uuid4()}")).status_code == 404


async def test_times_are_utc(apart: Api) -> None:
    incident = await apart.incident(occurred_at="2026-01-29T10:45:00+05:30")
    assert (await apart.show(incident))["opened_at"] == "2026-01-29T05:15:00Z"
    detected = datetime.fromisoformat((await apart.show(incident))["detected_at"])
    assert abs(datetime.now(UTC) - detected) < timedelta(minutes=1)
