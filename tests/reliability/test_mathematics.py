"""Reliability against a count of single minutes, written without any interval (US-4)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import example, given, settings

from workflows.contracts import Kind, Resolution
from workflows.domain.intervals import Span
from workflows.domain.reliability import (
    Cause,
    Figures,
    History,
    Incident,
    Mean,
    Trend,
    added,
    before,
    cause_of,
    figures,
    times,
    trend,
)

START = datetime(2026, 3, 28, 22, tzinfo=UTC)  # the clocks of Europe change in this night; ours must not notice
MINUTE = timedelta(minutes=1)
SINCE, UNTIL = 60, 150
LAST = 200

BLAMED = {
    ("token_expired", "customer_user"): "customer",
    ("policy_blocked", "customer_admin"): "customer",
    ("app_misconfigured", "our_engineering"): "us",
    ("provider_outage", "nobody (retry)"): "provider",
    ("endpoint_unreachable", "nobody (retry)"): "unknown",
    ("clock_skew", "provider"): "provider",
    ("unknown", "our_engineering"): "unknown",
    ("of_a_later_version", "somebody"): "unknown",
}


def at(minute: int | None) -> datetime | None:
    return None if minute is None else START + minute * MINUTE


@st.composite
def raw_incidents(draw: st.DrawFn) -> dict[str, Any]:
    """Minutes, in an order that can happen: opened <= detected, worsened <= recovered <= closed."""
    opened = draw(st.integers(0, LAST))
    later = st.integers(0, 60)
    detected = opened + draw(later)
    degraded = draw(st.booleans())
    worsened = detected + draw(later) if degraded and draw(st.booleans()) else None
    begun = max(detected, worsened or 0)
    recovered = begun + draw(later) if draw(st.booleans()) else None
    closed = max(begun, recovered or 0) + draw(later) if draw(st.booleans()) else None
    category, who = draw(st.sampled_from(sorted(BLAMED)))
    return {
        "kind": "degraded" if degraded and worsened is None else "disconnected",
        "opened": opened,
        "detected": detected,
        "worsened": worsened,
        "acknowledged": draw(st.none() | st.integers(opened, opened + 90)),
        "recovered": recovered,
        "closed": closed,
        "resolution": draw(st.sampled_from(list(Resolution))) if closed is not None else None,
        "category": category,
        "who": who,
    }


@st.composite
def raw_histories(draw: st.DrawFn) -> dict[str, Any]:
    created = draw(st.integers(0, LAST))
    some = st.lists(st.tuples(st.integers(0, LAST), st.integers(0, 40)), max_size=3)
    return {
        "created": created,
        "ended": draw(st.none() | st.integers(created, LAST)),
        "incidents": draw(st.lists(raw_incidents(), max_size=4)),
        "uncounted": [(begin, begin + length) for begin, length in draw(some)],
    }


def history(number: int, raw: dict[str, Any]) -> History:
    incidents = [
        Incident(
            id=UUID(int=number * 100 + i),
            kind=Kind(one["kind"]),
            category=one["category"],
            who_fixes=one["who"],
            opened_at=START + one["opened"] * MINUTE,
            detected_at=START + one["detected"] * MINUTE,
            worsened_at=at(one["worsened"]),
            acknowledged_at=at(one["acknowledged"]),
            recovered_at=at(one["recovered"]),
            closed_at=at(one["closed"]),
            resolution=one["resolution"],
        )
        for i, one in enumerate(raw["incidents"])
    ]
    return History(
        integration=UUID(int=number),
        created_at=START + raw["created"] * MINUTE,
        ended_at=at(raw["ended"]),
        incidents=tuple(incidents),
        uncounted=tuple(Span(START + b * MINUTE, START + e * MINUTE) for b, e in raw["uncounted"]),
    )


def counted(one: dict[str, Any]) -> bool:
    return one["kind"] == "disconnected" and one["resolution"] not in {"not_confirmed", "false_alarm"}


def is_observed(raw: dict[str, Any], minute: int) -> bool:
    exists = raw["created"] <= minute and (raw["ended"] is None or minute < raw["ended"])
    return exists and not any(begin <= minute < end for begin, end in raw["uncounted"])


def is_down(one: dict[str, Any], minute: int) -> bool:
    """Down from the failure, or from when it got worse, until it worked, or else until somebody closed it."""
    if not counted(one) or minute < (one["opened"] if one["worsened"] is None else one["worsened"]):
        return False
    if one["recovered"] is not None:
        return minute < one["recovered"]
    return one["closed"] is None or minute < one["closed"]


def count(raws: list[dict[str, Any]], since: int = SINCE, until: int = UNTIL) -> dict[str, Any]:
    """What `figures` computes, minute by minute."""
    seen = down = 0
    causes: Counter[str] = Counter()
    for minute in range(since, until):
        live = [raw for raw in raws if is_observed(raw, minute)]
        broken = [one for raw in live for one in raw["incidents"] if is_down(one, minute)]
        seen += bool(live)
        down += bool(broken)
        causes.update({BLAMED[one["category"], one["who"]] for one in broken})
    began = [
        (one, one["opened"] if one["worsened"] is None else one["worsened"]) for raw in raws for one in raw["incidents"]
    ]
    begun = [(one, first) for one, first in began if counted(one) and first in range(since, until)]
    alive = [raw for raw in raws if raw["ended"] is None or raw["ended"] > until]
    return {
        "observed": seen,
        "down": down,
        "by_cause": {cause: causes[cause] for cause in Cause},
        "incidents": len(begun),
        "still_down": sum(
            any(is_down(one, until - 1) and is_down(one, until) for one in raw["incidents"]) for raw in alive
        ),
        "detecting": [max(one["detected"] - first, 0) for one, first in begun],
        "acknowledging": [
            max(one["acknowledged"] - max(one["detected"], first), 0)
            for one, first in begun
            if one["acknowledged"] is not None
        ],
        "repairing": [
            (one["closed"] if one["recovered"] is None else one["recovered"]) - first
            for one, first in begun
            if one["resolution"] in {"verified", "reported"}
        ],
    }


def mean(minutes: list[int]) -> Mean:
    return Mean(sum(minutes) * MINUTE, len(minutes))


def assert_equal(found: Figures, known: dict[str, Any]) -> None:
    assert found.observed == known["observed"] * MINUTE
    assert found.down == known["down"] * MINUTE
    assert found.by_cause == {cause: n * MINUTE for cause, n in known["by_cause"].items()}
    assert (found.incidents, found.still_down) == (known["incidents"], known["still_down"])
    assert found.detecting == mean(known["detecting"])
    assert found.acknowledging == mean(known["acknowledging"])
    assert found.repairing == mean(known["repairing"])


WINDOW = Span(START + SINCE * MINUTE, START + UNTIL * MINUTE)


@given(st.lists(raw_histories(), max_size=4))
@settings(deadline=None, max_examples=300)
def test_every_figure_is_that_of_a_count_of_single_minutes(raws: list[dict[str, Any]]) -> None:
    """Of one integration, and of a customer with several: at the edges, open, young, removed, overlapping."""
    histories = [history(n, raw) for n, raw in enumerate(raws)]
    assert_equal(figures(histories, WINDOW), count(raws))
    for one, raw in zip(histories, raws, strict=True):
        assert_equal(figures([one], WINDOW), count([raw]))


@given(st.lists(raw_histories(), max_size=3), st.lists(st.integers(SINCE, UNTIL), max_size=5))
@settings(deadline=None)
def test_windows_side_by_side_add_up(raws: list[dict[str, Any]], cuts: list[int]) -> None:
    """Wherever the time is cut, nothing is lost and nothing counted twice."""
    histories = [history(n, raw) for n, raw in enumerate(raws)]
    whole = figures(histories, WINDOW)
    edges = sorted({SINCE, *cuts, UNTIL})
    parts = [figures(histories, Span(START + a * MINUTE, START + b * MINUTE)) for a, b in pairwise(edges)]
    together = added(parts)
    assert (together.observed, together.down, together.by_cause) == (whole.observed, whole.down, whole.by_cause)
    assert (together.incidents, together.detecting) == (whole.incidents, whole.detecting)
    assert (together.acknowledging, together.repairing) == (whole.acknowledging, whole.repairing)
    days = [times(histories, WINDOW).within(Span(START + a * MINUTE, START + b * MINUTE)) for a, b in pairwise(edges)]
    assert [day.uptime for day in days] == [part.uptime for part in parts]


@given(st.lists(raw_histories(), max_size=4))
@settings(deadline=None)
@example([])
def test_what_is_shown_follows_from_what_is_counted(raws: list[dict[str, Any]]) -> None:
    """Uptime is a share, or unknown; MTBF is the working time for each failure; a fleet is its integrations."""
    histories = [history(n, raw) for n, raw in enumerate(raws)]
    found, known = figures(histories, WINDOW), count(raws)
    expected = 1 - known["down"] / known["observed"] if known["observed"] else None
    assert found.uptime == (None if expected is None else (known["observed"] - known["down"]) / known["observed"])
    works = (known["observed"] - known["down"]) * MINUTE
    assert found.mtbf == (works / known["incidents"] if known["incidents"] else None)
    alone = [count([raw]) for raw in raws]
    fleet = added([figures([one], WINDOW) for one in histories])
    assert fleet.observed == sum(one["observed"] for one in alone) * MINUTE
    assert fleet.down == sum(one["down"] for one in alone) * MINUTE
    assert fleet.still_down == sum(one["still_down"] for one in alone)


@given(st.lists(raw_histories(), max_size=3))
@settings(deadline=None)
def test_the_trend_compares_with_the_window_before(raws: list[dict[str, Any]]) -> None:
    histories = [history(n, raw) for n, raw in enumerate(raws)]
    now, past = count(raws), count(raws, SINCE - (UNTIL - SINCE), SINCE)
    found = trend(figures(histories, WINDOW), figures(histories, before(WINDOW)))
    if not now["observed"] or not past["observed"]:
        assert found is Trend.UNKNOWN
        return
    # As whole numbers, so that no rounding decides: shares of down time, crosswise.
    difference = now["down"] * past["observed"] - past["down"] * now["observed"] or now["incidents"] - past["incidents"]
    assert found is (Trend.WORSE if difference > 0 else Trend.BETTER if difference < 0 else Trend.SAME)


def test_whom_a_disconnection_is_blamed_on() -> None:
    for (category, who), blamed in BLAMED.items():
        assert cause_of(category, who) == blamed
