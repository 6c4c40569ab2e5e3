"""A provider's outage, as it may be told: every name that `provider_outage` may print, see templates/README.md."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from activities import phrases
from activities.rendering_facts import NAME, UNNAMED, Telling
from activities.rendering_safety import one_line
from workflows.domain.durations import how_long

MOST = 12  # a digest is read in a minute


class Member(BaseModel):
    """One of the incidents."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    customer_id: UUID
    customer: str
    arr: Decimal | None
    integration: str
    status: str
    severity: str
    opened_at: datetime
    alerted_at: datetime | None

    @property
    def is_down(self) -> bool:
        return self.status == "open"


@dataclass(frozen=True)
class Outage:
    """An outage, the most urgent of its incidents first; times are aware UTC."""

    provider: str
    integration_type: str
    began_at: datetime
    release_at: datetime
    ended_at: datetime | None
    there: int  # integrations of this type
    members: tuple[Member, ...]

    @cached_property
    def down(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.is_down)

    @property
    def goes_on(self) -> bool:
        """It was only given up to wait for its end."""
        return self.ended_at is not None and self.ended_at >= self.release_at and bool(self.down)


@dataclass(frozen=True)
class OutageView:
    """What of an outage is one reader's: of their customers, or (`to_engineering`) all."""

    outage: Outage
    mine: tuple[Member, ...]
    to_engineering: bool = False

    @cached_property
    def down(self) -> tuple[Member, ...]:
        return tuple(member for member in self.mine if member.is_down)

    @cached_property
    def in_short(self) -> str:
        """What makes it worth telling again; begins with "over" once it is. How many others' customers are down, and
        for how long, does not."""
        seen = [len(self.mine), *((m.customer, m.integration, m.severity) for m in self.down)]
        return f"{'over' if self.outage.ended_at else 'open'} {hashlib.sha256(repr(seen).encode()).hexdigest()[:16]}"


def provider_outage_facts(view: OutageView, telling: Telling) -> dict[str, object]:
    """Everything that `provider_outage` may print, in the reader's time zone."""
    outage, down = view.outage, view.down
    return {
        "product_name": one_line(telling.product_name, NAME),
        "provider": one_line(outage.provider, NAME) or UNNAMED,
        "to_engineering": view.to_engineering,
        "of_many": _customers(outage.members) > 1,
        "is_over": outage.ended_at is not None,
        "goes_on": outage.goes_on,
        "since_and_ago": telling.moment_and_ago(outage.began_at),
        "until": telling.moment(outage.release_at),
        "ended": telling.moment(outage.ended_at),
        "down_everywhere": len(outage.down),
        "customers_everywhere": phrases.counted(_customers(outage.down), "customer"),
        "integrations": phrases.counted(outage.there, "integration"),
        "customers": phrases.counted(_customers(down), "customer"),
        "down": [_told(member, telling) for member in down[:MOST]],
        "down_count": len(down),
        "back_count": len(view.mine) - len(down),
        "reason": f"{phrases.counted(len(down), 'integration')} down",
        "times_are_utc": telling.zone is UTC,
    }


def _customers(members: tuple[Member, ...]) -> int:
    return len({member.customer_id for member in members})


def _told(member: Member, telling: Telling) -> dict[str, object]:
    return {
        "customer": one_line(member.customer, NAME) or UNNAMED,
        "integration": one_line(member.integration, NAME) or UNNAMED,
        "severity": member.severity,
        "arr": phrases.money(member.arr),
        "down_for": how_long(max(telling.now - member.opened_at, timedelta())),
    }
