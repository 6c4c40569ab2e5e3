"""The history of an incident, append-only: what happened, and what was decided by which rule."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from activities.db.pool import Connection
from activities.db.sql import queries


async def add_to_timeline(
    connection: Connection, incident: UUID, kind: str, actor: str = "relink", **details: Any
) -> None:
    """Adds one line. `actor` and `details` hold ids of people, never their names or addresses."""
    await connection.execute(queries("events")["add_to_timeline"], incident, kind, actor, details)
