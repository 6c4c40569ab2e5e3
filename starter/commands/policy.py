"""Commands about the policy: what another one would have made of the past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cyclopts import App

from activities.db.backtest import BacktestStore
from activities.db.pool import create_pool
from activities.playbooks import load_catalogue
from activities.policy import load_policy
from activities.settings import Settings
from starter.commands.output import CommandError, console, plain, print_json, print_rows
from workflows.domain.backtest import BackTest, Comparison, Difference, Totals
from workflows.domain.durations import format_duration, how_long, parse_duration

policy = App(name="policy", help="The numbers and people that your company chooses.")

LIMITS = (
    "People and providers are not predicted: a repair comes when it really came, whoever is told, and a decision as"
    " long after the first notice as it really came. ARR, contacts and what is critical are as of now; mails arrive."
)
_MEASURES: dict[str, Callable[[Totals], object]] = {
    "incidents": lambda t: t.incidents,
    "  critical / high / medium / low": lambda t: " / ".join(str(count) for count in t.severities.values()),
    "alerts to CSMs": lambda t: t.alerts,
    "escalations": lambda t: t.escalations,
    "pages to engineering": lambda t: t.pages,
    "mails to customers": lambda t: t.mails,
    "  first mails": lambda t: t.first_mails,
    "  reminders": lambda t: t.reminders,
    "  all-clears": lambda t: t.all_clears,
    "  sent by hand": lambda t: t.by_hand,
    "detection, median": lambda t: t.detection,
    "detection, slowest": lambda t: t.slowest_detection,
    "first notice, median": lambda t: t.notice,
    "first notice, slowest": lambda t: t.slowest_notice,
}


def register(app: App) -> None:
    """Adds these commands."""
    app.command(policy)


@policy.command(name="test")
async def play(file: Path, *, window: str = "30d", json: bool = False) -> None:
    """Play the past through a changed policy, and say what would have been different. Changes nothing.

    Parameters
    ----------
    file
        Read over the shipped policy as RELINK_POLICY_FILE is.
    window
        So much of the past, such as 30d: the incidents that were detected in it.
    """
    settings = Settings.load("database_url")
    current, changed, span = load_policy(settings.policy_file), load_policy(file), _span(window)
    until = datetime.now(UTC)
    async with create_pool(str(settings.database_url), size=2) as pool:
        played = BackTest(current, changed, since=until - span, until=until)
        async for customer in BacktestStore(pool, load_catalogue()).customers(until - span):
            played.add(customer)
    found = played.result()
    if json:
        print_json({"window": format_duration(span), **_document(found), "not_predicted": LIMITS})
    else:
        _print(found, window)


def _span(window: str) -> timedelta:
    try:
        span = parse_duration(window)
    except ValueError as error:
        raise CommandError(f"--window: {error}") from None
    if not span:
        raise CommandError("--window: more than nothing, such as 30d")
    return span


def _print(found: Comparison, window: str) -> None:
    console.print(f"[bold]{found.summary}[/bold] in the last {window}\n")
    print_rows(_rows(found), "measure", "happened", "policy in force", "this file")
    if not found.is_faithful:
        console.print(
            "\nWhat happened differs from what the policy in force would do: it was another one then, messages bounced,"
            " or the service was away. Compare the last two columns."
        )
    lists = {"Missed, or told an hour later or more": found.missed, "Not told": found.fewer, "Added": found.added}
    for what, differences in lists.items():
        if differences:
            console.print(f"\n[bold]{what}[/bold]")
            print_rows(map(_row, differences), "since", "customer", "integration", "severity", "lasted", "reason")
    console.print(f"\n{LIMITS}", markup=False)


def _rows(found: Comparison) -> Iterator[dict[str, object]]:
    columns = {"happened": found.happened, "policy in force": found.current, "this file": found.changed}
    for measure, of in _MEASURES.items():
        yield {"measure": measure, **{name: _plain(of(column)) for name, column in columns.items()}}


def _row(difference: Difference) -> dict[str, object]:
    return {
        "since": plain(difference.opened_at),
        "customer": difference.customer,
        "integration": difference.integration,
        "severity": difference.severity,
        "lasted": how_long(difference.lasted),
        "reason": difference.reason,
    }


def _plain(value: object) -> str:
    return how_long(value) if isinstance(value, timedelta) else "-" if value is None else str(value)


def _document(found: Comparison) -> dict[str, Any]:
    """Durations in seconds, as everywhere in the API's answers."""
    return {
        "summary": found.summary,
        "is_faithful": found.is_faithful,
        **{name: _totals(getattr(found, name)) for name in ("happened", "current", "changed")},
        **{name: [_listed(d) for d in getattr(found, name)] for name in ("missed", "fewer", "added")},
    }


def _totals(of: Totals) -> dict[str, Any]:
    return {"mails": of.mails} | {name: _seconds(value) for name, value in vars(of).items()}


def _listed(difference: Difference) -> dict[str, Any]:
    return {name: _seconds(value) for name, value in vars(difference).items()}


def _seconds(value: object) -> object:
    return round(value.total_seconds(), 3) if isinstance(value, timedelta) else value
