"""What the API tells beside the fleet: customers, providers, credentials, events and measurements."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from activities.db.metrics import Observed, add_metrics
from activities.db.overview import CustomerSort, CustomersWanted, Overview
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.reliability import SuccessReport
from tests.api.calling import Api
from tests.site.fleet import write_fleet
from tests.site.visitor import Visitor, text_of


async def everything(api: Api, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    asked = {"limit": 7, **parameters}
    while True:
        answer = await api.http.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return items
        asked["cursor"] = answer.json()["next_cursor"]


async def file(api: Api, path: str) -> list[dict[str, str]]:
    answer = await Visitor.viewer(api).get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith("attachment")
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest_asyncio.fixture(scope="module")
async def fleet(shared: Api) -> Api:
    """30 customers with 4 integrations each, 25 of which are down, and one without any; the tests only look."""
    await write_fleet(shared.pool, customers=30, each=4, down=25)
    return shared


KEYS = {
    CustomerSort.NAME: lambda row: row["name"].lower(),
    CustomerSort.DOWN: lambda row: -row["down"],
    CustomerSort.SCORE: lambda row: row["health_score"],
    CustomerSort.ARR: lambda row: -(row["arr"] or 0),
}


@pytest.mark.parametrize("sort", CustomerSort)
async def test_pages_of_customers_together_are_all(fleet: Api, sort: CustomerSort) -> None:
    """Nobody twice, nobody left out, in the order that was asked for; the file has the same rows."""
    items = await everything(fleet, "/v1/fleet/customers", sort=sort)
    assert len({item["id"] for item in items}) == len(items) == 31
    assert [KEYS[sort](item) for item in items] == sorted(KEYS[sort](item) for item in items)
    assert sum(item["down"] for item in items) == 25
    assert {item["integrations"] for item in items} == {0, 4}
    rows = await file(fleet, f"/customers.csv?sort={sort}")
    assert [row["external_id"] for row in rows] == [item["external_id"] for item in items]


async def test_customers_are_found_by_name_id_and_csm(fleet: Api) -> None:
    everyone = await everything(fleet, "/v1/fleet/customers")
    for asked, fits in (
        ({"q": "LOGISTICS"}, lambda row: "Logistics" in row["name"]),
        ({"q": "c7"}, lambda row: row["external_id"] == "c7"),
        ({"csm": "csm3@vendor.example"}, lambda row: row["csm"] == "CSM 3"),
        ({"q": "%"}, lambda _: False),
    ):
        found = await everything(fleet, "/v1/fleet/customers", **asked)
        assert [row["id"] for row in found] == [row["id"] for row in everyone if fits(row)], asked
    page = text_of(await Visitor.viewer(fleet).get("/customers?q=nobody+at+all"))
    assert "Nobody matches" in page
    assert "Take away" not in page


async def test_providers_are_counted_over_all_customers(fleet: Api) -> None:
    """As the fleet counts them; a key of one customer has nothing here."""
    rows = (await fleet.http.get("/v1/fleet/providers")).json()["items"]
    down = {c["value"]: c["count"] for c in (await fleet.http.get("/v1/fleet")).json()["by_provider"]}
    assert {row["integration_type"]: row["down"] for row in rows if row["down"]} == down
    assert [row["down"] for row in rows] == sorted((row["down"] for row in rows), reverse=True)
    assert sum(row["integrations"] for row in rows) == 120
    assert [row["integration_type"] for row in await file(fleet, "/providers.csv")] == [
        row["integration_type"] for row in rows
    ]
    key = await fleet.key("read", customer="c3")
    for path in ("/v1/fleet/providers", "/v1/fleet/providers/slack"):
        assert (await fleet.http.get(path, headers=key)).status_code == 404
    assert (await fleet.http.get("/v1/fleet/providers/nothing-of-that-name")).status_code == 404
    assert "nobody has connected" in (await Visitor.viewer(fleet).get("/providers/none")).text.lower()


async def ending(api: Api, days: float, label: str, integration: str = "salesforce/crm") -> None:
    """A credential of this customer that ends in so many days."""
    id_ = (await api.integration(integration))["id"]
    await api.pool.execute(
        "insert into credential_ends values ($1, 'certificate', $2, now() + $3 * interval '1 day', 'customer', now())",
        UUID(id_),
        label,
        days,
    )


async def test_credentials_by_when_they_end(apart: Api) -> None:
    """Of a customer, of one integration; what is removed has none; the page says it in words."""
    for n, days in enumerate((40, 2, -1, 10)):
        await ending(apart, days, f"no {n}", f"salesforce/{n % 2}")
    found = await everything(apart, "/v1/credentials", customer=apart.name, limit=1)
    assert [row["label"] for row in found] == ["no 2", "no 1", "no 3", "no 0"]
    one = found[0]["integration"]["id"]
    of_one = await everything(apart, "/v1/credentials", integration=one)
    assert [row["label"] for row in of_one] == ["no 2", "no 0"]
    assert [row["label"] for row in await file(apart, f"/customers/{apart.name}/credentials.csv")] == [
        row["label"] for row in found
    ]
    assert [row["label"] for row in await file(apart, f"/integrations/{one}/credentials.csv")] == ["no 2", "no 0"]
    page = text_of(await Visitor.viewer(apart).get(f"/customers/{apart.name}"))
    for words in ("has ended", "in 2 days", "in 10 days"):
        assert words in page
    await apart.http.delete(apart.address("salesforce/0"))
    assert len(await everything(apart, "/v1/credentials", customer=apart.name)) == 2


async def test_events_page_by_page(apart: Api) -> None:
    """Newest first, what each meant, and what it said; the page shows ten and leads to the others."""
    at = datetime.now(UTC) - timedelta(hours=1)
    for n in range(12):
        result = await apart.event(
            event_id=f"e{n}",
            occurred_at=(at + timedelta(minutes=n // 2)).isoformat(),
            error={"code": "invalid_grant", "message": f"says {n} <b>"},
        )
    integration = result["integration"]
    found = await everything(apart, f"/v1/integrations/{integration}/events", limit=5)
    assert len({row["event_id"] for row in found}) == len(found) == 12
    assert [row["occurred_at"] for row in found] == sorted((row["occurred_at"] for row in found), reverse=True)
    assert {row["effect"] for row in found} == {"failure"}
    visitor = Visitor.viewer(apart)
    page = await visitor.get(f"/integrations/{integration}")
    shown = text_of(page)
    assert sum(f"says {n} " in shown for n in range(12)) == 10
    assert "<b>" not in page.text.split('id="events"')[1]
    following = page.text.split('id="events-next-page"')[1].split('href="')[1].split('"')[0].replace("&amp;", "&")
    shown = text_of(await visitor.get(following))
    assert sum(f"says {n} " in shown for n in range(12)) == 2
    assert [row["event_id"] for row in await file(apart, f"/integrations/{integration}/events.csv")] == [
        row["event_id"] for row in found
    ]


async def test_what_checks_measured(apart: Api) -> None:
    """Success rate and latency over time, as the API has it; the page says the same and has it in numbers, too."""
    id_ = UUID((await apart.integration())["id"])
    assert "no monitor, so nothing is measured" in text_of(await Visitor.viewer(apart).get(f"/integrations/{id_}"))
    now = datetime.now(UTC)
    async with apart.pool.acquire() as connection:
        for n in range(40):
            seen = Observed(id_, now - timedelta(minutes=16 * n), n % 10 != 0, timedelta(milliseconds=100 + n))
            await add_metrics(connection, [seen], timedelta(minutes=15))
    answer = (await apart.http.get(f"/v1/integrations/{id_}/metrics")).json()
    assert answer["bucket"] == "15m"
    assert sum(item["probes"] for item in answer["items"]) == 40
    assert sum(item["failures"] for item in answer["items"]) == 4
    assert {item["success_rate"] for item in answer["items"]} <= {0, 0.5, 1}
    assert all(0.08 < item["p50_seconds"] <= item["p95_seconds"] < 0.17 for item in answer["items"])
    page = await Visitor.viewer(apart).get(f"/integrations/{id_}")
    assert "Success: 90.00 % of 40 looks, 4 failed" in text_of(page)
    rows = await file(apart, f"/integrations/{id_}/looks.csv")
    assert [int(row["probes"]) for row in rows] == [item["probes"] for item in answer["items"]]
    short = (await apart.http.get(f"/v1/integrations/{id_}/metrics", params={"window": "1h"})).json()
    assert 3 <= sum(item["probes"] for item in short["items"]) <= 4


async def test_one_integrations_reliability_is_as_its_customers(apart: Api) -> None:
    found = await apart.event()
    alone = (await apart.http.get(f"/v1/integrations/{found['integration']}/reliability")).json()
    (told,) = (await apart.http.get(f"/v1/customers/{apart.name}/reliability")).json()["integrations"]
    assert (alone["integration"], alone["incidents"], alone["still_down"]) == (told["integration"], 1, 1)


async def test_empty_pages_say_what_to_do(api: Api) -> None:
    visitor = Visitor.viewer(api)
    for path, words in (
        ("/customers", "relink customers import FILE"),
        ("/providers", "No providers yet"),
        ("/success", "Nothing to judge by"),
        ("/success?measure=fewer_tickets", "customer_reported"),
    ):
        assert words in text_of(await visitor.get(path)), path
    await api.customer()
    page = text_of(await visitor.get("/customers/techcorp"))
    for words in ("Nothing was connected", "PUT /v1/customers/techcorp/integrations/", "Nothing has gone wrong"):
        assert words in page
    assert (await visitor.get("/customers/nobody")).status_code == 404


async def test_success_is_counted_once_a_minute(apart: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many look at it; the next pages of a list are of the moment of its first one, also later."""
    counted: list[datetime] = []
    real = apart.resources.reliability.success

    async def success(window: timedelta, now: datetime, only: UUID | None = None) -> SuccessReport:
        counted.append(now)
        return await real(window, now, only)

    monkeypatch.setattr(apart.resources.reliability, "success", success)
    begin = datetime.now(UTC)
    customer = UUID((await apart.http.get(f"/v1/customers/{apart.name}")).json()["id"])
    recent, window = apart.resources.recent_success, timedelta(days=30)
    for later in (0, 30, 59, 60, 61):
        await recent.report(window, begin + timedelta(seconds=later), customer, None)
    assert counted == [begin, begin + timedelta(seconds=60)]
    paged = await recent.report(window, begin + timedelta(seconds=70), customer, begin)
    assert (paged.window.end, len(counted)) == (begin, 3)
    latest = begin + timedelta(seconds=60)
    assert (await recent.report(window, begin + timedelta(hours=1), customer, latest)).window.end == latest
    await recent.report(window, latest, None, None)
    await recent.report(timedelta(days=90), latest, customer, None)
    assert len(counted) == 5


async def test_names_of_others_stay_names(apart: Api) -> None:
    """Nothing of what customers and products call things becomes markup, or a formula in a spreadsheet."""
    evil = '<script>alert(1)</script>"'
    other = replace(apart, name=f'a"b&<i>-{uuid4().hex[:6]}')
    await other.http.put("/v1/customers/" + other.name.replace('"', "%22").replace("<", "%3C"), json={"name": evil})
    await apart.customer(name=evil, csm={"name": "=1+1", "email": "x@y.example"})
    found = await apart.event(error={"code": evil, "message": evil})
    await apart.integration(display_name="@SUM(A1)")
    await ending(apart, 2, evil)
    visitor = Visitor.viewer(apart)
    for path in (
        "/customers", f"/customers/{apart.name}", f"/integrations/{found['integration']}", "/providers/salesforce",
        "/success?measure=detected_within_1h",
    ):  # fmt: skip
        page = await visitor.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text, path
        assert "<i>" not in page.text, path
    (row,) = [row for row in await file(apart, "/customers.csv") if row["external_id"] == apart.name]
    assert row["csm"] == "'=1+1"


async def test_ten_thousand_integrations_need_no_scan(api: Api) -> None:
    """Every list of the pages is read by indexes, from its first page as from a later one."""
    await write_fleet(api.pool, customers=1000, each=10, down=200)
    await api.pool.execute(
        "insert into integration_events (customer_id, integration_type, event_type, integration_health_id, source,"
        " event_id, occurred_at, effect)"
        " select customer_id, integration_type, 'sync_succeeded', id, 'x', id || '/' || n,"
        " now() - n * interval '1 minute', 'note' from integration_health, generate_series(1, 5) n"
    )
    await api.pool.execute(
        "insert into credential_ends select id, 'certificate', 'x', now() + random() * interval '1 year', 'us', now()"
        " from integration_health where integration_id <> 'i9'"
    )
    await api.pool.execute("analyze")
    row = await api.pool.fetchrow("select id, customer_id from integration_health order by id limit 1")
    assert row is not None
    id_, customer = row
    now = datetime.now(UTC)
    first = await Overview(api.pool).customers(CustomersWanted(limit=50))
    for statement, arguments in (
        ("customers", (None, None, None, "name", None, None, None, 51)),
        ("customers", (None, None, None, "name", *first[-1]["place"], 51)),
        ("incidents", (customer, None, None, None, 11)),
        ("incidents", (customer, id_, now, id_, 11)),
        ("events", (id_, None, None, 11)),
        ("events", (id_, now, id_, 11)),
        ("credentials", (customer, None, None, None, None, None, 11)),
        ("credentials", (None, id_, None, None, None, None, 11)),
        ("named_incidents", ([id_],)),
        ("named_reports", ([id_],)),
        ("named_integrations", ([id_],)),
    ):
        plan = await plan_of(api.pool, "overview", statement, *arguments)
        assert "Seq Scan" not in plan, (statement, plan)
    assert "customers_by_name" in await plan_of(
        api.pool, "overview", "customers", None, None, None, "name", *first[-1]["place"], 51
    )
    since = now - timedelta(days=30)
    provider = await plan_of(api.pool, "reliability", "histories", since, now, None, None, "okta")
    assert "integration_health_by_type" in provider


async def plan_of(pool: Pool, file: str, statement: str, *arguments: object) -> str:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(queries("fleet")["plan_for_these_filters"])
        plan = await connection.fetch(f"explain {queries(file)[statement]}", *arguments)
    return "\n".join(row[0] for row in plan)


async def test_a_provider_that_fails_for_many_says_so(apart: Api) -> None:
    """While it lasts: since when, and that alerts wait; afterwards nothing of it."""
    await apart.customer()
    kind = f"crm_{uuid4().hex[:6]}"
    await apart.integration(f"{kind}/main")
    path = f"/v1/fleet/providers/{kind}"
    assert (await apart.http.get(path)).json()["outage"] is None
    await apart.pool.execute(
        "insert into provider_outages (integration_type, began_at, release_at)"
        " values ($1, now(), now() + interval '1 hour')",
        kind,
    )
    assert (await apart.http.get(path)).json()["outage"].keys() == {"id", "began_at", "release_at"}
    assert "Each CSM has one digest" in (await Visitor.viewer(apart).get(f"/providers/{kind}")).text
    assert "relink_provider_outages 1" in (await apart.http.get("/metrics")).text
    await apart.pool.execute("update provider_outages set ended_at = now() where integration_type = $1", kind)
    assert (await apart.http.get(path)).json()["outage"] is None
    assert "Each CSM has one digest" not in (await Visitor.viewer(apart).get(f"/providers/{kind}")).text
