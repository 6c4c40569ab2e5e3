"""What a person decides about an incident: a fact first, then a bell."""

from __future__ import annotations

from activities.db.pool import Pool


class Actions:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
