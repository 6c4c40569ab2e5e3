"""Commands for incidents: the same facts and decisions as the API's, in its shape with --json."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from cyclopts import App, Parameter
from rich.text import Text

from activities.db.actions import MOST_SNOOZED, ActionRefusedError, Actor
from activities.db.incidents import UnknownIncidentError
from activities.db.reading import Wanted
from activities.settings import Settings
from activities.views import Person
from starter.api.incidents import incident_in_full
from starter.api.models import IncidentAnswer, IncidentInFull
from starter.api.resources import Resources
from starter.api.serving import opened
from starter.commands.output import CommandError, console, plain, print_facts, print_json, print_rows
from starter.site.words import Words
from workflows.contracts import Resolution
from workflows.domain.durations import parse_duration
from workflows.domain.response import next_due

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
    whole = await incident_in_full(use, incident, None)
    if json:
        print_json(IncidentInFull.model_validate(whole).model_dump())
        return
    view, situation = await use.views.load(incident), await use.incidents.situation(incident)
    facts = use.renderer.facts(view, now=datetime.now(UTC), reader=Person())
    due = None if situation.is_over else next_due(situation, datetime.now(UTC))
    words = Words(await use.reader.names_of(view.customer_id), _told)
    console.print(Text(f"{facts['integration']} at {facts['customer']}: {facts['status']}", style="bold"))
    print_facts(_shown(facts) | {"next": due and f"{due.what}, {_told(due.at)}", "id": incident})
    console.print(Text("\nWho was told (times are UTC)", style="bold"))
    for step in words.funnel(whole["deliveries"], whole, whole["timeline"]):
        console.print(Text(f" {step['label']}: {step['at'] or step['state']}"))
    print_rows(words.deliveries(whole["deliveries"]), "at", "what", "recipient", "channel", "status", "note")
    console.print(Text("\nWhat happened", style="bold"))
    print_rows(words.timeline(whole["timeline"], whole["deliveries"]), "at", "text", "note", "actor")


def _shown(facts: Mapping[str, object]) -> dict[str, object]:
    """What the status page says of an incident, in its order."""
    by = f" by {facts['closed_by']}" if facts["closed_by"] else ""
    return {
        "since": f"{facts['since_and_ago']}, {'was down' if facts['is_over'] else 'down'} for {facts['down_for']}",
        "closed": f"{facts['closed']}{by}" if facts["closed"] else None,
        "severity": facts["severity"],
        "error": facts["reason"],
        "error code": facts["error_code"],
        "meaning": facts["explanation"],
        "failures": facts["occurrences"],
        "acknowledged": facts["acknowledged"] and f"{facts['acknowledged']} by {facts['acknowledged_by']}",
        "CSM": facts["csm"] or "none assigned",
        "contact": facts["technical_contact"] or "none on file",
    }


def _told(at: datetime | None) -> str | None:
    return plain(at) if at else None
