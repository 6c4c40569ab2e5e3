"""What every table has: links that change one thing of its address, and its rows as a CSV file."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import StreamingResponse

from starter import tables

Row: TypeAlias = Mapping[str, Any]


def changed(request: Request, base: str, path: str | None = None, **changes: object) -> str:
    """This address with these parameters; None takes one away, and whatever changes begins at the first page."""
    changes = {"cursor": None} | changes
    kept = [(name, value) for name, value in request.query_params.multi_items() if value and name not in changes]
    query = urlencode(kept + [(name, str(value)) for name, value in changes.items() if value is not None])
    address = base + (path or request.url.path)
    return f"{address}?{query}" if query else address


def csv_file(name: str, rows: AsyncIterable[Row], *columns: str) -> StreamingResponse:
    """A download of these columns, written while it is read."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}-{datetime.now(UTC):%Y-%m-%d}.csv"'}
    return StreamingResponse(_lines(rows, *columns), media_type=tables.MEDIA_TYPE, headers=headers)


async def _lines(rows: AsyncIterable[Row], *columns: str) -> AsyncIterator[str]:
    yield tables.line(columns)
    async for row in rows:
        yield tables.line(row[column] for column in columns)


async def all_pages(
    read: Callable[[str | None], Awaitable[tuple[Sequence[Row], str | None]]], flat: Callable[[Row], Row] = dict
) -> AsyncIterator[Row]:
    """The rows of a whole list, each as `flat` makes it; `read` gives one page, and the cursor of the next."""
    cursor = None
    while True:
        rows, cursor = await read(cursor)
        for row in rows:
            yield flat(row)
        if cursor is None:
            return


async def all_rows(rows: Iterable[Row]) -> AsyncIterator[Row]:
    """Rows that are there already."""
    for row in rows:
        yield row
