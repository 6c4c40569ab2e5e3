"""The rotation of keys: what is stored under an older key is encrypted again with the first one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

from activities.db.connections import credential_name
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.secrets import EncryptionKeyError, SecretBox

_SQL = queries("connections")
_LEASE, _POLL, _TRIES = timedelta(seconds=15), 0.5, 240


class Resealing:
    """Repeatable; the service may run meanwhile."""

    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool, self._box = pool, box

    async def all(self) -> int:
        """How many it encrypted again. Raises SecretsError: no key is set, or one that is needed is not there."""
        count = 0
        for row in await self._pool.fetch(_SQL["sealed"]):
            if not self._box.is_sealed_with_first(row["monitor_secrets"]):
                count += await self._one(row["id"])
        return count

    async def unreadable(self) -> tuple[int, str]:
        """How many can't be opened with the keys that are set, and what the first of them lacks."""
        problems = []
        for row in await self._pool.fetch(_SQL["sealed"]):
            try:
                self._box.open(row["id"], row["monitor_secrets"])
            except EncryptionKeyError as error:
                problems.append(str(error))
        return len(problems), problems[0] if problems else ""

    async def _one(self, integration: UUID) -> bool:
        """Under the lease of a look: one that is under way may be about to store a token that exists nowhere else."""
        lease = uuid4()
        for _ in range(_TRIES):
            if await self._pool.fetchval(_SQL["claim"], integration, lease, _LEASE):
                break
            await asyncio.sleep(_POLL)
        else:
            return False
        try:
            row = await self._pool.fetchrow(_SQL["load"], integration)
            if row is None or row["monitor_secrets"] is None:
                return False  # it was taken away meanwhile
            before = row["monitor_secrets"]
            after = self._box.seal(integration, self._box.open(integration, before))
            names = credential_name(before), credential_name(after)
            return bool(await self._pool.fetchval(_SQL["reseal"], integration, before, after, *names))
        finally:
            await self._pool.execute(_SQL["release"], integration, lease)
