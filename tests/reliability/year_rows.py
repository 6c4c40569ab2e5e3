"""Writes a simulated year as the rows that the product would have stored; 200 customers in a few seconds.

known = await write(pool, simulate(), until=datetime.now(UTC))
known.incidents[id of a row]          # the Trouble that it is
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid5

from activities.db.pool import Connection as Database
from activities.db.pool import Pool
from activities.policy import load_policy
from tests.reliability.year import DAY, LAST, Connection, Trouble, Year

Row: TypeAlias = dict[str, Any]
_SPACE = UUID("6f0b7c1e-2b0a-4b53-9f0e-0d8f3b6a1c55")
_CSMS = (
    "Dana Kim",
    "Maria Santos",
    "Ana Silva",
    "Tom Becker",
    "Yuki Tanaka",
    "Ola Nordmann",
    "Ravi Patel",
    "Zoë Müller",
)
_FIRST = ("North", "Blue", "Red", "Green", "Silver", "Bright", "Grand", "Swift", "Quiet", "Clear")
_SECOND = ("wind", "field", "stone", "harbor", "peak", "bridge", "forest", "river", "gate", "point")
_LAST_WORD = (" Systems", " Health", " Foods", " Logistics", "")


@dataclass
class Written:
    """Who is who in the database."""

    until: datetime
    customers: dict[str, UUID] = field(default_factory=dict)
    connections: dict[UUID, Connection] = field(default_factory=dict)
    incidents: dict[UUID, Trouble] = field(default_factory=dict)
    tickets: list[tuple[UUID, int]] = field(default_factory=list)  # the event, and its minute

    def at(self, minute: int) -> datetime:
        return self.until - timedelta(minutes=LAST - minute)


async def write(pool: Pool, year: Year, *, until: datetime | None = None) -> Written:
    """Into an empty database. `until` is a whole minute, by default the current one."""
    known = Written(until or datetime.now(UTC).replace(second=0, microsecond=0))
    for name in year.customers:
        known.customers[name] = _id("customer", name)
    known.connections = {_id("connection", c.number): c for c in year.connections}
    rows = _Rows(known)
    for n, name in enumerate(year.customers):
        rows.customer(n, name)
    for id_, c in known.connections.items():
        rows.connection(id_, c)
    for n, (minute, c, trouble) in enumerate(year.tickets):
        rows.ticket(n, minute, c, trouble)
    for n, m in enumerate(year.maintenance):
        customer = m.customer and known.customers[m.customer]
        rows.add(
            "maintenance_windows",
            id=_id("maintenance", n), customer_id=customer, integration_type=m.type, integration_id=m.id,
            starts_at=known.at(m.begin), ends_at=known.at(m.end), note="planned",
        )  # fmt: skip
    async with pool.acquire() as connection, connection.transaction():
        for table, listed in rows.tables.items():
            await _insert(connection, table, listed)
        await connection.execute("update incidents set policy = $1", load_policy())
    await pool.execute("analyze")
    return known


class _Rows:
    """Rows by table, in an order that their references allow."""

    def __init__(self, known: Written) -> None:
        self.known = known
        self.scores: dict[str, int] = {}
        tables = ("customers", "people", "integration_health", "integration_absences", "incidents", "incident_timeline")
        more = ("risk_signals", "tasks", "health_score_adjustments", "integration_events", "maintenance_windows")
        self.tables: dict[str, list[Row]] = {table: [] for table in (*tables, *more)}

    def add(self, table: str, **columns: Any) -> Row:
        self.tables[table].append(columns)
        return columns

    def customer(self, n: int, name: str) -> None:
        chance = random.Random(f"customer {name}")
        id_, base = self.known.customers[name], chance.randrange(70, 101)
        title = _FIRST[n % 10] + _SECOND[n // 10 % 10] + _LAST_WORD[n % 5]
        self.add(
            "customers",
            id=id_, external_id=name, name=title, arr=chance.choice((None, 8_000, 30_000, 120_000, 400_000)),
            health_score_base=base, health_score=base, created_at=self.known.at(0), updated_at=self.known.at(0),
        )  # fmt: skip
        csm = chance.choice(_CSMS)
        for role, who, at in (("csm", csm, "vendor"), ("technical_contact", "Bob Smith", name)):
            self.add(
                "people",
                id=_id(role, name), customer_id=id_, role=role, position=0, name=who,
                email=f"{who.split()[0].lower()}@{at}.example",
                created_at=self.known.at(0), updated_at=self.known.at(0),
            )  # fmt: skip

    def connection(self, id_: UUID, c: Connection) -> None:
        at = self.known.at
        self.add(
            "integration_health",
            id=id_, customer_id=self.known.customers[c.customer], integration_type=c.type, integration_id=c.id,
            display_name=f"{c.type.replace('_', ' ').title()} {c.id}", status=_status(c), is_critical=c.is_critical,
            created_at=at(c.created), updated_at=at(LAST), next_number=len(c.troubles) + 1, muted=c.muted,
            self_serve=True, failure_count=0, removed_at=_at(at, [c.gone] if c.removed else []),
            last_closed_at=_at(at, [t.closed for t in c.troubles[-1:]]),
        )  # fmt: skip
        for gone, back in c.absences:
            self.add("integration_absences", integration_health_id=id_, gone_at=at(gone), back_at=at(back))
        for number, trouble in enumerate(c.troubles, 1):
            self._incident(id_, c, number, trouble)

    def _incident(self, connection: UUID, c: Connection, number: int, t: Trouble) -> None:
        at = self.known.at
        id_, customer = _id("incident", f"{c.number}/{number}"), self.known.customers[c.customer]
        self.known.incidents[id_] = t
        limped = t.down_from is None and t.resolution not in {"not_confirmed", "false_alarm"}
        status = "cancelled" if t.resolution == "removed" else "closed" if t.closed is not None else None
        severity = "critical" if c.is_critical else "low" if limped else "high"
        self.add(
            "incidents",
            id=id_, integration_health_id=connection, customer_id=customer, number=number,
            kind="degraded" if limped else "disconnected", severity=severity, resolution=t.resolution,
            status=status or ("open" if t.worked_again is None else "recovering"), category=t.fault.category,
            who_fixes=t.fault.who, diagnosis=_diagnosis(c, t), failure_reason=t.fault.reason, error_code=t.fault.code,
            occurrences=1 + len(t.relapses), opened_at=at(t.opened), detected_at=at(t.detected),
            alerted_at=at(min(t.detected + 1, LAST)), acknowledged_at=_at(at, t.acknowledged[-1:]),
            first_acknowledged_at=_at(at, t.acknowledged[:1]), ack_expired_at=_at(at, t.acknowledged[-2:-1]),
            acknowledged_by="dana@vendor.example" if t.acknowledged else None,
            closed_at=_at(at, [t.closed]), worsened_at=_at(at, [t.worsened]),
            customer_reported_at=_at(at, [t.reported]), recovering_since=_at(at, [t.worked_again]),
            relapses=len(t.relapses), quiet_window="10 minutes", announced_at=_at(at, [t.closed]),
            policy={}, last_seq=1, hint_seq=0, checked_seq=0, escalation_step=0, reminders_sent=0,
            created_at=at(t.detected), updated_at=at(LAST),
        )  # fmt: skip
        self._history(id_, connection, customer, c, t)

    def _history(self, incident: UUID, connection: UUID, customer: UUID, c: Connection, t: Trouble) -> None:
        at = self.known.at
        told = [(t.detected, "detected"), (t.worsened, "worsened"), *((m, "acknowledged") for m in t.acknowledged)]
        told += [(t.reported, "customer_reported"), *((m, "relapsed") for m in t.relapses)]
        told += [(t.worked_again, "recovering"), (t.closed, "closed")]
        for minute, kind in sorted((m, kind) for m, kind in told if m is not None):
            self.add("incident_timeline", incident_id=incident, at=at(minute), kind=kind, actor="relink", details={})
        self.add(
            "integration_events",
            id=_id("failure", incident), customer_id=customer, integration_type=c.type, event_type="auth_failure",
            error_details={"code": t.fault.code}, created_at=at(t.detected), integration_health_id=connection,
            incident_id=incident, source="api", event_id=str(incident), occurred_at=at(t.opened), effect="failure",
        )  # fmt: skip
        if not c.is_critical or t.down_from is None:
            return
        signs = [(t.worsened or t.detected, -10, "disconnected"), (t.closed, 10, "reconnected")]
        for minute, adjustment, what in signs:
            if minute is not None:
                self.add(
                    "health_score_adjustments",
                    id=_id(what, incident), customer_id=customer, incident_id=incident, adjustment=adjustment,
                    reason=f"Critical integration {what}", created_at=at(minute),
                )  # fmt: skip
                owner = next(row for row in self.tables["customers"] if row["id"] == customer)
                owner["health_score"] += adjustment

    def ticket(self, n: int, minute: int, c: Connection, t: Trouble | None) -> None:
        about = next((id_ for id_, known in self.known.incidents.items() if known is t), None)
        event = _id("ticket", n)
        self.known.tickets.append((event, minute))
        self.add(
            "integration_events",
            id=event, customer_id=self.known.customers[c.customer], integration_type=c.type,
            event_type="customer_reported", error_details=None, created_at=self.known.at(minute),
            integration_health_id=_id("connection", c.number), incident_id=about, source="helpdesk",
            event_id=f"ticket-{n}", occurred_at=self.known.at(minute), effect="note",
        )  # fmt: skip


def _status(c: Connection) -> str:
    t = c.troubles[-1] if c.troubles else None
    if t is None or t.worked_again is not None or (t.closed is not None and not c.muted):
        return "healthy"
    return "degraded" if t.down_from is None else "disconnected"


def _at(at: Any, minutes: Sequence[int | None]) -> datetime | None:
    return None if not minutes or minutes[0] is None else at(minutes[0])


def _diagnosis(c: Connection, t: Trouble) -> Row:
    return {
        "category": t.fault.category, "connection_state": "disconnected", "who_fixes": t.fault.who,
        "self_serve_reconnect": t.fault.blamed == "customer", "confidence": 0.9, "provider_name": c.type.title(),
        "reason": t.fault.reason, "explanation": t.fault.reason, "steps": ["Reconnect it"], "impact": ["No data"],
        "customer_reason": t.fault.reason, "customer_steps": ["Click Reconnect"], "customer_minutes": 2,
    }  # fmt: skip


def _id(kind: str, name: object) -> UUID:
    return uuid5(_SPACE, f"{kind}/{name}")


async def _insert(connection: Database, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        columns = ", ".join(rows[0])
        await connection.execute(
            f"insert into {table} ({columns}) select {columns} from jsonb_populate_recordset(null::{table}, $1)",
            list(rows),
        )


__all__ = ["DAY", "LAST", "Written", "write"]
