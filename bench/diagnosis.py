"""How often the diagnosis is right: a part of `make bench`, and the tests' own figures.

The failures, in `tests/data`:

* `provider_failures`: real ones from issue threads, documentation and standards, whose labels define the conventions
* `documented_failures`: written from documentation, for codes and libraries that the first lacks
* `collected_failures`, `blind_failures`: from threads and documentation, labelled before the rules were run on them
* `catalogue_failures`: from the providers' error catalogues and in free words, the hardest that we could think of
* `worded_failures`: texts of libraries and gateways, codes of providers with and without a playbook, and free words
* `blind_failures_2`, `_3`, `_4`: labelled, and run once before anybody looked; the last two by another author

What they taught is in the rules since, so only the first runs tell what to expect of the next failure. Right were then
(category, state, who, in %):

    collected_failures     85    87    86
    blind_failures         86    91    88
    blind_failures_2       90.4  90.4  94.1  one false alarm
    blind_failures_3       95.0  97.5  96.7
    blind_failures_4       92.5  92.5  97.5

Half of the misses in the last are two labels between which people differ, such as whether a refused connection still is
a passing one. In words that no library writes (the hardest parts of `worded_failures`), it was 73 to 85.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from activities.playbooks import load_catalogue
from workflows.domain.diagnosis import Catalogue, ConnectionState, Failure, diagnose

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
ALL = "all"
SETS = (
    "provider_failures", "documented_failures", "collected_failures", "blind_failures", "catalogue_failures",
    "worded_failures", "blind_failures_2", "blind_failures_3", "blind_failures_4",
)  # fmt: skip
Row = dict[str, Any]


@dataclass
class Score:
    """How many diagnoses were right, and how many called a transient failure disconnected."""

    failures: int = 0
    category: int = 0
    connection_state: int = 0
    who_fixes: int = 0
    self_serve_reconnect: int = 0
    false_alarms: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Score)))

    def share(self, of: str) -> float:
        return float(getattr(self, of)) / self.failures


def failures(name: str) -> list[Row]:
    """The rows of `tests/data/<name>.json`."""
    rows: list[Row] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return rows


def score(row: Row, catalogue: Catalogue) -> Score:
    """One row, judged."""
    found = diagnose(Failure.model_validate({name: row[name] for name in Failure.model_fields}), catalogue)
    alarm = found.connection_state is ConnectionState.DISCONNECTED and row["connection_state"] == "transient"
    return Score(
        failures=1,
        category=found.category == row["category"],
        connection_state=found.connection_state == row["connection_state"],
        who_fixes=found.who_fixes == row["who_fixes"],
        self_serve_reconnect=found.self_serve_reconnect == row["self_serve_reconnect"],
        false_alarms=alarm,
    )


def by_provider(rows: list[Row], catalogue_for: Callable[[str], Catalogue]) -> dict[str, Score]:
    """Scores by provider, each with the catalogue that is to judge it; and "all"."""
    scores: dict[str, Score] = {}
    for row in rows:
        judged = score(row, catalogue_for(row["provider"]))
        for key in (row["provider"], ALL):
            scores[key] = scores.get(key, Score()) + judged
    return scores


def report() -> str:
    """The table of all figures: with every playbook, and with each provider's own left out in turn."""
    catalogue = load_catalogue()
    lines = [
        "Diagnoses that are right; in brackets: without the provider's own playbook",
        f"{'':22}{'n':>5}{'category':>14}{'state':>14}{'who fixes':>14}{'reconnect':>14}  false alarms",
    ]
    for name in SETS:
        rows = failures(name)
        known = by_provider(rows, lambda _: catalogue)
        alone = by_provider(rows, catalogue.without)
        if name == "provider_failures":
            lines += [
                _line(provider, known[provider], alone[provider]) for provider in sorted(known) if provider != ALL
            ]
        lines += [_line(name, known[ALL], alone[ALL])]
    return "\n".join(lines) + "\n"


def _line(provider: str, known: Score, alone: Score) -> str:
    columns = ("category", "connection_state", "who_fixes", "self_serve_reconnect")
    shares = (f"{known.share(of):.1%} ({alone.share(of):.0%})" for of in columns)
    alarms = f"{known.false_alarms} ({alone.false_alarms})"
    return f"{provider[:21]:22}{known.failures:>5}" + "".join(f"{share:>14}" for share in shares) + f"{alarms:>14}"
