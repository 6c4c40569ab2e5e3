"""A provider's outage for the preview and the golden file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

from activities.outage_facts import Member, OutageView

NOON = datetime(2026, 2, 2, 17, 0, tzinfo=UTC)  # in New York
PROVIDER_URL = "https://relink.acme.example/providers/salesforce"
_MINUTE = timedelta(minutes=1)
_NAMES = ("TechCorp", "Globex", "Initech", "Hooli", "Umbrella", "Stark", "Wayne", "Acme Labs", "Soylent", "Vandelay",
          "Wonka", "Cyberdyne", "Tyrell", "Oscorp")  # fmt: skip


def _member(number: int, *, back: bool = False) -> Member:
    name = _NAMES[number] if number < len(_NAMES) else f"Customer {number}"
    return Member(
        id=UUID(int=number),
        customer_id=UUID(int=1000 + number),
        customer=name,
        arr=Decimal(200_000 - 9_000 * (number % 20)),
        integration="Salesforce CRM Sync" if number % 3 == 0 else "Salesforce",
        status="closed" if back else "open",
        severity="critical" if number < 3 else "high" if number < 8 else "medium",
        opened_at=NOON - (9 - number % 7) * _MINUTE,
        alerted_at=None,
    )


def _view(mine: int, back: int, *, over: bool = False, to_engineering: bool = False) -> OutageView:
    everyone = tuple(_member(n, back=n >= 212 - 15 * back) for n in range(212))
    own = tuple(_member(n, back=n >= mine - back) for n in range(mine))
    return OutageView(
        provider="Salesforce",
        integration_type="salesforce",
        began_at=NOON - 9 * _MINUTE,
        release_at=NOON + 51 * _MINUTE,
        ended_at=NOON if over else None,
        there=240,
        everyone=everyone,
        mine=everyone if to_engineering else own,
        to_engineering=to_engineering,
    )


OUTAGES = MappingProxyType(
    {
        "now": _view(14, 0),
        "still_down": _view(14, 13, over=True),
        "over": _view(14, 14, over=True),
        "engineering": _view(0, 0, to_engineering=True),
    }
)
