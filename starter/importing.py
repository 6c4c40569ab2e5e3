"""Reads customers and integrations from CSV, JSON or JSON lines, each record as the API's PUT takes it.

A JSON record is the PUT's body with the names that the API has in its path (`external_id`; or `customer_external_id`,
`integration_type`, `integration_id`) beside it. CSV has the same names as columns, dotted where they nest: `csm.name`,
`csm.manager.email`, `technical_contacts.0.email`; an empty cell is an absent field; a monitor is JSON in its cell.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from activities.customers import CustomerWrite, IntegrationWrite

Body = TypeVar("Body", bound=BaseModel)


class ImportRefusedError(Exception):
    """The file can't be imported, and nothing of it was; the message lists every problem with its place."""


@dataclass(frozen=True)
class Record(Generic[Body]):
    """One record: the names of its place, and what is to be stored there."""

    names: tuple[str, ...]
    body: Body


def read_customers(path: Path) -> list[Record[CustomerWrite]]:
    """All customers of a file, validated. Raises ImportRefusedError."""
    return _validated(path, ("external_id",), CustomerWrite)


def read_integrations(path: Path) -> list[Record[IntegrationWrite]]:
    """All integrations of a file, validated. Raises ImportRefusedError."""
    return _validated(path, ("customer_external_id", "integration_type", "integration_id"), IntegrationWrite)


def _validated(path: Path, names: tuple[str, ...], model: type[Body]) -> list[Record[Body]]:
    records: list[Record[Body]] = []
    problems: list[str] = []
    for place, fields in _read(path):
        missing = [name for name in names if not isinstance(fields.get(name), str) or not fields[name]]
        problems += [f"{place}: {name}: is missing" for name in missing]
        try:
            body = model.model_validate({key: value for key, value in fields.items() if key not in names})
        except ValidationError as error:
            problems += [f"{place}: {'.'.join(map(str, e['loc'])) or 'record'}: {e['msg']}" for e in error.errors()]
            continue
        if not missing:
            records.append(Record(tuple(fields[name] for name in names), body))
    if problems:
        raise ImportRefusedError("\n".join([f"{path}: nothing was imported.", *problems]))
    return records


def _read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        yield from _parse(path, text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
        raise ImportRefusedError(f"{path}: {error}") from None


def _parse(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix.lower() == ".csv":
        for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
            yield f"line {number}", _nested(row)
    elif text.lstrip().startswith("["):
        for number, record in enumerate(json.loads(text), 1):
            yield f"record {number}", _object(record, f"record {number}")
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield f"line {number}", _object(json.loads(line), f"line {number}")


def _object(record: object, place: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ImportRefusedError(f"{place}: expected an object")
    return record


def _nested(row: dict[str, Any]) -> dict[str, Any]:
    """`{"csm.name": "Dana"}` as `{"csm": {"name": "Dana"}}`; numbered parts make lists."""
    whole: dict[str, Any] = {}
    for column, cell in row.items():
        if column is None or cell in (None, ""):
            continue
        *path, last = column.strip().split(".")
        inner = whole
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = json.loads(cell) if column == "monitor" else cell
    return {key: _listed(value) for key, value in whole.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _listed(inner) for key, inner in value.items()}
    return [items[key] for key in sorted(items, key=int)] if items and all(key.isdigit() for key in items) else items
