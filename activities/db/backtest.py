"""The stored past, as workflows/domain/backtest.py plays it: what was observed, and what people did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from activities.db.pool import Pool
from activities.db.sql import queries
from activities.events import Event as EventWrite
from activities.events import diagnosis_of
from activities.probes.monitor import has_active_check
from workflows.contracts import Kind, Resolution
from workflows.domain.backtest_facts import Customer, Event, Incident, Integration, Reaction, Says
from workflows.domain.diagnosis import Catalogue
from workflows.domain.durations import parse_duration
from workflows.domain.explanation import provider_name
from workflows.domain.policy import Severity
from workflows.domain.status import Effect, Observation, Weight

_SQL = queries("backtest")

_AT_ONCE = 100  # customers whose past is in memory
# So much of what came before the window is played too: how an integration stood when it began follows from it.
_LEAD = timedelta(days=7)
_SAID = {
    "acknowledged": Says.ACKNOWLEDGED,
    "snoozed": Says.SNOOZED,
    "fix_instructions_requested": Says.MAILED,
    "tech_call_requested": Says.MAILED,
    "fresh_link_requested": Says.MAILED,
}
_BY_HAND = {Resolution.NO_LONGER_USED, Resolution.FALSE_ALARM, Resolution.REMOVED}


class BacktestStore:
    """Reads only."""

    def __init__(self, pool: Pool, catalogue: Catalogue) -> None:
        self._pool, self._catalogue = pool, catalogue

    async def customers(self, since: datetime) -> AsyncIterator[Customer]:
        """Every customer of whom anything was observed since then, a few in memory at once."""
        last, begin = UUID(int=0), since - _LEAD
        while rows := await self._pool.fetch(_SQL["customers"], begin, last, _AT_ONCE):
            for customer in await self._load(rows, begin):
                yield customer
            last = rows[-1]["id"]

    async def _load(self, rows: list[asyncpg.Record], begin: datetime) -> list[Customer]:
        ids = [row["id"] for row in rows]
        incidents = await self._pool.fetch(_SQL["incidents"], ids, begin)
        begin = min([begin, *(row["opened_at"] for row in incidents)])
        integrations = _by_customer(await self._pool.fetch(_SQL["integrations"], ids))
        events = _by_customer(await self._pool.fetch(_SQL["events"], ids, begin))
        timeline = _by_customer(await self._pool.fetch(_SQL["timeline"], ids, begin))
        happened = _by_customer(incidents)
        return [
            Customer(
                id=row["id"],
                name=row["name"],
                arr=float(row["arr"] or 0),
                csm=row["csm"],
                csm_manager=row["csm_manager"],
                contact=row["contact"],
                integrations=tuple(
                    self._integration(each, events[row["id"]], timeline[row["id"]], happened[row["id"]])
                    for each in integrations[row["id"]]
                ),
                events=tuple(self._event(event) for event in events[row["id"]]),
                reactions=tuple(said for line in timeline[row["id"]] if (said := _reaction(line))),
            )
            for row in rows
        ]

    def _integration(
        self,
        row: asyncpg.Record,
        events: Iterable[asyncpg.Record],
        timeline: Iterable[asyncpg.Record],
        incidents: Iterable[asyncpg.Record],
    ) -> Integration:
        kind, monitor = row["integration_type"], row["monitor"]
        seen = [(e["occurred_at"], e["effect"] == Effect.SUCCESS) for e in events if _shows(e) and _of(row, e)]
        seen += [(t["at"], works) for t in timeline if _of(row, t) and (works := _looked(t)) is not None]
        interval = (monitor or {}).get("interval")
        return Integration(
            id=row["id"],
            name=row["display_name"] or provider_name(kind, self._catalogue.find(kind)),
            is_critical=row["is_critical"],
            monitored=has_active_check(monitor),
            interval=parse_duration(interval) if interval else None,
            seen_working=tuple(sorted(seen)),
            incidents=tuple(_incident(each) for each in incidents if _of(row, each)),
        )

    def _event(self, row: asyncpg.Record) -> Event:
        effect = Effect(row["effect"])
        weight = Weight(row["weight"]) if row["weight"] else Weight.RETRYABLE
        who_fixes = row["who_fixes"]
        if effect is Effect.FAILURE and who_fixes is None:  # it belongs to no incident: the words are all there is
            said = {"event_type": row["event_type"], "new_status": row["new_status"], "error": row["error_details"]}
            of = {"customer_id": row["customer_id"], "integration_type": row["integration_type"]}
            who_fixes = diagnosis_of(EventWrite.model_validate(of | said), self._catalogue).who_fixes
        observation = Observation(row["occurred_at"], effect, weight)
        return Event(
            row["created_at"], row["integration"], observation, who_fixes if effect is Effect.FAILURE else None
        )


def _by_customer(rows: Iterable[asyncpg.Record]) -> defaultdict[UUID, list[asyncpg.Record]]:
    found: defaultdict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        found[row["customer_id"]].append(row)
    return found


def _of(integration: asyncpg.Record, row: asyncpg.Record) -> bool:
    return bool(row["integration"] == integration["id"])


def _shows(event: asyncpg.Record) -> bool:
    return event["effect"] in {Effect.SUCCESS, Effect.FAILURE}


def _looked(line: asyncpg.Record) -> bool | None:
    """What a look of ours showed; None: the line tells of none."""
    details: dict[str, Any] = line["details"]
    match line["kind"]:
        case "recovering":
            return True if details["evidence"] == Resolution.VERIFIED else None
        case "closed":
            return True if details["resolution"] == Resolution.NOT_CONFIRMED else None
        case "check_failed":
            return False
    return None


def _incident(row: asyncpg.Record) -> Incident:
    fields = {name: value for name, value in row.items() if name != "customer_id"}
    fields |= {"kind": Kind(row["kind"]), "severity": Severity(row["severity"])}
    return Incident(**fields | {"resolution": row["resolution"] and Resolution(row["resolution"])})


def _reaction(line: asyncpg.Record) -> Reaction | None:
    """What somebody did about an incident. A repair came when it came; a decision followed from being told."""
    details, at, told_at = line["details"], line["at"], line["alerted_at"]
    about = (line["at"], line["integration"])
    if line["kind"] == "recovery_hinted" and details["hint"] in {"person", "callback"}:
        return Reaction(*about, Says.FIXED if details["hint"] == "person" else Says.HINTED, line["incident"])
    after = at - told_at if told_at is not None and told_at <= at else None
    if line["kind"] == "closed" and details["resolution"] in _BY_HAND:
        resolution = Resolution(details["resolution"])
        after = None if resolution is Resolution.REMOVED else after
        return Reaction(*about, Says.CLOSED, line["incident"], after, resolution=resolution)
    if line["kind"] not in _SAID:
        return None
    lasts = datetime.fromisoformat(details["until"]) - at if line["kind"] == "snoozed" else timedelta(0)
    return Reaction(*about, _SAID[line["kind"]], line["incident"], after, lasts)
