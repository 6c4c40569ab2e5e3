"""POST /v1/events: what an event does, as far as its sender can see (contract.md)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.api.calling import Api

EVENT = {
    "customer_external_id": "techcorp",
    "integration_type": "salesforce",
    "integration_id": "crm",
    "event_type": "auth_failure",
}
INVALID_GRANT = {"code": "invalid_grant", "message": "expired access/refresh token", "http_status": 400}


async def post(api: Api, body: Any) -> httpx.Response:
    """Sends events of this test's own customer and source, unless they name others."""
    events = [own(api, event) for event in body] if isinstance(body, list) else own(api, body)
    return await api.http.post("/v1/events", json=events)


def own(api: Api, event: dict[str, Any]) -> dict[str, Any]:
    mine = {"customer_external_id": api.name} if event.get("customer_external_id") == "techcorp" else {}
    return {"source": api.name} | event | mine


async def count(api: Api, table: str) -> int:
    """How many rows there are of this test's own customer."""
    customer = "(select id from customers where external_id = $1)"
    where = "source = $1" if table == "event_keys" else f"customer_id = {customer}"
    return int(await api.pool.fetchval(f"select count(*) from {table} where {where}", api.name))


async def status_of(api: Api, integration: str) -> str:
    return str((await api.http.get(f"/v1/integrations/{integration}")).json()["status"])


@pytest.fixture
def known(apart: Api) -> Api:
    """One customer, TechCorp, whom no other test knows."""
    return apart


async def test_one_event_is_answered_in_the_same_shape_as_an_array(known: Api) -> None:
    """A disconnection opens an incident at once, and its bell is rung."""
    response = await post(known, {**EVENT, "event_id": "e1", "error": INVALID_GRANT})
    assert response.status_code == 202
    answer = response.json()
    result = answer["results"][0]
    assert (answer["accepted"], answer["duplicates"], len(answer["results"])) == (1, 0, 1)
    assert (result["event_id"], result["outcome"]) == ("e1", "accepted")
    assert known.bells.rung == [UUID(result["incident"])]
    shown = (await known.http.get(f"/v1/integrations/{result['integration']}")).json()
    assert (shown["status"], shown["open_incident"], shown["error_code"]) == (
        "disconnected",
        result["incident"],
        "invalid_grant",
    )


async def test_an_array_is_answered_in_its_order_with_copies_as_duplicates(known: Api) -> None:
    """Two copies inside one array are one event."""
    events = [{**EVENT, "event_id": name} for name in ("b", "a", "b")]
    answer = (await post(known, events)).json()
    assert [(r["event_id"], r["outcome"]) for r in answer["results"]] == [
        ("b", "accepted"),
        ("a", "accepted"),
        ("b", "duplicate"),
    ]
    assert (answer["accepted"], answer["duplicates"]) == (2, 1)
    assert await count(known, "integration_events") == 2


async def test_an_empty_array_is_nothing(known: Api) -> None:
    response = await post(known, [])
    assert (response.status_code, response.json()) == (202, {"accepted": 0, "duplicates": 0, "results": []})


async def test_the_same_event_again_has_the_same_answer_and_no_effect(known: Api) -> None:
    """Compared after validation: another order of keys, another offset of the same moment is the same body."""
    first = (await post(known, {**EVENT, "event_id": "e1", "occurred_at": "2026-01-29T10:00:00Z"})).json()["results"][0]
    again = {"occurred_at": "2026-01-29T12:00:00+02:00", "event_id": "e1", **dict(reversed(EVENT.items()))}
    second = (await post(known, again)).json()["results"][0]
    assert second == {**first, "outcome": "duplicate"}
    assert await count(known, "integration_events") == 1


async def test_the_same_id_from_another_source_is_another_event(known: Api) -> None:
    await post(known, {**EVENT, "event_id": "e1"})
    other = (await post(known, {**EVENT, "event_id": "e1", "source": "nango"})).json()
    assert other["accepted"] == 1


async def test_another_body_under_a_known_id_is_a_conflict_and_nothing_of_the_array_is_stored(known: Api) -> None:
    await post(known, {**EVENT, "event_id": "e1"})
    response = await post(
        known, [{**EVENT, "event_id": "new"}, {**EVENT, "event_id": "e1", "event_type": "sync_error"}]
    )
    assert response.status_code == 409
    assert response.json()["errors"][0]["field"] == "[1].event_id"
    assert await count(known, "integration_events") == 1
    assert await count(known, "event_keys") == 1


async def test_an_event_without_an_id_gets_one_and_is_never_a_duplicate(known: Api) -> None:
    ids = {(await known.event())["event_id"] for _ in range(2)}
    assert len(ids) == 2
    assert await count(known, "integration_events") == 2


async def test_fifty_copies_at_once_are_one_event(known: Api) -> None:
    """Promise 4: same event, same answer, one effect."""
    answers = await asyncio.gather(*(post(known, {**EVENT, "event_id": "e1"}) for _ in range(50)))
    results = [a.json()["results"][0] for a in answers]
    assert [r["outcome"] for r in results].count("accepted") == 1
    assert len({(r["integration"], r["incident"]) for r in results}) == 1
    assert await count(known, "incidents") == 1


async def test_fifty_events_without_an_integration_id_register_one_integration(known: Api) -> None:
    event = {name: value for name, value in EVENT.items() if name != "integration_id"}
    answers = await asyncio.gather(*(post(known, event) for _ in range(50)))
    assert {a.status_code for a in answers} == {202}
    assert await count(known, "integration_health") == 1
    assert await count(known, "incidents") == 1


async def test_an_event_without_integration_id_means_the_only_one_of_its_type(known: Api) -> None:
    only = (await known.event(integration_id="crm"))["integration"]
    assert (await known.event(integration_id=None))["integration"] == only
    await known.event(integration_id="billing")
    response = await post(known, {**EVENT, "integration_id": None})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "integration_id"


async def test_an_unknown_customer_is_refused_saying_how_to_add_one(known: Api) -> None:
    response = await post(known, [EVENT, {**EVENT, "customer_external_id": "nobody"}])
    assert response.status_code == 422
    error = response.json()["errors"][0]
    assert error["field"] == "[1].customer_external_id"
    assert "PUT /v1/customers/" in error["message"]
    assert await count(known, "integration_health") == 0


async def test_a_customer_can_be_named_by_its_uuid(known: Api) -> None:
    customer = (await known.http.get(f"/v1/customers/{known.name}")).json()["id"]
    event = {name: value for name, value in EVENT.items() if name != "customer_external_id"}
    assert (await post(known, {**event, "customer_id": customer})).status_code == 202


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"occurred_at": "2026-01-29T10:00:00"}, "occurred_at"),
        ({"occurred_at": "2026-01-29"}, "occurred_at"),
        ({"occurred_at": 1769680800}, "occurred_at"),
        ({"occurred_at": "1769680800"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"event_type": "exploded"}, "event_type"),
        ({"event_type": "integration_status_changed"}, "new_status"),
        ({"new_status": "disconnected"}, "new_status"),
        ({"event_type": "integration_status_changed", "new_status": "on fire"}, "new_status"),
        ({"error": {"http_status": 99}}, "error.http_status"),
        ({"error": {"http_status": "many"}}, "error.http_status"),
        ({"error": {"surface": "moon"}}, "error.surface"),
        ({"error": "oops"}, "error"),
        ({"customer_id": "5f0c7ae0-0000-4000-8000-000000000000"}, "customer_external_id"),
        ({"customer_external_id": None}, "customer_external_id"),
        ({"integration_type": ""}, "integration_type"),
        ({"integration_type": "x" * 101}, "integration_type"),
        ({"integration_type": 7}, "integration_type"),
        ({"event_id": ""}, "event_id"),
        ({"endpoint": "x" * 201}, "endpoint"),
        ({"integration_id": "a\x00b"}, "integration_id"),
        ({"error": {"message": "\x00"}}, "error.message"),
        ({"severity": "critical"}, "severity"),
    ],
)
async def test_what_is_wrong_is_named(shared: Api, change: dict[str, Any], field: str) -> None:
    """422 names the field, by its place in an array, and stores nothing."""
    single = await post(shared, {**EVENT, **change})
    assert (single.status_code, single.headers["content-type"]) == (422, "application/problem+json")
    assert field in [error["field"] for error in single.json()["errors"]]
    array = await post(shared, [EVENT, {**EVENT, **change}])
    assert array.status_code == 422
    assert f"[1].{field}" in [error["field"] for error in array.json()["errors"]]
    assert await count(shared, "integration_events") == 0


async def test_a_clock_may_be_five_minutes_ahead(known: Api) -> None:
    ahead = datetime.now(UTC) + timedelta(minutes=4, seconds=50)
    assert (await post(known, {**EVENT, "occurred_at": ahead.isoformat()})).status_code == 202
    beyond = datetime.now(UTC) + timedelta(minutes=5, seconds=10)
    assert (await post(known, {**EVENT, "occurred_at": beyond.isoformat()})).status_code == 422


async def test_what_opens_an_incident(known: Api) -> None:
    """Disconnected at once: by status, by an auth failure without or with a telling error."""
    changed = {"event_type": "integration_status_changed", "new_status": "disconnected"}
    for i, event in enumerate(({"error": None}, {"error": INVALID_GRANT, "event_type": "sync_error"}, changed)):
        result = await known.event(integration_id=f"i{i}", **event)
        assert result["incident"] is not None, event


async def test_a_retryable_failure_is_degraded_and_the_second_in_a_row_opens(known: Api) -> None:
    unavailable = {"event_type": "sync_error", "error": {"http_status": 503}}
    first = await known.event(**unavailable)
    assert (first["incident"], await status_of(known, first["integration"])) == (None, "degraded")
    second = await known.event(**unavailable)
    assert second["incident"] is not None
    assert await status_of(known, first["integration"]) == "disconnected"


async def test_a_success_between_two_failures_starts_the_count_again(known: Api) -> None:
    for event_type in ("webhook_failed", "sync_succeeded", "webhook_failed"):
        result = await known.event(event_type=event_type)
        assert result["incident"] is None
    assert await status_of(known, result["integration"]) == "degraded"


async def test_rate_limits_never_count(known: Api) -> None:
    for _ in range(3):
        result = await known.event(event_type="sync_error", error={"http_status": 429})
        assert result["incident"] is None
    assert await status_of(known, result["integration"]) == "healthy"


async def test_a_failure_older_than_the_newest_success_is_stored_and_changes_nothing(known: Api) -> None:
    await known.event(event_type="sync_succeeded", occurred_at="2026-01-29T10:00:00Z")
    late = await known.event(occurred_at="2026-01-29T09:59:59Z")
    assert late["incident"] is None
    assert await status_of(known, late["integration"]) == "healthy"
    tie = await known.event(occurred_at="2026-01-29T10:00:00Z")
    assert tie["incident"] is not None  # ties go to the failure
    assert await count(known, "integration_events") == 3


async def test_failures_of_the_same_ongoing_issue_are_one_incident_with_a_count(known: Api) -> None:
    """FR-2.5."""
    incidents = {(await known.event())["incident"] for _ in range(3)}
    assert len(incidents) == 1
    shown = (await known.http.get(f"/v1/incidents/{incidents.pop()}")).json()
    assert shown["occurrences"] == 3


async def test_an_earlier_failure_moves_opened_at_back(known: Api) -> None:
    """`opened_at` is the earliest failure of this run, whatever the order of arrival."""
    incident = (await known.event(occurred_at="2026-01-29T10:00:00Z"))["incident"]
    await known.event(occurred_at="2026-01-29T09:00:00Z")
    assert (await known.http.get(f"/v1/incidents/{incident}")).json()["opened_at"] == "2026-01-29T09:00:00Z"


async def test_a_later_success_is_a_hint_and_does_not_close(known: Api) -> None:
    """The workflow decides; the event only rings."""
    incident = (await known.event())["incident"]
    known.bells.rung.clear()
    assert (await known.event(event_type="sync_succeeded"))["incident"] == incident
    assert known.bells.rung == [UUID(incident)]
    assert (await known.http.get(f"/v1/incidents/{incident}")).json()["status"] == "open"
    assert "reconnected" in await known.doorbells(incident)


async def test_the_customer_noticing_is_noted(known: Api) -> None:
    incident = (await known.event())["incident"]
    assert (await known.event(event_type="customer_reported"))["incident"] == incident
    assert "customer_reported" in await known.timeline(incident)


async def test_events_after_removal_are_stored_without_effect(known: Api) -> None:
    incident = (await known.event())["incident"]
    await known.http.delete(known.address())
    late = await known.event()
    assert late["incident"] is None
    assert (await known.http.get(f"/v1/incidents/{incident}")).json()["status"] == "cancelled"
    assert await count(known, "integration_events") == 2


async def test_a_key_of_one_customer_can_name_no_other(known: Api, shared: Api) -> None:
    """404, and nothing of the array is stored."""
    headers = await known.key("events", customer=known.name)
    mine = own(known, EVENT)
    assert (await known.http.post("/v1/events", json=mine, headers=headers)).status_code == 202
    for name in (shared.name, "nobody"):
        both = [mine, mine | {"customer_external_id": name}]
        assert (await known.http.post("/v1/events", json=both, headers=headers)).status_code == 404
    assert await count(known, "integration_events") == 1
