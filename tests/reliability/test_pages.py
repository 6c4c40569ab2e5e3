"""What staff's pages show of the year whose truth is known: every figure, read from the HTML, equals it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from statistics import fmean
from typing import Any

import lxml.html
import pytest
import pytest_asyncio

from starter.embedded.postgres import PostgresServer
from starter.reporting import percent
from tests.reliability.known import Known, known_year
from tests.reliability.test_year import expected_lists, is_chronic, share
from tests.reliability.year import DAY, LAST, Connection, Truth, troubles
from tests.site.visitor import Visitor
from workflows.domain.durations import how_long

SINCE = LAST - 90 * DAY
CAUSES = {"Customer": "customer", "Provider": "provider", "Us": "us", "Unknown": "unknown"}


@pytest_asyncio.fixture(scope="module")
async def known(postgres_server: PostgresServer) -> AsyncIterator[Known]:
    async with known_year(postgres_server) as found:
        yield found


async def page(known: Known, path: str) -> Any:
    answer = await Visitor.viewer(known.api).get(path)
    assert answer.status_code == 200, answer.text
    return lxml.html.document_fromstring(answer.text)


def text(element: Any) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


def said(minutes: float) -> str:
    return how_long(timedelta(minutes=minutes))


def average(minutes: Iterable[float]) -> str:
    listed = list(minutes)
    return said(fmean(listed)) if listed else "–"


def assert_tiles(shown: Any, truth: Truth, before: Truth) -> None:
    """The figures at the top of a page."""
    tiles = {
        text(d.find("dt")): [text(dd) for dd in d.findall("dd")] for d in shown.xpath("//dl[@class='measured']/div")
    }
    assert tiles["Uptime"][0] == percent(share(truth))
    if before.seen:
        assert tiles["Uptime"][1] == f"{percent(share(before))} in the time before"
    assert tiles["Disconnections"] == [str(truth.incidents), f"{before.incidents} in the time before"]
    assert tiles["Down for"][0] == said(truth.down)
    assert tiles["Down for"][1] == (f"{truth.still_down} still down" if truth.still_down else "none down now")
    assert tiles["Time to detect"][0] == average(truth.detecting)
    assert tiles["Time to react"][0] == average(truth.acknowledging)
    assert tiles["Time to repair"][0] == average(truth.repairing)
    working = truth.seen - truth.down
    assert tiles["Between failures"][0] == (said(working / truth.incidents) if truth.incidents else "–")
    causes = [re.fullmatch(r"(\w+): (.*) \(.* %\)", text(li)) for li in shown.xpath("//ul[@class='key']/li")]
    assert {CAUSES[m[1]]: m[2] for m in causes if m} == {c: said(down) for c, down in truth.by_cause.items() if down}


def assert_bars(svg: Any, known: Known, connections: list[Connection]) -> None:
    """Ninety days, each with the time down that it had, as a text."""
    told = [title.text.split(": ", 1)[1] for title in svg.xpath(".//title")]
    days = [known.year.truth(connections, LAST - n * DAY, LAST - (n - 1) * DAY) for n in range(90, 0, -1)]
    assert told == [
        "not observed" if not day.seen else f"down for {said(day.down)}" if day.down else "no downtime" for day in days
    ]


async def test_the_page_of_a_customer(known: Known) -> None:
    """Its figures and its bars, those of each integration, what is chronic, and the score with what it is made of."""
    seen = 0
    for name in known.year.customers[::7]:
        shown = await page(known, f"/customers/{name}")
        own = known.year.of(name)
        truth = known.year.truth(own, SINCE)
        rows = shown.xpath("//section[@aria-labelledby='integrations']//tbody/tr")
        there = {c.number: c for c in own if c.gone is None or c.gone > SINCE}
        assert len(rows) == len(there)
        if not rows:
            continue
        assert_tiles(shown, truth, known.year.truth(own, SINCE - 90 * DAY, SINCE))
        assert_bars(shown.xpath("//section[@aria-labelledby='figures']//svg[@class='bars']")[0], known, own)
        ids = {str(id_): c for id_, c in known.rows.connections.items()}
        for row in rows:
            c = ids[row.xpath(".//a/@href")[0].rpartition("/")[2]]
            alone = known.year.truth([c], SINCE)
            cells = [text(cell) for cell in row.findall("td")]
            assert cells[3] == percent(share(alone))
            assert cells[5:7] == [str(alone.incidents), said(alone.down) if alone.down else "–"]
            assert_bars(row.xpath(".//svg")[0], known, [c])
            assert ("Fragile" in cells[0]) == is_chronic(known.year, c)
            seen += 1
        chronic = sum(is_chronic(known.year, c) for c in own)
        assert len(shown.xpath("//div[@class='chronic']")) == chronic
        critical = [t for c in own if c.is_critical for t in c.troubles if t.down_from is not None]
        lasting = -10 * sum(t.closed is None for t in critical)
        base = await known.api.pool.fetchval("select health_score_base from customers where external_id = $1", name)
        assert text(shown.get_element_by_id("score")) == str(base + lasting)
        ledger = shown.xpath("//section[@aria-labelledby='ledger']//tbody/tr")
        changes = sum(2 if t.closed is not None else 1 for t in critical)
        assert len(ledger) == min(changes, 10)
        listed = shown.xpath("//section[@aria-labelledby='incidents']//tbody/tr")
        assert len(listed) == min(len(troubles(own)), 10)
    assert seen > 50


async def test_the_page_of_an_integration(known: Known) -> None:
    for id_, c in list(known.rows.connections.items())[::60]:
        if c.gone is not None and c.gone <= SINCE:
            continue
        shown = await page(known, f"/integrations/{id_}")
        assert_tiles(shown, known.year.truth([c], SINCE), known.year.truth([c], SINCE - 90 * DAY, SINCE))
        assert_bars(shown.xpath("//section[@aria-labelledby='reliability']//svg[@class='bars']")[0], known, [c])


@pytest.mark.parametrize("kind", ["salesforce", "slack", "webhook"])
async def test_the_page_of_a_provider(known: Known, kind: str) -> None:
    """Added up over integrations; the sentence has the numbers of now; the bars those of each day."""
    shown = await page(known, f"/providers/{kind}")
    own = [c for c in known.year.connections if c.type == kind]
    alone = [known.year.truth([c], SINCE) for c in own]
    before = [known.year.truth([c], SINCE - 90 * DAY, SINCE) for c in own]
    assert_tiles(shown, together(alone), together(before))
    there = [c for c in own if c.gone is None]
    down = [c for c in there if known.year.truth([c], LAST - 1).still_down]
    customers, hit = {c.customer for c in there}, {c.customer for c in down}
    answer = text(shown.get_element_by_id("answer"))
    if down:
        assert answer.startswith(f"{len(hit)} of {len(customers)} customers ({percent(len(hit) / len(customers))})")
        assert f"with {len(down)} of {len(there)} connections" in answer
    else:
        assert f"All {len(there)} connections of {len(customers)} customers work" in answer
    told = [t.text.split(": ", 1)[1] for t in shown.xpath("//svg[@class='stacked']//title")]
    days = [
        [known.year.truth([c], LAST - n * DAY, LAST - (n - 1) * DAY).incidents for c in own] for n in range(90, 0, -1)
    ]
    assert [int(re.match(r"\d+", one)[0]) if one != "none" else 0 for one in told] == list(map(sum, days))  # type: ignore[index]


def together(truths: list[Truth]) -> Truth:
    """Of a fleet: every integration counts with its own time."""
    return Truth(
        seen=sum(t.seen for t in truths),
        down=sum(t.down for t in truths),
        by_cause={cause: sum(t.by_cause[cause] for t in truths) for cause in CAUSES.values()},
        incidents=sum(t.incidents for t in truths),
        still_down=sum(t.still_down for t in truths),
        detecting=[m for t in truths for m in t.detecting],
        acknowledging=[m for t in truths for m in t.acknowledging],
        repairing=[m for t in truths for m in t.repairing],
    )


async def test_the_page_of_success(known: Known) -> None:
    """Four values, and behind each, page by page, everything that it was computed from."""
    expected = expected_lists(known, LAST - 30 * DAY)
    shown = await page(known, "/success")
    for measure in ("detected_within_1h", "resolved_before_customer_noticed"):
        good, of = sum(expected[measure].values()), len(expected[measure])
        tile = text(shown.get_element_by_id(f"measure-{measure}"))
        assert f"{percent(good / of)} " in tile
        assert f"{good:,} of {of:,} incidents" in tile
    truths = [known.year.truth([c], LAST - 30 * DAY) for c in known.year.connections]
    seen, down = sum(t.seen for t in truths), sum(t.down for t in truths)
    assert f"{seen - down:,} of {seen:,} minutes" in text(shown.get_element_by_id("measure-uptime"))
    assert f"{len(expected['fewer_tickets'])} tickets" in text(shown.get_element_by_id("measure-fewer_tickets"))
    for measure, listed in expected.items():
        path, rows = f"/success?measure={measure}", []
        while path:
            shown = await page(known, path)
            rows += shown.xpath("//section[@aria-labelledby='behind']//tbody/tr")
            path = next(iter(shown.xpath("//a[@id='behind-next-page']/@href")), "").removesuffix("#behind")
        assert len(rows) == len(listed)
        assert sum(text(row.find("td")) == "for it" for row in rows) == sum(listed.values())
        if measure in {"detected_within_1h", "resolved_before_customer_noticed"}:
            assert {row.xpath(".//a/@href")[0].rpartition("/")[2] for row in rows} == {str(id_) for id_ in listed}
