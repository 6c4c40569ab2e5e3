"""What `relink diagnose` does, as text in and text out; the command line reads and prints. Needs no settings."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import ValidationError

from activities.playbooks import load_catalogue
from workflows.domain.diagnosis import Diagnosis, Failure, diagnose

DEFAULT_PRODUCT = "Relink"  # as RELINK_PRODUCT_NAME
_FIELDS = {
    "category": True,
    "connection_state": True,
    "who_fixes": True,
    "self_serve_reconnect": True,
    "confidence": True,
    "explanation": True,
    "steps": True,
}
_WIDTH = 100


class Answer(NamedTuple):
    """What to print, and the exit code (contract: 0 done, 2 wrong usage)."""

    text: str
    exit_code: int


def diagnose_batch(lines: Iterable[str], product_name: str = DEFAULT_PRODUCT) -> Iterator[tuple[str, bool]]:
    """One JSON line for each line, in order, and whether it could be read; if any could not, the exit code is 1.

    A line that is not a failure gives `{"error": …}` in its place, which names the line and the field.
    """
    catalogue = load_catalogue()
    for number, line in enumerate(lines, start=1):
        try:
            failure = Failure.model_validate_json(line.strip().lstrip("\ufeff"))
        except ValidationError as error:
            yield json.dumps({"error": f"line {number}: {_wrong(error)}"}), False
        else:
            yield _as_json(diagnose(failure, catalogue).worded_for(product_name)), True


def diagnose_one(
    *,
    provider: str | None = None,
    surface: str | None = None,
    http_status: int | None = None,
    error_code: str | None = None,
    error_description: str | None = None,
    body: str | None = None,
    as_json: bool = False,
    product_name: str = DEFAULT_PRODUCT,
) -> Answer:
    """The diagnosis of one failure that was given by options, for people or as the JSON of a batch's line."""
    given = {
        "provider": provider,
        "surface": surface,
        "http_status": http_status,
        "error_code": error_code,
        "error_description": error_description,
        "body": body,
    }
    if not any(value is not None for value in given.values()):
        return Answer("say what failed: at least one of " + ", ".join(given), 2)
    try:
        failure = Failure.model_validate(given)
    except ValidationError as error:
        return Answer(_wrong(error), 2)
    diagnosis = diagnose(failure, load_catalogue()).worded_for(product_name)
    return Answer(_as_json(diagnosis) if as_json else _readable(diagnosis), 0)


def _as_json(diagnosis: Diagnosis) -> str:
    return diagnosis.model_dump_json(include=_FIELDS)


def _wrong(error: ValidationError) -> str:
    """The field and what is wrong with it, without repeating what was given: it may be long or secret."""
    return "; ".join(
        f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}" if wrong["loc"] else wrong["msg"]
        for wrong in error.errors(include_url=False, include_input=False)
    )


def _readable(diagnosis: Diagnosis) -> str:
    verdict = (
        diagnosis.category,
        diagnosis.connection_state,
        f"to be fixed by {diagnosis.who_fixes}",
        "reconnecting helps" if diagnosis.self_serve_reconnect else "reconnecting does not help",
        f"confidence {diagnosis.confidence:.0%}",
    )
    return "\n".join(
        [
            f"{diagnosis.provider_name}: {diagnosis.reason}",
            " · ".join(verdict),
            "",
            textwrap.fill(diagnosis.explanation, _WIDTH),
            "",
            "Impact:",
            *_listed(diagnosis.impact, "- "),
            "",
            "Troubleshooting steps:",
            *_listed(diagnosis.steps),
            "",
            "What the customer is told:",
            textwrap.fill(diagnosis.customer_reason, _WIDTH),
            *_listed(diagnosis.customer_steps),
        ]
    )


def _listed(lines: Iterable[str], bullet: str = "") -> list[str]:
    shown = []
    for number, line in enumerate(lines, start=1):
        mark = bullet or f"{number}. "
        shown.append(textwrap.fill(line, _WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark)))
    return shown
