"""FR-3.4: how far the customer has come, from the mail to a verified connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from activities.db.ledger import CUSTOMER, REMINDER

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """`state`: done, waiting, failed (it bounced), or skipped (it is over without it)."""

    step: str
    state: str
    at: datetime | None


def funnel(deliveries: Sequence[Row], incident: Row, timeline: Sequence[Row]) -> list[Step]:
    """Sent, delivered, opened, reconnected, verified; empty if nobody at the customer was mailed.

    The last is `reported` where only others say that it works: it is called verified only if we looked. What was told
    together with another incident counts by the mail that told it. A relapse takes a reconnection back.
    """
    mails = [d for d in deliveries if d["template"] in {CUSTOMER, REMINDER} and _status(d) in _TRIED]
    if not mails:
        return []
    delivered = _first(_sent_at(d) for d in mails if _status(d) == "sent")
    bounced = all(_status(d) == "failed" for d in mails)
    reconnected, evidence = _reconnected(timeline)
    confirmed = incident["closed_at"] if incident["resolution"] in {"verified", "reported"} else None
    steps = {
        "sent": _first(_sent_at(d) or d["created_at"] for d in mails),
        "delivered": delivered,
        "opened": _first(d["opened_at"] for d in mails),
        "reconnected": reconnected,
        evidence: confirmed,
    }
    rest = "skipped" if incident["closed_at"] else "waiting"
    return [
        Step(step, "done" if at else "failed" if bounced and step == "delivered" else rest, at)
        for step, at in steps.items()
    ]


_TRIED = {"sent", "failed", "unknown"}


def _status(delivery: Row) -> str:
    return str(delivery["told_status"] or delivery["status"])


def _sent_at(delivery: Row) -> datetime | None:
    at: datetime | None = delivery["told_at"] or delivery["sent_at"]
    return at


def _first(times: Any) -> datetime | None:
    return min((at for at in times if at is not None), default=None)


def _reconnected(timeline: Sequence[Row]) -> tuple[datetime | None, str]:
    """When the recovery that still holds began, and by which evidence."""
    at, evidence = None, "verified"
    for row in timeline:
        if row["kind"] == "recovering":
            at, evidence = row["at"], row["details"].get("evidence", "verified")
        elif row["kind"] == "relapsed":
            at, evidence = None, "verified"
    return at, evidence
