"""What every table has: links that change one thing of its address, and its rows as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import StreamingResponse

Row: TypeAlias = Mapping[str, Any]
Columns: TypeAlias = Mapping[str, Callable[[Row], object]]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def changed(request: Request, base: str, path: str | None = None, **changes: object) -> str:
    """This address with these parameters; None takes one away, and whatever changes begins at the first page."""
    changes = {"cursor": None} | changes
    kept = [(name, value) for name, value in request.query_params.multi_items() if value and name not in changes]
    query = urlencode(kept + [(name, str(value)) for name, value in changes.items() if value is not None])
    address = base + (path or request.url.path)
    return f"{address}?{query}" if query else address


def csv_file(name: str, columns: Columns, rows: AsyncIterator[Row]) -> StreamingResponse:
    """A download, written while it is read."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    headers = {"Content-Disposition": f'attachment; filename="{name}-{today}.csv"'}
    return StreamingResponse(_lines(columns, rows), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(columns: Columns, rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    yield _line(columns)
    async for row in rows:
        yield _line(_cell(read(row)) for read in columns.values())


def _line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _cell(value: object) -> object:
    """Spreadsheets run what begins like a formula: a name that does is made a text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
