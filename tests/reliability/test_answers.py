"""The calls of the API about reliability: their shapes, what they refuse, and what is downloaded."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.api.calling import Api

HOUR = timedelta(hours=1)


async def down(api: Api, since: timedelta, until: timedelta | None = None, **changes: Any) -> str:
    """An incident that began so long ago, and was repaired so long ago unless it still lasts."""
    incident = await api.incident(occurred_at=(datetime.now(UTC) - since).isoformat(), **changes)
    await api.pool.execute("update integration_health set created_at = now() - interval '400 days'")
    await api.pool.execute(
        "update incidents set detected_at = opened_at + interval '5 min' where id = $1", UUID(incident)
    )
    if until is not None:
        await api.pool.execute(
            "update incidents set recovering_since = now() - $2::interval, closed_at = now(), status = 'closed',"
            " resolution = 'verified' where id = $1",
            UUID(incident),
            until,
        )
        await api.pool.execute("update integration_health set status = 'healthy', last_closed_at = null")
    return incident


async def get(api: Api, path: str, **parameters: Any) -> dict[str, Any]:
    response = await api.http.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def reliability(api: Api, **parameters: Any) -> dict[str, Any]:
    return await get(api, f"/v1/customers/{api.name}/reliability", **parameters)


async def test_a_customer_in_figures(apart: Api) -> None:
    """Uptime, incidents, the means, and whose fault it was, of each integration and of all together."""
    await down(
        apart, 12 * HOUR, 6 * HOUR, error={"code": "invalid_grant", "surface": "token_endpoint", "http_status": 400}
    )
    answer = await reliability(apart, window="1d")
    assert answer["customer"]["external_id"] == apart.name
    assert answer["window"]["length"] == "1d"
    (one,) = answer["integrations"]
    assert one["integration"]["integration_type"] == "salesforce"
    for figures in (answer, one):
        assert figures["uptime"] == pytest.approx(0.75, abs=1e-3)
        assert figures["observed_minutes"] == 1440
        assert figures["minutes_down"] == pytest.approx(360, abs=1)
        assert figures["minutes_down_by_cause"]["customer"] == figures["minutes_down"]
        assert (figures["incidents"], figures["still_down"]) == (1, 0)
        assert (figures["mttd_minutes"], figures["mtta_minutes"]) == (5, None)
        assert figures["mttr_minutes"] == pytest.approx(360, abs=1)
        assert figures["mtbf_minutes"] == pytest.approx(1080, abs=1)
        assert figures["before"] == {"uptime": 1, "minutes_down": 0, "incidents": 0}
        assert figures["trend"] == "worse"
    assert (one["chronic"], one["chronic_reason"], one["suggestion"]) == (False, None, None)


async def test_without_anything_nothing_is_made_up(apart: Api) -> None:
    """No integrations, no uptime; no window said, ninety days."""
    answer = await reliability(apart)
    assert answer["window"]["length"] == "90d"
    assert (answer["uptime"], answer["integrations"], answer["trend"]) == (None, [], "unknown")


@pytest.mark.parametrize("window", ["", "90", "0d", "0s", "-1d", "1w", "9999d", "90 d", "d", "1e3d", "null"])
async def test_a_window_that_is_none_is_refused_by_name(shared: Api, window: str) -> None:
    for path in (f"/v1/customers/{shared.name}/reliability", "/v1/metrics/success"):
        refused = await shared.http.get(path, params={"window": window})
        assert refused.status_code == 422, path
        (error,) = refused.json()["errors"]
        assert error["field"] == "window"
        assert "such as" in error["message"] or "ten years" in error["message"]


async def test_a_misspelt_parameter_is_refused(shared: Api) -> None:
    refused = await shared.http.get("/v1/metrics/success", params={"windows": "30d"})
    assert [error["field"] for error in refused.json()["errors"]] == ["windows"]


async def test_a_key_of_one_customer_gets_its_own_figures_only(api: Api) -> None:
    await api.customer()
    await down(api, 2 * HOUR)
    await api.customer("stranger")
    headers = await api.key("read", customer="stranger")
    assert (await api.http.get("/v1/customers/techcorp/reliability", headers=headers)).status_code == 404
    assert (await api.http.get("/v1/customers/techcorp/health-score", headers=headers)).status_code == 404
    own = (await api.http.get("/v1/metrics/success", headers=headers)).json()
    assert [measure["items_total"] for measure in own["measures"]] == [0, 0, 0, 0]
    assert [m["items_total"] for m in (await get(api, "/v1/metrics/success"))["measures"]] == [1, 0, 0, 1]


async def test_the_four_measures_with_what_is_behind_them(api: Api) -> None:
    """Numerator, denominator, target, and the things that were counted, what counts against us first."""
    await api.customer()
    quick = await down(api, 30 * HOUR, 29 * HOUR)
    slow = await down(api, 20 * HOUR, 10 * HOUR, integration_id="other")
    await api.pool.execute(
        "update incidents set detected_at = opened_at + interval '61 min', customer_reported_at = opened_at + interval"
        " '2 hours' where id = $1",
        UUID(slow),
    )
    report = await api.event(event_type="customer_reported", event_id="ticket-1")
    answer = await get(api, "/v1/metrics/success", window="10d")
    measures = {measure["name"]: measure for measure in answer["measures"]}
    assert list(measures) == ["detected_within_1h", "resolved_before_customer_noticed", "fewer_tickets", "uptime"]
    for name in ("detected_within_1h", "resolved_before_customer_noticed"):
        measure = measures[name]
        assert (measure["numerator"], measure["denominator"], measure["value"]) == (1, 2, 0.5)
        assert measure["met"] is False
        assert [(item["id"], item["good"]) for item in measure["items"]] == [(slow, False), (quick, True)]
    assert [measures[name]["target"] for name in measures] == [1.0, 0.8, 0.5, 0.99]
    tickets = measures["fewer_tickets"]
    assert (tickets["numerator"], tickets["denominator"], tickets["value"], tickets["met"]) == (1, None, None, None)
    assert "success.tickets_per_month_before" in tickets["note"]
    assert len(tickets["items"]) == 1
    assert report["outcome"] == "accepted"
    uptime = measures["uptime"]
    assert uptime["denominator"] == 2 * 10 * 1440
    assert uptime["numerator"] == pytest.approx(2 * 10 * 1440 - 11 * 60, abs=1)
    assert uptime["met"] is False
    assert [item["good"] for item in uptime["items"]] == [False, True]


async def test_tickets_are_compared_with_what_was_usual(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the company's own count of a month before, the share that is spared; of one customer it stays unknown."""
    await api.customer()
    await api.integration()
    for n in range(3):
        await api.event(event_type="customer_reported", event_id=f"ticket-{n}")
    policy = api.resources.policy
    known = policy.current.success.model_copy(update={"tickets_per_month_before": 30.0})
    monkeypatch.setattr(policy, "current", policy.current.model_copy(update={"success": known}))
    (tickets,) = (await get(api, "/v1/metrics/success", measure="fewer_tickets", window="10d"))["measures"]
    assert (tickets["numerator"], tickets["denominator"], tickets["value"], tickets["met"]) == (3, 10, 0.7, True)
    narrowed = await get(api, "/v1/metrics/success", measure="fewer_tickets", customer="techcorp")
    assert narrowed["measures"][0]["value"] is None


async def test_measures_without_anything_to_measure_are_unknown(api: Api) -> None:
    answer = await get(api, "/v1/metrics/success")
    assert [measure["met"] for measure in answer["measures"]] == [None, None, None, None]


def table(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert response.headers["content-disposition"].startswith('attachment; filename="')
    return list(csv.DictReader(io.StringIO(response.text)))


async def test_tables_are_downloaded_as_csv(apart: Api) -> None:
    """By `format=csv` or by the Accept header, with the same figures; a name never runs in a spreadsheet."""
    await apart.integration("salesforce/crm", display_name='=HYPERLINK("http://evil.example";"x")')
    await down(apart, 12 * HOUR, 6 * HOUR)
    path = f"/v1/customers/{apart.name}/reliability"
    rows = table(await apart.http.get(path, params={"format": "csv", "window": "1d"}))
    assert rows[0]["display_name"] == '\'=HYPERLINK("http://evil.example";"x")'
    assert (rows[0]["customer"], rows[0]["incidents"], rows[0]["chronic"]) == (apart.name, "1", "false")
    assert float(rows[0]["uptime"]) == pytest.approx(0.75, abs=1e-3)
    by_header = table(await apart.http.get(path, params={"window": "1d"}, headers={"Accept": "text/csv"}))
    assert by_header[0].keys() == rows[0].keys()
    assert (await apart.http.get(path, headers={"Accept": "text/html, */*"})).json()["customer"]
    measures = table(await apart.http.get("/v1/metrics/success", params={"format": "csv"}))
    assert [row["name"] for row in measures][3] == "uptime"
    behind = table(await apart.http.get("/v1/metrics/success", params={"format": "csv", "measure": "uptime"}))
    assert {"id", "good", "amount"} == set(behind[0])


async def test_the_ledger_shows_every_change_of_the_score(apart: Api) -> None:
    """Base plus changes is the score; a page at a time, newest first."""
    await apart.customer(health_score=82)
    incident = await apart.incident()
    for adjustment, reason in ((-10, "Critical integration disconnected"), (10, "Critical integration reconnected")):
        await apart.pool.execute(
            "with c as (update customers set health_score = health_score + $2 where external_id = $3 returning id)"
            " insert into health_score_adjustments (customer_id, incident_id, adjustment, reason)"
            " select id, $1, $2, $4 from c",
            UUID(incident),
            adjustment,
            apart.name,
            reason,
        )
    path = f"/v1/customers/{apart.name}/health-score"
    answer = await get(apart, path, limit=1)
    assert (answer["health_score"], answer["base"], answer["adjustments"]) == (82, 82, 0)
    assert [(i["adjustment"], i["incident"]) for i in answer["items"]] == [(10, incident)]
    assert answer["items"][0]["integration"]["integration_type"] == "salesforce"
    rest = await get(apart, path, cursor=answer["next_cursor"])
    assert [i["reason"] for i in rest["items"]] == ["Critical integration disconnected"]
    assert rest["next_cursor"] is None
