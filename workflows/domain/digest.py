"""Whose weekly digest is due, and which week it tells of. Pure; time zones are handed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import UUID

# After an outage of ours a digest still comes within this; then the next Monday's has to do.
LATE = timedelta(days=1)


@dataclass(frozen=True)
class Week:
    """What one digest tells of: from one Monday morning to the next on its reader's wall, 167 to 169 hours."""

    monday: date
    began_at: datetime
    ended_at: datetime


def week_due(now: datetime, at: time, zone: tzinfo) -> Week | None:
    """The week whose digest is due at `now`: since its reader's Monday morning (`at` in `zone`), for a day.

    An hour that the clock skips on that morning is taken as if it had not been put forward (PEP 495).
    """
    local = now.astimezone(zone).date()
    monday = local - timedelta(days=local.weekday())
    began_at, ended_at = (
        datetime.combine(day, at, tzinfo=zone).astimezone(UTC) for day in (monday - timedelta(days=7), monday)
    )
    return Week(monday, began_at, ended_at) if ended_at <= now < ended_at + LATE else None


@dataclass(frozen=True)
class Csm:
    """Who looks after one customer, by the addresses (email, Slack id) at which they are reached."""

    customer: UUID
    person: UUID | None
    addresses: frozenset[str]
    timezone: str | None = None


@dataclass(frozen=True)
class Reader:
    """One human, however many customers they look after."""

    csms: tuple[Csm, ...]

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset().union(*(csm.addresses for csm in self.csms))

    @property
    def customers(self) -> list[UUID]:
        return sorted({csm.customer for csm in self.csms})

    @property
    def person(self) -> UUID | None:
        """The row that tells how they are reached: one with as many addresses as there are."""
        return max(self.csms, key=lambda csm: len(csm.addresses)).person

    @property
    def timezone(self) -> str | None:
        return next((csm.timezone for csm in self.csms if csm.timezone), None)


def readers(csms: Iterable[Csm]) -> list[Reader]:
    """Whoever shares an address is the same human. The first that comes decides where they differ."""
    group_at: dict[str, list[Csm]] = {}
    for csm in csms:
        joined = {id(group): group for a in sorted(csm.addresses) if (group := group_at.get(a))}
        group = [*(each for known in joined.values() for each in known), csm]
        group_at |= dict.fromkeys(frozenset().union(*(each.addresses for each in group)), group)
    return [Reader(tuple(group)) for group in {id(group): group for group in group_at.values()}.values()]
