"""Commands for incidents: the same facts and decisions as the API's, in its shape with --json."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from activities.db.actions import MOST_SNOOZED, ActionRefusedError, Actor
from activities.db.incidents import UnknownIncidentError
from activities.db.reading import Wanted
from activities.settings import Settings
from starter.api.incidents import incident_in_full
from starter.api.models import IncidentAnswer, IncidentInFull
from starter.api.resources import Resources
from starter.api.serving import opened
from starter.commands.output import CommandError, console, plain, print_json, print_rows
from workflows.contracts import Resolution
from workflows.domain.durations import parse_duration

incidents = App(name="incidents", help="What is open, and what a person decides about it.")

By = Annotated[str, Parameter(help="Who decides: an email, a Slack id or a name. Default: your login.")]


def register(app: App) -> None:
    """Adds these commands."""
    app.command(incidents)


@asynccontextmanager
async def _opened() -> AsyncIterator[Resources]:
    async with opened(Settings.load("database_url", "secret_key", "public_url")) as resources:
        try:
            yield resources
        except UnknownIncidentError as error:
            raise CommandError(f"there is no incident {error}; `relink incidents list` shows them") from None
        except ActionRefusedError as error:
            raise CommandError(str(error)) from None


@incidents.command(name="list")
async def list_incidents(
    *,
    status: Annotated[list[str] | None, Parameter(negative=())] = None,
    severity: Annotated[list[str] | None, Parameter(negative=())] = None,
    customer: str | None = None,
    integration_type: str | None = None,
    limit: int = 50,
    json: bool = False,
) -> None:
    """List incidents, newest first; those that are not over, unless --status says otherwise."""
    wanted = Wanted(
        status=status or ["open", "recovering"],
        severity=severity,
        customer=customer,
        integration_type=integration_type,
        limit=limit,
    )
    async with _opened() as use:
        rows = [IncidentAnswer.model_validate(row).model_dump() for row in await use.reader.incidents(wanted)]
    if json:
        print_json({"items": rows[:limit], "next_cursor": None})
    else:
        print_rows(rows[:limit], "id", "severity", "status", "customer", "integration", "category", "opened_at")


@incidents.command
async def show(incident: UUID, *, json: bool = False) -> None:
    """Show one incident with its timeline, its messages and what happens next."""
    async with _opened() as use:
        await _show(use, incident, json=json)


@incidents.command
async def acknowledge(incident: UUID, *, by: By = "", json: bool = False) -> None:
    """Say that somebody is on it; escalation pauses."""
    async with _opened() as use:
        await use.actions.acknowledge(incident, _actor(by))
        await _ring_and_show(use, incident, json=json)


@incidents.command
async def snooze(incident: UUID, *, for_: Annotated[str, Parameter("--for")], by: By = "", json: bool = False) -> None:
    """Hold escalation and reminders back for a while, such as 4h; at most 30 days."""
    try:
        span = parse_duration(for_)
    except ValueError as error:
        raise CommandError(f"--for: {error}") from None
    if not span or span > MOST_SNOOZED:
        raise CommandError("--for: more than nothing and at most 30d")
    async with _opened() as use:
        await use.actions.snooze(incident, _actor(by), datetime.now(UTC) + span)
        await _ring_and_show(use, incident, json=json)


@incidents.command
async def resolve(
    incident: UUID,
    *,
    reason: Literal["fixed", "no_longer_used", "false_alarm"],
    note: str | None = None,
    by: By = "",
    json: bool = False,
) -> None:
    """End an incident by hand: `fixed` starts a check, and only that resolves; the others close at once."""
    async with _opened() as use:
        if reason == "fixed":
            await use.actions.report_fixed(incident, _actor(by))
        else:
            await use.actions.close(incident, _actor(by), Resolution(reason), note)
        await _ring_and_show(use, incident, json=json)


def _actor(by: str) -> Actor:
    return Actor(by or getpass.getuser())


async def _ring_and_show(use: Resources, incident: UUID, *, json: bool) -> None:
    await use.bells.soon({incident})
    await _show(use, incident, json=json)


async def _show(use: Resources, incident: UUID, *, json: bool) -> None:
    whole = IncidentInFull.model_validate(await incident_in_full(use, incident, None)).model_dump()
    if json:
        print_json(whole)
        return
    for name in ("id", "status", "severity", "resolution", "category", "who_fixes", "occurrences", "opened_at"):
        console.print(f"[bold]{name.replace('_', ' '):12}[/bold] {plain(whole[name])}")
    due = whole["next_action"]
    console.print(f"[bold]{'next':12}[/bold] {due['kind'].replace('_', ' ')} at {plain(due['at'])} UTC" if due else "")
    console.print("\n[bold]Messages[/bold]")
    print_rows(whole["deliveries"], "channel", "template", "recipient", "status", "attempts", "error")
    console.print("\n[bold]Timeline[/bold]")
    print_rows(({**line, "details": _details(line)} for line in whole["timeline"]), "at", "kind", "actor", "details")


def _details(line: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in line["details"].items() if value not in (None, [], ""))
