"""A year of 200 customers whose truth is known minute by minute: every figure that is shown equals it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import lxml.html
import pytest
import pytest_asyncio

from starter.commands.output import CommandError
from starter.commands.report import report
from starter.embedded.postgres import PostgresServer
from starter.reporting import percent
from tests.reliability.known import Known, known_year
from tests.reliability.year import DAY, LAST, Connection, Trouble, Truth, Year, knowing, settled, troubles
from workflows.domain.durations import parse_duration

CHRONIC_WINDOW, CHRONIC_INCIDENTS, CHRONIC_DOWN = 30 * DAY, 3, 0.01 * 30 * DAY


@pytest_asyncio.fixture(scope="module")
async def known(postgres_server: PostgresServer) -> AsyncIterator[Known]:
    async with known_year(postgres_server) as found:
        yield found


def minutes(window: str) -> int:
    return int(parse_duration(window).total_seconds()) // 60


def mean(values: list[int]) -> Any:
    return pytest.approx(sum(values) / len(values), abs=0.002) if values else None


def share(truth: Truth) -> float | None:
    return (truth.seen - truth.down) / truth.seen if truth.seen else None


def assert_true(shown: Mapping[str, Any], truth: Truth, before: Truth) -> None:
    """All figures of one answer."""
    assert shown["observed_minutes"] == truth.seen
    assert shown["minutes_down"] == truth.down
    assert shown["minutes_down_by_cause"] == truth.by_cause
    assert shown["uptime"] == share(truth)
    assert (shown["incidents"], shown["still_down"]) == (truth.incidents, truth.still_down)
    assert shown["mttd_minutes"] == mean(truth.detecting)
    assert shown["mtta_minutes"] == mean(truth.acknowledging)
    assert shown["mttr_minutes"] == mean(truth.repairing)
    between = (truth.seen - truth.down) / truth.incidents if truth.incidents else None
    assert shown["mtbf_minutes"] == (between and pytest.approx(between, abs=0.002))
    assert shown["before"] == {"uptime": share(before), "minutes_down": before.down, "incidents": before.incidents}
    assert shown["trend"] == expected_trend(truth, before)


def expected_trend(truth: Truth, before: Truth) -> str:
    if not truth.seen or not before.seen:
        return "unknown"
    difference = truth.down * before.seen - before.down * truth.seen or truth.incidents - before.incidents
    return "worse" if difference > 0 else "better" if difference < 0 else "same"


def is_chronic(year: Year, c: Connection) -> bool:
    lately = year.truth([c], LAST - CHRONIC_WINDOW)
    return c.gone is None and (lately.incidents >= CHRONIC_INCIDENTS or lately.down > CHRONIC_DOWN)


def existed(c: Connection, since: int) -> bool:
    return c.created < LAST and (c.gone is None or c.gone > since)


@pytest.mark.parametrize(("window", "every"), [("90d", 1), ("365d", 3), ("61m", 5)])
async def test_every_figure_of_every_customer_is_true(known: Known, window: str, every: int) -> None:
    """Of the customer, and of each of its integrations, those removed and those too young included."""
    since, seen = LAST - minutes(window), 0
    for name in known.year.customers[::every]:
        answer = await known.get(f"/v1/customers/{name}/reliability", window=window)
        own = known.year.of(name)
        before = since - minutes(window)
        assert_true(answer, known.year.truth(own, since), known.year.truth(own, before, since))
        shown = {known.rows.connections[UUID(one["integration"]["id"])].number: one for one in answer["integrations"]}
        assert shown.keys() == {c.number for c in own if existed(c, since)}
        for c in own:
            if c.number in shown:
                one = shown[c.number]
                assert_true(one, known.year.truth([c], since), known.year.truth([c], before, since))
                assert one["chronic"] == is_chronic(known.year, c)
                assert bool(one["suggestion"]) == bool(one["chronic_reason"]) == one["chronic"]
                seen += 1
        assert answer["chronic_integrations"] == sum(is_chronic(known.year, c) for c in own)
    assert seen > 400 / every


@pytest.mark.parametrize("window", ["30d", "365d"])
async def test_the_measures_of_success_are_true(known: Known, window: str) -> None:
    """Each numerator and denominator, and the ids behind them, all of them in the download."""
    since = LAST - minutes(window)
    answer = await known.get("/v1/metrics/success", window=window, limit=0)
    measures = {measure["name"]: measure for measure in answer["measures"]}
    for name, expected in expected_lists(known, since).items():
        rows = await behind(known, name, window)
        assert {row["id"]: row["good"] for row in rows} == {
            str(id_): str(good).lower() for id_, good in expected.items()
        }
        assert measures[name]["items_total"] == len(expected)
        if name in {"detected_within_1h", "resolved_before_customer_noticed"}:
            good, of = sum(expected.values()), len(expected)
            assert (measures[name]["numerator"], measures[name]["denominator"]) == (good, of)
            assert measures[name]["value"] == good / of
    truths = [known.year.truth([c], since) for c in known.year.connections]
    seen, down = sum(t.seen for t in truths), sum(t.down for t in truths)
    uptime = measures["uptime"]
    assert (uptime["numerator"], uptime["denominator"], uptime["value"]) == (seen - down, seen, (seen - down) / seen)
    assert uptime["met"] is ((seen - down) / seen >= 0.99)
    assert measures["fewer_tickets"]["numerator"] == len(expected_lists(known, since)["fewer_tickets"])


async def behind(known: Known, measure: str, window: str) -> list[dict[str, str]]:
    response = await known.api.http.get(
        "/v1/metrics/success", params={"window": window, "measure": measure, "format": "csv"}
    )
    return list(csv.DictReader(io.StringIO(response.text)))


def expected_lists(known: Known, since: int) -> dict[str, dict[UUID, bool]]:
    """What is behind each measure, and whether it is good."""
    real = {id_: t for id_, t in known.rows.incidents.items() if t.down_from is not None}
    uptimes = {id_: share(known.year.truth([c], since)) for id_, c in known.rows.connections.items()}
    return {
        "detected_within_1h": {
            id_: knowing(t) <= 60 for id_, t in real.items() if t.down_from is not None and t.down_from >= since
        },
        "resolved_before_customer_noticed": {
            id_: t.reported is None or (settled(t) and first(t.worked_again, t.reported) == t.worked_again)
            for id_, t in real.items()
            if (decided := decision(t)) is not None and since <= decided < LAST
        },
        "fewer_tickets": {event: False for event, minute in known.rows.tickets if minute >= since},
        "uptime": {id_: up >= 0.99 for id_, up in uptimes.items() if up is not None},
    }


def first(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def decision(t: Trouble) -> int | None:
    """When it was repaired, or noticed before it got so far that it was down."""
    decided = first(t.worked_again if settled(t) else None, t.reported)
    return None if decided is None or t.down_from is None else max(decided, t.down_from)


async def run(known: Known, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RELINK_DATABASE_URL", known.url)
        await report(**options)
    return capsys.readouterr().out


async def test_the_command_tells_the_same_as_the_api(
    known: Known, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """JSON and CSV of a customer, figure for figure; JSON of the fleet, of which the truth is known too."""
    for name in known.year.customers[:5]:
        told = json.loads(await run(known, capsys, customer=name, json=True, csv=tmp_path / "one.csv"))
        assert told == await known.get(f"/v1/customers/{name}/reliability")
        downloaded = await known.api.http.get(f"/v1/customers/{name}/reliability", params={"format": "csv"})
        assert (tmp_path / "one.csv").read_bytes() == downloaded.content
    fleet = json.loads(await run(known, capsys, window="90d", json=True))
    alone = [known.year.truth([c], LAST - 90 * DAY) for c in known.year.connections]
    assert fleet["observed_minutes"] == sum(t.seen for t in alone)
    assert fleet["minutes_down"] == sum(t.down for t in alone)
    assert fleet["incidents"] == sum(t.incidents for t in alone)
    assert fleet["mttr_minutes"] == mean([length for t in alone for length in t.repairing])
    assert len(fleet["customers"]) == len([n for n in known.year.customers if known_lately(known.year, n)])
    assert fleet["measures"] == (await known.get("/v1/metrics/success", window="90d"))["measures"]


def known_lately(year: Year, name: str) -> bool:
    return any(existed(c, LAST - 180 * DAY) for c in year.of(name))


async def test_the_report_to_attach_stands_alone_and_is_true(
    known: Known, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One file that loads nothing and runs nothing, with the figures of the API in words; on paper too."""
    name = max(known.year.customers, key=lambda n: sum(is_chronic(known.year, c) for c in known.year.of(n)))
    answer = await known.get(f"/v1/customers/{name}/reliability")
    for options in ({"customer": name}, {}):
        file = tmp_path / "report.html"
        assert str(file) in await run(known, capsys, html=file, **options)
        page = lxml.html.document_fromstring(file.read_text())
        assert not page.xpath("//script | //link | //img | //iframe | //@src | //@*[starts-with(name(), 'on')]/..")
        assert len(page.xpath("//h1")) == 1
        assert "@media print" in page.findtext(".//style", "")
        assert "prefers-color-scheme: dark" in page.findtext(".//style", "")
    await run(known, capsys, html=file, customer=name)
    page = lxml.html.document_fromstring(file.read_text())
    assert answer["customer"]["name"] in page.findtext(".//h1", "")
    shown = [row.findtext("td").strip() for row in page.xpath("//table[1]/tbody/tr")]
    assert shown == [percent(one["uptime"]) for one in answer["integrations"]]
    chronic = [text.strip() for text in page.xpath("//div[@class='chronic']/p/text()")]
    assert chronic == [one["chronic_reason"] for one in answer["integrations"] if one["chronic"]]
    assert len(page.xpath("(//svg)[1]//title")) == 90


async def test_the_report_on_the_terminal(known: Known, capsys: pytest.CaptureFixture[str]) -> None:
    """What is fragile and what should change; without a customer, the four measures and the least reliable."""
    name = max(known.year.customers, key=lambda n: sum(is_chronic(known.year, c) for c in known.year.of(n)))
    answer = await known.get(f"/v1/customers/{name}/reliability")
    out = await run(known, capsys, customer=name)
    assert answer["customer"]["name"] in out
    for one in answer["integrations"]:
        assert one["integration"]["display_name"] in out
        assert percent(one["uptime"]) in out
    assert "Chronic: " in out
    fleet = await run(known, capsys)
    assert "Resolved before the customer noticed" in fleet
    assert "the least reliable first" in fleet


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"customer": "nobody"}, "--customer: there is no customer 'nobody'"),
        ({"window": "soon"}, "--window: expected a duration"),
        ({"window": "0d"}, "--window: must be longer than nothing"),
        ({"html": Path("/nowhere/at/all.html")}, "/nowhere/at/all.html: can't be written"),
    ],
)
async def test_the_command_says_what_is_wrong(
    known: Known, capsys: pytest.CaptureFixture[str], options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(CommandError, match=re.escape(complaint)):
        await run(known, capsys, **options)


async def test_the_year_has_everything_in_it(known: Known) -> None:
    """A truth without the difficult cases would prove nothing."""
    lived = troubles(known.year.connections)
    assert {t.resolution for t in lived} >= {
        None,
        "verified",
        "reported",
        "not_confirmed",
        "false_alarm",
        "removed",
        "no_longer_used",
    }
    for case in (
        [t for t in lived if t.closed is None and t.worked_again is None and t.down_from is not None],
        [t for t in lived if t.worsened is not None],
        [t for t in lived if t.relapses],
        [t for t in lived if len(t.acknowledged) == 2],
        [t for t in lived if t.reported is not None and t.worked_again is not None and t.reported > t.worked_again],
        [c for c in known.year.connections if c.absences],
        [c for c in known.year.connections if c.gone is not None and not c.removed],
        [c for c in known.year.connections if c.troubles and c.created > c.troubles[0].opened],
        [c for c in known.year.connections if c.created > LAST - 90 * DAY],
        [name for name in known.year.customers if overlaps(known.year.of(name))],
    ):
        assert case
    assert 3 <= sum(is_chronic(known.year, c) for c in known.year.connections) <= 200


def overlaps(connections: Iterable[Connection]) -> bool:
    spans = sorted((begin, end) for c in connections for _, begin, end in c.outages)
    return any(later[0] < earlier[1] for earlier, later in pairwise(spans))
