"""The fleet: what is down now, filtered, sorted, paged in SQL, as a page, as JSON and as a file."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from activities.db.fleet import Fleet, FleetWanted, Show, Sort
from activities.db.sql import queries
from tests.api.calling import Api
from tests.site.fleet import write_fleet
from tests.site.visitor import Visitor, text_of


async def test_an_empty_fleet_says_how_to_fill_it(api: Api) -> None:
    page = text_of(await Visitor.viewer(api).get("/fleet"))
    for words in ("No integrations yet", "relink integrations import FILE", "POST /v1/events"):
        assert words in page


async def test_what_is_down_is_told_at_once(api: Api) -> None:
    """Who, what, why, since when, how bad, whose turn it is; in words."""
    await api.customer()
    await api.integration(display_name="CRM Sync", is_critical=True)
    visitor = Visitor.viewer(api)
    assert "The one integration is not down" in text_of(await visitor.get("/fleet"))
    assert "Nothing is down" in text_of(await visitor.get("/fleet"))
    since = (datetime.now(UTC) - timedelta(hours=3, minutes=1)).isoformat()
    incident = await api.incident(error={"code": "invalid_grant"}, occurred_at=since)
    page = await visitor.get("/fleet")
    for words in (
        "1 of 1 integrations down", "Critical", "TechCorp", "$200,000", "CRM Sync", "Salesforce · critical integration",
        "3 h 1 min", "Open", "Dana Kim", "fixes it",
    ):  # fmt: skip
        assert words in text_of(page), words
    assert f'href="/incidents/{incident}"' in page.text
    assert "{product_name}" not in page.text
    for action, body, word in (
        ("acknowledge", {}, "Acknowledged"),
        ("snooze", {"for": "1h"}, "Snoozed"),
    ):
        await api.act(incident, action, **body)
        assert word in text_of(await visitor.get("/fleet"))
    await api.event(event_type="sync_succeeded")


async def test_names_of_others_stay_names(api: Api) -> None:
    """A customer can call itself what it likes: nothing of it becomes markup, or a formula in a spreadsheet."""
    await api.customer(name='<script>alert(1)</script>"\u202e', csm={"name": "=1+1", "email": "x@y.example"})
    await api.integration(display_name="@SUM(A1)")
    await api.event(error={"code": "<b>x</b>"})
    page = await Visitor.viewer(api).get("/fleet?csm=x@y.example&q=%22%3E%3Cb%3E")
    assert "<script>alert" not in page.text
    assert '"><b>' not in page.text
    [row] = await rows_of(api, "/fleet.csv")
    assert (row["csm"], row["display_name"]) == ("'=1+1", "'@SUM(A1)")


async def test_a_name_as_long_as_it_may_be_is_no_end(api: Api) -> None:
    """A cursor that holds the longest name, in the longest characters, is taken where it leads."""
    for n in range(8):
        customer = replace(api, name=f"long-{n}")
        await customer.customer(name=str(n) + "\U00020000" * 199)
        await customer.integration()
    names = [item["customer"]["external_id"] for item in await everything(api, "show=all&sort=customer")]
    assert names == [f"long-{n}" for n in range(8)]


async def rows_of(api: Api, path: str) -> list[dict[str, str]]:
    answer = await Visitor.viewer(api).get(path)
    assert answer.status_code == 200
    assert re.search(r'attachment; filename="fleet-\d{4}-\d\d-\d\d\.csv"', answer.headers["content-disposition"])
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest_asyncio.fixture(scope="module")
async def fleet(shared: Api) -> Api:
    """30 customers with 4 integrations each, 25 of which are down; the tests only look at them."""
    await write_fleet(shared.pool, customers=30, each=4, down=25)
    return shared


async def everything(api: Api, query: str) -> list[dict[str, Any]]:
    """All items of `GET /v1/fleet`, page by page."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = (await api.http.get(f"/v1/fleet?limit=7&{query}{cursor}")).json()
        items += answer["items"]
        if answer["next_cursor"] is None:
            return items
        cursor = f"&cursor={answer['next_cursor']}"


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("show", Show)
async def test_pages_together_are_the_list(fleet: Api, show: Show, sort: Sort) -> None:
    """Nothing twice, nothing left out, in the order that was asked for; the file has the same rows."""
    items = await everything(fleet, f"show={show}&sort={sort}")
    counts = {Show.DOWN: 25, Show.HEALTHY: 95, Show.ALL: 120, Show.DEGRADED: 0}
    assert len({item["id"] for item in items}) == len(items) == counts[show]
    keys = [_key(item, sort) for item in items]
    assert keys == sorted(keys)
    file = await rows_of(fleet, f"/fleet.csv?show={show}&sort={sort}")
    assert [row["incident"] for row in file] == [(item["incident"] or {}).get("id", "") for item in items]


def _key(item: dict[str, Any], sort: Sort) -> Any:
    incident = item["incident"]
    match sort:
        case Sort.CUSTOMER:
            return item["customer"]["name"].lower()
        case Sort.ARR:
            return -item["arr"]
        case Sort.SEVERITY:
            order = ["critical", "high", "medium", "low"]
            return (order.index(incident["severity"]), incident["opened_at"]) if incident else (9, "")
        case Sort.LONGEST:
            return incident["opened_at"] if incident else "9"
    return -datetime.fromisoformat(incident["opened_at"]).timestamp() if incident else 0


async def test_filters(fleet: Api) -> None:
    """Each narrows the list; together they narrow it more; an empty one of a form is none."""
    everyone = await everything(fleet, "show=all")
    for query, fits in (
        ("severity=critical&severity=low", lambda item: item["incident"]["severity"] in {"critical", "low"}),
        ("integration_type=slack", lambda item: item["integration_type"] == "slack"),
        ("csm=csm3@vendor.example", lambda item: item["csm"] == "CSM 3"),
        ("customer=c7", lambda item: item["customer"]["external_id"] == "c7"),
        ("q=LOGISTICS", lambda item: "Logistics" in item["customer"]["name"]),
        ("q=%25", lambda _: False),
        (
            "integration_type=slack&q=acme",
            lambda i: i["integration_type"] == "slack" and "Acme" in i["customer"]["name"],
        ),
        ("severity=&csm=&q=&integration_type=&customer=", lambda _: True),
    ):
        shown = await everything(fleet, query)
        assert [i["id"] for i in everyone if i["incident"] and fits(i)] == sorted(
            (i["id"] for i in shown), key=[i["id"] for i in everyone].index
        ), query
        page = await Visitor.viewer(fleet).get(f"/fleet?{query}")
        assert page.text.count('<td role="cell" class="first">') == len(shown), query
        assert ("Nothing matches" in page.text) == (not shown)


async def test_customers_without_a_csm_can_be_found(api: Api) -> None:
    await api.customer(csm=None)
    await api.event()
    assert len(await everything(api, "csm=-")) == 1
    assert "No CSM" in text_of(await Visitor.viewer(api).get("/fleet?csm=-"))


async def test_counts_are_of_what_is_down(fleet: Api) -> None:
    """By severity, provider and CSM; each adds up to all of it, whatever is filtered."""
    answer = (await fleet.http.get("/v1/fleet?severity=critical&limit=1")).json()
    assert (answer["down"], answer["total"], answer["healthy"], answer["degraded"]) == (25, 120, 95, 0)
    down = await everything(fleet, "")
    for facet, of in (
        ("severity", lambda item: item["incident"]["severity"]),
        ("provider", lambda item: item["integration_type"]),
        ("csm", lambda item: item["csm"]),
    ):
        counted = {row["name"] or row["value"]: row["count"] for row in answer[f"by_{facet}"]}
        assert sum(counted.values()) == 25
        assert all(sum(of(item) == name for item in down) == count for name, count in counted.items())


async def test_each_integration_is_counted_where_it_is_listed(api: Api) -> None:
    """With an incident it is down, whatever its status; what was closed by hand is said to be silent, not to limp."""
    await api.customer()
    for name in ("limps", "degraded", "unused", "well"):
        await api.integration(f"salesforce/{name}", display_name=name)
    await api.event(integration_id="limps", event_type="sync_error")
    for name in ("degraded", "unused"):
        await api.event(integration_id=name)
    await api.pool.execute("update integration_health set status = 'degraded' where integration_id = 'degraded'")
    unused = next(i for i in await everything(api, "") if i["integration_id"] == "unused")
    await api.act(unused["incident"]["id"], "resolve", reason="no_longer_used")
    answer = (await api.http.get("/v1/fleet?show=all")).json()
    assert (answer["down"], answer["degraded"], answer["healthy"], answer["total"]) == (1, 1, 1, 4)
    for show in ("down", "degraded", "healthy"):
        assert len(await everything(api, f"show={show}")) == answer[show], show
    page = text_of(await Visitor.viewer(api).get("/fleet?show=all"))
    assert page.count("Fails sometimes; no incident yet") == 1
    assert page.count("Closed by hand; no new alert until it has worked again") == 1


async def test_a_customer_is_one_click_away(api: Api) -> None:
    """From the fleet, and from an incident."""
    await api.customer()
    incident = await api.incident()
    for path in ("/fleet", f"/incidents/{incident}"):
        page = await Visitor.viewer(api).get(path)
        assert f'href="/customers/{api.name}"' in page.text, path


async def test_links_of_the_page_keep_the_filters(fleet: Api) -> None:
    """The next page, a sorted one and the file are of the same list."""
    page = (await Visitor.viewer(fleet).get("/fleet?integration_type=slack&q=e&sort=arr&limit=1")).text
    for id_, parts in (
        ("next-page", ("integration_type=slack", "q=e", "sort=arr", "cursor=")),
        ("csv", ("/fleet.csv?", "integration_type=slack", "q=e", "sort=arr")),
        ("without-q", ("integration_type=slack", "sort=arr")),
    ):
        link = re.search(rf'id="{id_}"[^>]* href="([^"]*)"', page)
        assert link, id_
        assert all(part in link[1] for part in parts), link[1]
    assert "cursor=" not in page.split('id="csv"')[1][:200]


async def test_it_refreshes_itself_until_it_is_paused(fleet: Api) -> None:
    """With the time of which it tells in sight; the refresh asks for the same list."""
    page = (await Visitor.viewer(fleet).get("/fleet?q=acme")).text
    assert 'hx-get="/fleet?q=acme" hx-trigger="every 20s"' in page
    assert "As of <time" in page
    paused = (await Visitor.viewer(fleet).get("/fleet?q=acme&refresh=off")).text
    assert "hx-get" not in paused
    assert "Paused" in paused


async def test_a_viewer_of_one_customer_has_a_fleet_of_one(fleet: Api) -> None:
    """Counts, rows and files are of that customer alone; so is what a key of one customer is told."""
    customer = await fleet.pool.fetchrow("select id, external_id from customers where external_id = 'c3'")
    assert customer is not None
    visitor = Visitor.viewer(fleet, only=customer["id"])
    assert "of 4 integrations" in text_of(await visitor.get("/fleet?show=all")) or "All 4" in text_of(
        await visitor.get("/fleet?show=all")
    )
    file = await visitor.get("/fleet.csv?show=all")
    assert {row["customer"] for row in csv.DictReader(io.StringIO(file.text))} == {"c3"}
    key = await fleet.key("read", customer="c3")
    answer = (await fleet.http.get("/v1/fleet?show=all", headers=key)).json()
    assert {item["customer"]["external_id"] for item in answer["items"]} == {"c3"}
    assert (answer["total"], (await fleet.http.get("/v1/fleet?customer=c4", headers=key)).status_code) == (4, 404)


async def test_a_cursor_is_good_for_its_list_only(fleet: Api) -> None:
    cursor = (await fleet.http.get("/v1/fleet?limit=1")).json()["next_cursor"]
    assert (await fleet.http.get(f"/v1/fleet?limit=1&cursor={cursor}")).status_code == 200
    for query in ("sort=arr", "show=all", "q=a"):
        answer = await fleet.http.get(f"/v1/fleet?limit=1&{query}&cursor={cursor}")
        assert (answer.status_code, "cursor" in answer.text) == (422, True), query
    page = await Visitor.viewer(fleet).get("/fleet?cursor=x")
    assert (page.status_code, "begin at the first page" in page.text) == (422, True)


async def test_ten_thousand_integrations_need_no_scan(api: Api) -> None:
    """The page that opens first and the list of all of them read as many rows as they show, by indexes."""
    await write_fleet(api.pool, customers=1000, each=10, down=200)
    down = await _plan(api, FleetWanted(limit=51))
    assert "one_open_incident_per_integration" in down
    assert "Seq Scan on incidents" not in down
    first = await Fleet(api.pool).rows(FleetWanted(show=Show.ALL, sort=Sort.CUSTOMER, limit=50))
    for after in (None, first[-1]["place"]):
        everyone = await _plan(api, FleetWanted(show=Show.ALL, sort=Sort.CUSTOMER, after=after, limit=51))
        assert "customers_by_name" in everyone
        assert "Seq Scan" not in everyone
    assert len(first) == 50


async def _plan(api: Api, wanted: FleetWanted) -> str:
    arguments = (
        wanted.only, wanted.show, wanted.severity, wanted.provider, wanted.csm, wanted.customer, wanted.search,
        wanted.sort, *(wanted.after or (None, None, None)), wanted.limit,
    )  # fmt: skip
    async with api.pool.acquire() as connection, connection.transaction():
        await connection.execute(queries("fleet")["plan_for_these_filters"])
        plan = await connection.fetch(f"explain {queries('fleet')['rows']}", *arguments)
    return "\n".join(row[0] for row in plan)
