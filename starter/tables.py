"""Tables as CSV (RFC 4180) that can be opened in a spreadsheet without running what is in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection); an apostrophe makes it a text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def to_csv(rows: Iterable[Mapping[str, object]], *columns: str) -> str:
    """A header and one line a row; times in UTC as RFC 3339, nothing for None."""
    return "".join([line(columns), *(line(row[column] for column in columns) for row in rows)])


def line(cells: Iterable[object]) -> str:
    """One line of such a table, for those that are too long to be held at once."""
    out = io.StringIO()
    csv.writer(out).writerow(map(_cell, cells))
    return out.getvalue()


def _cell(value: object) -> object:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case None:
            return ""
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
