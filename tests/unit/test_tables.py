"""CSV that a spreadsheet shows and never runs."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starter.tables import to_csv


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " =", "＝", "＠"])
def test_no_text_becomes_a_formula(start: str) -> None:
    """Whatever it begins with, it is a text, and can be read again behind the apostrophe."""
    assert read(to_csv([{"name": f"{start}cmd|' /C calc'!A0"}], "name")) == [["name"], [f"'{start}cmd|' /C calc'!A0"]]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_every_text_is_one_cell(text: str) -> None:
    """Quotes, commas and line breaks too."""
    header, row = read(to_csv([{"a": text, "b": 1}], "a", "b"))
    assert header == ["a", "b"]
    assert row[0].removeprefix("'") == text.removeprefix("'")
    assert row[1] == "1"


def test_values_keep_their_meaning() -> None:
    """Numbers stay numbers, also negative ones; times are UTC; nothing is nothing."""
    noon = datetime(2026, 11, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    row = {"a": -10, "b": 0.5, "c": None, "d": True, "e": noon}
    assert read(to_csv([row], *row))[1] == ["-10", "0.5", "", "true", "2026-11-01T12:00:00Z"]


def test_without_rows_there_is_a_header() -> None:
    assert to_csv([], "a", "b") == "a,b\r\n"
