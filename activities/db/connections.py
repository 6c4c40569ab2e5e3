"""Stored monitors with their secrets, opened only to look at a connection."""

from __future__ import annotations

from uuid import UUID

from pydantic import ValidationError

from activities.db.pool import Pool
from activities.probes.check import Prober, Seen
from activities.probes.monitor import join, part
from activities.secrets import SecretBox, SecretsError
from workflows.contracts import Check

_LOAD = "select integration_type, monitor, monitor_secrets from integration_health where id = $1"
_STORE = "update integration_health set monitor_secrets = $3, updated_at = now() where id = $1 and monitor_secrets = $2"
# One look at a rotating grant at a time, whichever process asks: the loser of a race would kill it.
_ALONE = "select pg_advisory_xact_lock(hashtextextended($1::text, 0))"


class ConnectionStore:
    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool, self._box = pool, box

    async def look(self, integration: UUID, prober: Prober) -> Seen:
        """Looks at the connection now; a rotated refresh token is stored before this returns.

        The stored credential is read under the lock, so a grant that somebody else just renewed is seen renewed.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_ALONE, integration)
            row = await connection.fetchrow(_LOAD, integration)
            if row is None or row["monitor"] is None:
                return Seen(Check.INCONCLUSIVE, "there is no monitor any more")
            try:
                monitor = join(row["monitor"], self._box.open(integration, row["monitor_secrets"]))
            except SecretsError as error:
                return Seen(Check.INCONCLUSIVE, str(error))
            except ValidationError:
                return Seen(Check.INCONCLUSIVE, "the stored monitor is not valid any more; PUT it again")
            seen = await prober.look(row["integration_type"], monitor)
            if seen.rotated is not None:
                _, secrets = part(monitor, {})
                sealed = self._box.seal(integration, {**secrets, "refresh_token": seen.rotated})
                await connection.execute(_STORE, integration, row["monitor_secrets"], sealed)
            return seen
