"""What commands print: for people on a terminal, or with --json one document on stdout in the API's shape."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pydantic_core
from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console(width=None if sys.stdout.isatty() else 200)


class CommandError(Exception):
    """The command can't do it; the message says why and what to do."""


def print_json(value: object) -> None:
    """One JSON document and a newline."""
    sys.stdout.write(pydantic_core.to_json(value, indent=2).decode() + "\n")


def print_rows(rows: Iterable[Mapping[str, Any]], *columns: str) -> None:
    """A table of these columns; says so when there are no rows."""
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=column in {"id", "at", "kind"}, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(row.get(column))) for column in columns))
    console.print(table if table.row_count else "Nothing to show.")


def print_facts(facts: Mapping[str, object]) -> None:
    """A name and a value a line; what is not known is left out."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
    for name, value in facts.items():
        if value not in (None, ""):
            table.add_row(Text(name, style="bold"), Text(plain(value)))
    console.print(table)


def plain(value: object) -> str:
    """A value as a person reads it; times in UTC."""
    if isinstance(value, dict):
        value = value.get("external_id") or value.get("integration_type")
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def complain(message: str) -> None:
    """To stderr, for a person who has to do something about it."""
    sys.stderr.write(f"relink: {message}\n")
