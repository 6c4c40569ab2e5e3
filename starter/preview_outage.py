"""A provider's outage for the preview and the golden file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

from activities.provider_outage_facts import Member, Outage, OutageView

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


def _outage(back: int, *, over: bool = False, given_up: bool = False) -> Outage:
    """Of 212 that failed, the last so many are back."""
    return Outage(
        provider="Salesforce",
        integration_type="salesforce",
        began_at=NOON - 9 * _MINUTE,
        release_at=NOON if given_up else NOON + 51 * _MINUTE,
        ended_at=NOON if over or given_up else None,
        there=240,
        members=tuple(_member(n, back=n >= 212 - back) for n in range(212)),
    )


def _mine(outage: Outage, first: int, end: int) -> OutageView:
    return OutageView(outage, outage.members[first:end])


OUTAGES = MappingProxyType(
    {
        "now": _mine(_outage(0), 0, 14),
        "mine_are_back": _mine(_outage(14), 198, 212),
        "still_down": _mine(_outage(211, over=True), 0, 14),
        "goes_on": _mine(_outage(100, given_up=True), 0, 14),
        "over": _mine(_outage(212, over=True), 0, 14),
        "engineering": OutageView(_outage(0), _outage(0).members, to_engineering=True),
    }
)
