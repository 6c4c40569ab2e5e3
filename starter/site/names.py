"""What people call providers and integrations, and how a row of an incident reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from activities.playbooks.loader import load_catalogue
from activities.reliability import IntegrationReport
from starter.site.words import ENDINGS, WHO_FIXES
from workflows.domain.durations import how_long
from workflows.domain.explanation import provider_name
from workflows.domain.reliability import cause_of

HEALTH = MappingProxyType(
    {
        "healthy": ("Healthy", "good"),
        "degraded": ("Degraded", "warn"),
        "disconnected": ("Disconnected", "bad"),
        "removed": ("Removed", ""),
        "no longer used": ("No longer used", ""),
    }
)
STATES = MappingProxyType(
    {
        "open": ("Open", "bad"),
        "recovering": ("Recovering", "good"),
        "closed": ("Closed", ""),
        "cancelled": ("Cancelled", ""),
    }
)
BLAMED = MappingProxyType({"customer": "the customer", "provider": "the provider", "us": "us", "unknown": "unknown"})


def provider(integration_type: str) -> str:
    """As its playbook calls it."""
    return provider_name(integration_type, load_catalogue().find(integration_type))


def called(integration: Mapping[str, Any]) -> str:
    """An integration, as people call it; its id tells two of one provider apart."""
    if integration["display_name"]:
        return str(integration["display_name"])
    return " ".join(filter(None, (provider(integration["integration_type"]), integration["integration_id"])))


def named(fact: Mapping[str, Any], report: IntegrationReport) -> dict[str, Any]:
    """A fact of starter/reporting.py with the integration's name as the pages write it."""
    subject = report.subject
    names = ("integration_type", "integration_id", "display_name")
    return {**fact, "name": called({name: getattr(subject, name) for name in names})}


def incident_row(row: Mapping[str, Any], now: datetime, product_name: str) -> dict[str, Any]:
    """An incident in a table of them; `row` is one of Overview.incidents."""
    end = row["recovered_at"] or row["closed_at"] or now
    return {
        **row,
        "name": called(row["integration"]),
        "reason": (row["reason"] or "").replace("{product_name}", product_name),
        "down_for": how_long(max(end, row["opened_at"]) - row["opened_at"]),
        "cause": BLAMED[cause_of(row["category"], row["who_fixes"])],
        "who_fixes": WHO_FIXES.get(row["who_fixes"]),
        "state": STATES[row["status"]],
        "ending": ENDINGS.get(row["resolution"] or ""),
    }
