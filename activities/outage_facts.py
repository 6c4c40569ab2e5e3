"""A provider's outage, as it may be told: every name that `provider_outage` may print, see templates/README.md."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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


class OutageView(BaseModel):
    """An outage, and what of it is this reader's (`mine`), the most urgent first; times are aware UTC."""

    model_config = ConfigDict(frozen=True)

    provider: str
    integration_type: str
    began_at: datetime
    release_at: datetime
    ended_at: datetime | None
    there: int  # integrations of this type
    everyone: tuple[Member, ...]
    mine: tuple[Member, ...]
    to_engineering: bool = False

    @property
    def is_quiet(self) -> bool:
        """There is nothing to tell any more."""
        return not any(member.is_down for member in self.mine)

    @property
    def in_short(self) -> str:
        """What a reader can see change; begins with "over" once it is."""
        seen = [(str(member.id), member.status) for member in self.mine]
        seen.append((str(sum(member.is_down for member in self.everyone)), str(len(self.everyone))))
        return f"{'over' if self.ended_at else 'open'} {hashlib.sha256(repr(seen).encode()).hexdigest()[:16]}"


def provider_outage_facts(view: OutageView, telling: Telling) -> dict[str, object]:
    """Everything that `provider_outage` may print, in the reader's time zone."""
    down = [member for member in view.mine if member.is_down]
    everywhere = [member for member in view.everyone if member.is_down]
    return {
        "product_name": one_line(telling.product_name, NAME),
        "provider": one_line(view.provider, NAME) or UNNAMED,
        "to_engineering": view.to_engineering,
        "of_many": len({member.customer_id for member in view.everyone}) > 1,
        "is_over": view.ended_at is not None,
        "since_and_ago": telling.moment_and_ago(view.began_at),
        "until": telling.moment(view.release_at),
        "ended": telling.moment(view.ended_at),
        "down_everywhere": len(everywhere),
        "customers_everywhere": phrases.counted(len({member.customer_id for member in everywhere}), "customer"),
        "integrations": phrases.counted(view.there, "integration"),
        "customers": phrases.counted(len({member.customer_id for member in down}), "customer"),
        "down": [_told(member, telling) for member in down[:MOST]],
        "down_count": len(down),
        "back_count": len(view.mine) - len(down),
        "reason": f"{phrases.counted(len(down), 'integration')} down",
        "times_are_utc": telling.zone is UTC,
    }


def _told(member: Member, telling: Telling) -> dict[str, object]:
    return {
        "customer": one_line(member.customer, NAME) or UNNAMED,
        "integration": one_line(member.integration, NAME) or UNNAMED,
        "severity": member.severity,
        "arr": phrases.money(member.arr),
        "down_for": how_long(max(telling.now - member.opened_at, timedelta())),
    }
