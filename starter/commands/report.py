"""`relink report`: how reliable a customer's integrations were, or everybody's, on the terminal or as a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from cyclopts import App
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from activities.db.customers import CustomerStore, UnknownCustomerError
from activities.db.pool import Pool, create_pool
from activities.db.reliability import ReliabilityStore
from activities.policy import PolicySource
from activities.reliability import CustomerReport, FleetReport, Reliability, SuccessReport
from activities.rendering import Renderer
from activities.settings import Settings
from starter import tables
from starter.api import reliability as calls
from starter.api.reliability_models import customer_answer, fleet_answer, success_answer
from starter.api.reliability_tables import CUSTOMER_COLUMNS, INTEGRATION_COLUMNS, customer_rows, integration_rows
from starter.commands.output import CommandError, console, print_json
from starter.reporting import customer_facts, fleet_facts
from workflows.domain.durations import parse_duration

_MOST_CHRONIC = 10
_TONES = {"good": "green", "bad": "red"}


def register(app: App) -> None:
    """Adds this command."""
    app.command(report)


async def report(
    *,
    customer: str | None = None,
    window: str = "90d",
    json: bool = False,
    html: Path | None = None,
    csv: Path | None = None,
) -> None:
    """Say how reliable integrations were: uptime, whose fault it was, what is chronic and what should change.

    Parameters
    ----------
    customer
        External id of one customer; without it, all of them and the measures of success.
    window
        How long until now: 90d, 24h.
    html
        Write a page into this file that stands alone, to attach to a mail. With --customer it may go to them: what
        should change is advice for their CSM, and only on the terminal and the staff's pages.
    csv
        Write a table into this file: a customer's integrations, or all customers.
    """
    settings = Settings.load("database_url")
    try:
        length = parse_duration(window)
    except ValueError as error:
        raise CommandError(f"--window: {error}") from None
    if not length:
        raise CommandError("--window: must be longer than nothing")
    policy = PolicySource(settings.policy_file)
    async with create_pool(str(settings.database_url), size=2) as pool:
        found = await _report(pool, Reliability(ReliabilityStore(pool), lambda: policy.current), customer, length)
    if csv is not None:
        _write(csv, _table(found), quietly=json)
    if html is not None:
        renderer = Renderer(product_name=settings.product_name, public_url="", templates_dir=settings.templates_dir)
        _write(html, renderer.page("report.html", **_facts(found)), quietly=json)
    if json:
        print_json(_answer(found))
    elif html is None and csv is None:
        _show(_facts(found))


_Found = CustomerReport | tuple[FleetReport, SuccessReport]


async def _report(pool: Pool, reliability: Reliability, customer: str | None, window: timedelta) -> _Found:
    now = calls.now()
    if customer is None:
        return await reliability.customers(None, window, now), await reliability.success(window, now)
    try:
        known = await CustomerStore(pool).get(customer)
    except UnknownCustomerError:
        raise CommandError(f"--customer: there is no customer {customer!r}") from None
    return await reliability.customer(known["id"], customer, known["name"], window, now)


def _facts(found: _Found) -> dict[str, Any]:
    return fleet_facts(*found) if isinstance(found, tuple) else customer_facts(found)


def _answer(found: _Found) -> object:
    """In the API's shape; the measures of success beside the fleet."""
    if not isinstance(found, tuple):
        return customer_answer(found)
    fleet, success = found
    return {**fleet_answer(fleet).model_dump(), "measures": success_answer(success, 50).model_dump()["measures"]}


def _table(found: _Found) -> str:
    if isinstance(found, tuple):
        return tables.to_csv(customer_rows(fleet_answer(found[0]).customers), *CUSTOMER_COLUMNS)
    return tables.to_csv(integration_rows([customer_answer(found)]), *INTEGRATION_COLUMNS)


def _write(file: Path, content: str, *, quietly: bool) -> None:
    try:
        file.write_text(content, encoding="utf-8", newline="")
    except OSError as error:
        raise CommandError(f"{file}: can't be written ({error.strerror})") from None
    if not quietly:
        console.print(f"Wrote {file}.", markup=False, highlight=False)


def _show(facts: dict[str, Any]) -> None:
    console.print(Text(facts["title"], style="bold"))
    console.print(Text(f"{facts['length']}, from {facts['since']} to {facts['until']}\n", style="dim"))
    _print("", [(tile["label"], tile["value"], tile["note"]) for tile in facts["tiles"]])
    if facts["causes"]:
        causes = [(c["name"], c["down"], f"{c['share']} %") for c in facts["causes"]]
        _print("Time down, by who caused it", causes)
    if facts["measures"]:
        rows = [
            (m["name"], m["value"], f"target {m['target']}", _toned(m, "met"), m["counted"]) for m in facts["measures"]
        ]
        _print("Does it do what it is for?", rows)
    columns = ("uptime", "trend", "incidents", "down", "repair")
    if facts["customers"]:
        rows = [(c["name"], *_figures(c, columns), c["chronic"]) for c in facts["customers"][:20]]
        _print("Customers, the least reliable first", rows, "customer", *columns, "chronic")
    else:
        rows = [(i["name"], i["state"], *_figures(i, columns), i["fault"]) for i in facts["integrations"]]
        _print("Integrations", rows, "integration", "state", *columns, "caused by")
    chronic = [one for one in facts["integrations"] if one["reason"]]
    for one in chronic[:_MOST_CHRONIC]:
        where = f" at {one['customer']}" if facts["customers"] else ""
        console.print(Text.assemble((f"Chronic: {one['name']}{where}. ", "bold red"), one["reason"]))
        console.print(Padding(one["suggestion"], (0, 0, 0, 2)))
    if len(chronic) > _MOST_CHRONIC:
        console.print(f"And {len(chronic) - _MOST_CHRONIC} more that are chronic; --html and --csv have all.")


def _figures(row: dict[str, Any], columns: Sequence[str]) -> list[object]:
    return [_toned(row, column) if column == "trend" else row[column] for column in columns]


def _toned(row: dict[str, Any], column: str) -> Text:
    return Text(row[column], style=_TONES.get(row["tone"], ""))


def _print(title: str, rows: Sequence[Sequence[Any]], *columns: str) -> None:
    if title:
        console.print(Text(title, style="bold"))
    table = Table(box=None, show_header=bool(columns), header_style="dim", pad_edge=False)
    for column in columns or ("",) * max(map(len, rows), default=0):
        table.add_column(column, justify="right" if column in {"uptime", "incidents", "down", "repair"} else "left")
    for row in rows:
        table.add_row(*(value if isinstance(value, Text) else Text(str(value)) for value in row))
    console.print(table if rows else "Nothing existed in this time.")
    console.print()
