"""Tokens that can be used once, or that were taken back: the token is signed, only its end before time is a row."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from activities.db.pool import Pool
from activities.db.sql import queries

_SQL = queries("spent")


class SpentTokens:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def spend(self, token: UUID, ends_at: datetime) -> bool:
        """Whether this was the first time. `ends_at` (aware) is when the token ends by itself, and its row with it."""
        await self._pool.execute(_SQL["forget"])
        return await self._pool.fetchval(_SQL["spend"], token, ends_at) is not None

    async def is_spent(self, token: UUID) -> bool:
        found: bool = await self._pool.fetchval(_SQL["is_spent"], token)
        return found
