"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain.durations import format_duration, how_long, parse_duration, words_for


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("30s", 30), ("10m", 600), ("4h", 14_400), ("3d", 259_200), ("90m", 5_400), ("007s", 7)],
)
def test_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "10",
        "m",
        "-5m",
        "5 m",
        "1.5h",
        "1h30m",
        "5M",
        "1w",
        "٣s",
        " 5m",
        "5m\n",
        "9" * 10 + "s",
        5,
        1.5,
        None,
        True,
        [],
    ],
)
def test_anything_else_is_refused_and_says_what_is_expected(wrong: object) -> None:
    with pytest.raises(ValueError, match='"30s", "10m", "4h" or "3d"'):
        parse_duration(wrong)


@given(st.integers(min_value=0, max_value=3650 * 86_400).map(lambda seconds: timedelta(seconds=seconds)))
def test_what_is_written_is_read_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("shortest", ["0s", "1s", "61s", "1m", "90m", "23h", "1d", "25h", "30d"])
def test_the_shortest_form_is_written(shortest: str) -> None:
    assert format_duration(parse_duration(shortest)) == shortest


@pytest.mark.parametrize("long", ["3651d", "999999999d", "999999999s"])
def test_what_would_end_beyond_the_calendar_is_refused(long: str) -> None:
    parse_duration("3650d")
    with pytest.raises(ValueError, match="at most ten years"):
        parse_duration(long)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3600, "1 h"), (3660, "1 h 1 min"), (86400, "1 day"), (86399, "1 day"),
     (2 * 86400 + 3 * 3600 + 59, "2 days 3 h"), (86400 + 3599, "1 day 1 h")],
)  # fmt: skip
def test_measured_times_in_words(seconds: float, words: str) -> None:
    assert how_long(timedelta(seconds=seconds)) == words


def test_windows_in_words() -> None:
    assert [words_for(timedelta(days=d)) for d in (30, 1)] == ["30 days", "1 day"]
    assert words_for(timedelta(hours=36)) == "36 hours"
