"""Messages that belong to no incident: that a credential is about to end, that our own network failed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from activities.db.pool import Connection
from activities.db.sql import queries

_SQL = queries("monitoring")

EXPIRY = "credential_expiring"
EXPIRY_CUSTOMER = "credential_expiring_customer"
EGRESS = "egress_outage"


async def intend_notice(
    connection: Connection,
    key: str,
    template: str,
    role: str,
    *,
    slack: str | None,
    email: str | None,
    integration: UUID | None = None,
    outage: UUID | None = None,
    person: UUID | None = None,
    details: dict[str, Any] | None = None,
) -> bool:
    """Writes the intent to tell somebody by Slack, or else by mail; if Slack did not take it, by mail after all. How
    often it is called makes no difference. True if there is something new to send."""
    ways = [("slack", slack), ("email", email)]
    for channel, recipient in ways:
        if recipient is None:
            continue
        name = f"{key}/{person or role}/{channel}"
        about = (integration, outage, channel, template, recipient, role, person, details or {})
        if await connection.fetchval(_SQL["intend_notice"], name, *about) is not None:
            return True
        if await connection.fetchval(_SQL["notice_status"], name) != "failed":
            return False
    return False
