"""Reads customers and integrations from CSV, JSON or JSON lines, each record as the API's PUT takes it.

A JSON record is the PUT's body with the names that the API has in its path (`external_id`; or `customer_external_id`,
`integration_type`, `integration_id`) beside it. CSV has the same names as columns, dotted where they nest: `csm.name`,
`csm.manager.email`, `technical_contacts.0.email`; an empty cell is an absent field; a monitor is JSON in its cell.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from activities.customers import CustomerWrite, IntegrationWrite
from starter.api.problems import invalid

Body = TypeVar("Body", bound=BaseModel)


class ImportRefusedError(Exception):
    """The file can't be imported, and nothing of it was; the message lists every problem with its place."""


def nothing_imported(path: Path, problems: Iterable[str]) -> ImportRefusedError:
    """Each problem begins with its place."""
    return ImportRefusedError("\n".join([f"{path}: nothing was imported.", *problems]))


class _PlaceError(Exception):
    """What is wrong with the file at one place."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")


@dataclass(frozen=True)
class Record(Generic[Body]):
    """One record: what it is called, what is to be stored, and where in the file that was."""

    names: tuple[str, ...]
    body: Body
    place: str = field(compare=False)


def read_customers(path: Path) -> list[Record[CustomerWrite]]:
    """All customers of a file, validated. Raises ImportRefusedError."""
    return _validated(path, ("external_id",), CustomerWrite)


def read_integrations(path: Path) -> list[Record[IntegrationWrite]]:
    """All integrations of a file, validated. Raises ImportRefusedError."""
    return _validated(path, ("customer_external_id", "integration_type", "integration_id"), IntegrationWrite)


def _validated(path: Path, names: tuple[str, ...], model: type[Body]) -> list[Record[Body]]:
    records: dict[tuple[str, ...], Record[Body]] = {}
    problems: list[str] = []
    for place, fields in _read(path):
        wrong = [f"{name} is missing" for name in names if not isinstance(fields.get(name), str) or not fields[name]]
        try:
            body = model.model_validate({key: value for key, value in fields.items() if key not in names})
        except ValidationError as error:
            problems += [f"{place}: {said}" for said in (*wrong, *_said(error))]
            continue
        problems += [f"{place}: {said}" for said in wrong]
        key = tuple(str(fields.get(name)) for name in names)
        if key in records and not wrong:
            problems.append(f"{place}: {', '.join(key)} is there already, in {records[key].place}")
        records[key] = Record(key, body, place)
    if problems:
        raise nothing_imported(path, problems)
    if not records:
        raise ImportRefusedError(f"{path}: there is no record in this file.")
    return list(records.values())


def _said(error: ValidationError) -> Iterator[str]:
    """Every wrong field, with its column's name and in the words of the API."""
    for problem in invalid(error.errors()).errors:
        column = problem.field.replace("[", ".").replace("]", "")
        words = {
            "required": f"{column} is missing",
            "unknown field; see /docs": f"{column} is unknown; see `--help` for the names",
            "expected an object": f"{column} has parts: in CSV, columns such as {column}.name; in JSON, an object",
        }
        yield words.get(problem.message, f"{column}: {problem.message}")


def _read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        yield from _parse(path, path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ImportRefusedError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise ImportRefusedError(f"{path}: byte {error.start + 1} is not UTF-8: save the file as UTF-8.") from None
    except (OSError, _PlaceError) as error:
        raise nothing_imported(path, [str(error)]) from None


def _parse(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix.lower() == ".csv":
        yield from _rows(text)
    elif text.lstrip().startswith("["):
        for number, record in enumerate(_loads(text, "line {line}"), 1):
            yield f"record {number}", _object(record, f"record {number}")
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield f"line {number}", _object(_loads(line, f"line {number}"), f"line {number}")


def _loads(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{place.format(line=error.lineno)}, column {error.colno}"
        raise _PlaceError(where, f"this is no JSON: {error.msg[:1].lower()}{error.msg[1:]}") from None


def _object(record: object, place: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise _PlaceError(place, 'expected an object, such as {"external_id": "techcorp", …}')
    return record


def _rows(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a CSV whose first line names the columns, separated by commas, semicolons or tabs as that line is."""
    header = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    try:
        for row in rows:
            place = f"line {rows.line_num}"
            if None in row:
                raise _PlaceError(place, f"more cells than the {len(rows.fieldnames or ())} columns of the first line")
            yield place, _nested(row, place)
    except csv.Error as error:
        unclosed = "unexpected end" in str(error)
        said = "a quotation mark is not closed" if unclosed else f"this is no CSV: {error}"
        raise _PlaceError(f"line {rows.line_num + unclosed}", said) from None


def _nested(row: dict[str, Any], place: str) -> dict[str, Any]:
    """`{"csm.name": "Dana"}` as `{"csm": {"name": "Dana"}}`; numbered parts make lists."""
    whole: dict[str, Any] = {}
    for column, cell in row.items():
        if cell in (None, ""):
            continue
        *path, last = column.strip().split(".")
        inner = whole
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise _PlaceError("line 1", f"the columns {part} and {column} contradict each other")
        inner[last] = _loads(cell, f"{place}, monitor") if column == "monitor" else cell
    return {key: _listed(value) for key, value in whole.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _listed(inner) for key, inner in value.items()}
    return [items[key] for key in sorted(items, key=int)] if items and all(key.isdigit() for key in items) else items
