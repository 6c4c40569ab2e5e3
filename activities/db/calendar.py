"""The calendar of credentials whose end is known, and the warnings that are due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.findings import Looked
from workflows.contracts import Check
from workflows.domain.calendar import SAME_END, due_step
from workflows.domain.durations import format_duration

_SQL = queries("monitoring")


@dataclass(frozen=True)
class DueWarning:
    """A credential that ends soon, and the step of the ladder that its people are to be told of."""

    integration: UUID
    customer: UUID
    kind: str
    label: str
    ends_at: datetime
    only_customer_renews: bool
    step: timedelta

    @property
    def key(self) -> str:
        """The same for one credential, end and step, however often it is computed."""
        credential = sha256(f"{self.kind}/{self.label}".encode()).hexdigest()[:12]
        return f"expiry/{self.integration}/{credential}/{self.ends_at:%Y%m%dT%H%MZ}/{format_duration(self.step)}"


async def keep_ends(connection: Connection, looks: Sequence[Looked]) -> None:
    """Enters the ends that these looks saw; what a working connection no longer shows has been renewed or dropped."""
    seen = {
        (look.claim.integration, e.kind, e.label): (e.at, e.renewed_by, look.at)
        for look in looks
        for e in look.seen.expiries
    }
    if seen:
        columns = [list(column) for column in zip(*(key + value for key, value in sorted(seen.items())), strict=True)]
        await connection.execute(_SQL["keep_ends"], *columns, SAME_END)
    whole = [look.claim.integration for look in looks if look.seen.check is Check.WORKING]
    names = [list(column) for column in zip(*seen, strict=True)] or [[], [], []]
    await connection.execute(_SQL["forget_ends"], whole, *names)


class CalendarStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def due(self, now: datetime, steps: Sequence[timedelta]) -> list[DueWarning]:
        """Every credential for which a step of the ladder is due, the most urgent first. Not while an incident of its
        integration is open: those people have been told something more important."""
        if not steps:
            return []
        found = []
        for row in await self._pool.fetch(_SQL["ends_before"], now, max(steps)):
            step = due_step(
                row["ends_at"], row["known_since"], now, steps, renews_itself=row["kind"] == "refresh_token"
            )
            if step is not None:
                found.append(
                    DueWarning(
                        row["integration_health_id"],
                        row["customer_id"],
                        row["kind"],
                        row["label"],
                        row["ends_at"],
                        row["renewed_by"] == "customer",
                        step,
                    )
                )
        return found
