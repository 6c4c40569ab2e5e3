"""Looks at connections through their stored monitors: the only place where secrets are opened.

One look at a connection at a time, over all processes, because the loser of a refresh race would kill a rotating grant.
It is held by a lease on a row, renewed while the look goes on, so that a slow peer never holds a database connection.

What a crash can cost. Before the refresh request leaves: nothing. After the provider has answered and before the new
token is committed: that token, because OAuth has no way to ask for it again; the old one is still stored and is tried
when the lease has run out, which works at providers with some leeway (Atlassian, Xero, Okta) and is otherwise the
`invalid_grant` that a person must repair; the finding then says that our refresh was cut off. After the commit:
nothing. A cancelled look is therefore finished first, and a database that is away is asked again for a minute.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from pydantic import TypeAdapter, ValidationError

from activities.db.pool import UNAVAILABLE, Pool
from activities.db.sql import queries
from activities.probes import logins
from activities.probes.check import MONITOR_SOURCE, Grant, Known, Prober, Renewal, Seen
from activities.probes.monitor import OidcMonitor, SamlMonitor, WebhookMonitor, join
from activities.secrets import SecretBox, SecretsError
from workflows.contracts import Check
from workflows.domain.webhook_budget import Deliveries

_SQL = queries("connections")
_SEEN: TypeAdapter[Seen] = TypeAdapter(Seen)
_GRANT: TypeAdapter[Grant] = TypeAdapter(Grant)

FRESH = timedelta(seconds=5)  # so old a result answers whoever does not force a new one
_LEASE, _RENEWED_EVERY = timedelta(seconds=15), 5.0
_PATIENCE = 90.0  # seconds to wait for somebody else's look
_POLL = 0.15
_ROUNDS = 3  # when the owner keeps changing the monitor while we look
_INSISTS_FOR = 60.0  # seconds; a replaced token exists nowhere else

_NO_MONITOR = Seen(Check.INCONCLUSIVE, "there is no monitor any more")


@dataclass
class _Look:
    """One look at one connection under its lease, and the row that it goes by."""

    integration: UUID
    lease: UUID
    row: asyncpg.Record
    finished: bool = False


class ConnectionStore:
    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool, self._box = pool, box

    async def look(self, integration: UUID, prober: Prober, *, force: bool = False) -> Seen:
        """Looks at the connection now; a replaced refresh token is stored before this returns.

        Looks that come together share one: whoever waited takes its result, and so does who comes within FRESH of it.
        With `force` only a look that began after this call will do, and it refreshes rather than introspects. If the
        owner changes the monitor meanwhile, the new one is looked at before this returns.
        """
        lease, patience = uuid4(), time.monotonic() + _PATIENCE
        called_at: datetime | None = None
        while True:
            claimed = await self._pool.fetchval(_SQL["claim"], integration, lease, _LEASE)
            row = await self._pool.fetchrow(_SQL["load"], integration)
            if row is not None:
                called_at = called_at or row["now"]
            shared = _NO_MONITOR if row is None else _shared(row, called_at, force=force)
            if claimed and row is not None and shared is None:
                return await _to_the_end(self._alone(_Look(integration, lease, row), prober, force=force))
            if claimed:
                await self._pool.execute(_SQL["release"], integration, lease)
            if shared is not None:
                return shared
            if time.monotonic() > patience:
                return Seen(Check.INCONCLUSIVE, "another look at this connection takes too long")
            await asyncio.sleep(_POLL * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads the callers

    async def _alone(self, look: _Look, prober: Prober, *, force: bool) -> Seen:
        async with self._held(look):
            for _ in range(_ROUNDS):
                known = _known(look.row)
                seen = await self._ask(look, prober, known, force=force)
                ours, secrets = await self._store(look, seen.renewal)
                look.finished = ours and await self._finish(look, secrets, seen, known)
                if look.finished:
                    break
                row = await self._pool.fetchrow(_SQL["load"], look.integration)
                if row is None or row["lease"] != look.lease:
                    break  # it was removed, or we were thought dead: what others do now is theirs
                look.row = row
            return seen.without_secrets()

    async def _ask(self, look: _Look, prober: Prober, known: Known, *, force: bool) -> Seen:
        row = look.row
        try:
            monitor = join(row["monitor"], self._box.open(look.integration, row["monitor_secrets"]))
        except SecretsError as error:
            return Seen(Check.INCONCLUSIVE, str(error))
        except ValidationError:
            return Seen(Check.INCONCLUSIVE, "the stored monitor is not valid any more; PUT it again")
        if isinstance(monitor, WebhookMonitor | SamlMonitor | OidcMonitor):
            window = monitor.window if isinstance(monitor, WebhookMonitor) else logins.WINDOW
            counts = await self._pool.fetchrow(_SQL["deliveries"], look.integration, window, MONITOR_SOURCE)
            known = replace(known, deliveries=Deliveries(**dict(counts or {})))
        return await prober.look(row["integration_type"], monitor, known, force=force)

    async def _store(self, look: _Look, renewal: Renewal | None) -> tuple[bool, bytes | None]:
        """Stores a replaced token; returns the sealed secrets as they should be now. False if the owner was faster:
        then their credential stays, because it is newer than the grant that we renewed."""
        before: bytes | None = look.row["monitor_secrets"]
        if renewal is None or renewal.refresh_token is None:
            return True, before
        secrets = self._box.open(look.integration, before)
        after = self._box.seal(look.integration, {**secrets, "refresh_token": renewal.refresh_token})
        end = time.monotonic() + _INSISTS_FOR
        while True:
            try:
                stored = await self._pool.fetchval(_SQL["store_secrets"], look.integration, before, after)
            except UNAVAILABLE:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.5)
            else:
                return bool(stored) or await self._is_stored(look, after), after

    async def _is_stored(self, look: _Look, sealed: bytes) -> bool:
        """Whether an attempt whose answer was lost had been carried out after all."""
        row = await self._pool.fetchrow(_SQL["load"], look.integration)
        return row is not None and row["monitor_secrets"] == sealed

    async def _finish(self, look: _Look, secrets: bytes | None, seen: Seen, known: Known) -> bool:
        """Publishes the result and gives the lease back; False if the monitor or its secrets are others by now."""
        grant = replace(seen.renewal.grant if seen.renewal else known.grant, credential=credential_name(secrets))
        return bool(
            await self._pool.fetchval(
                _SQL["finish"],
                look.integration,
                look.lease,
                look.row["monitor_hash"],
                secrets,
                _SEEN.dump_python(seen.without_secrets(), mode="json"),
                _GRANT.dump_python(replace(grant, interrupted_at=None), mode="json"),
                seen.check is Check.WORKING,
            )
        )

    @asynccontextmanager
    async def _held(self, look: _Look) -> AsyncIterator[None]:
        """Renews the lease until the look is over, and gives it back whatever happened."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(_RENEWED_EVERY)
                with suppress(*UNAVAILABLE):
                    await self._pool.execute(_SQL["renew_lease"], look.integration, look.lease, _LEASE)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            if not look.finished:
                with suppress(*UNAVAILABLE):
                    await self._pool.execute(_SQL["release"], look.integration, look.lease)


def _shared(row: asyncpg.Record, called_at: datetime | None, *, force: bool) -> Seen | None:
    """A finished look at the same monitor that answers this call as well."""
    if not row["is_current"] or row["looked_at"] is None or called_at is None:
        return None
    if row["looked_from"] < called_at if force else row["looked_at"] < called_at - FRESH:
        return None
    try:
        return _SEEN.validate_python(row["seen"])
    except ValidationError:  # written by another version
        return None


def _known(row: asyncpg.Record) -> Known:
    return Known(
        now=row["now"],
        registered_at=row["created_at"],
        last_successful_sync=row["last_successful_sync"],
        grant=_grant(row),
    )


def _grant(row: asyncpg.Record) -> Grant:
    """What is remembered of the credential that is stored now; of another one, nothing."""
    credential, interrupted_at = credential_name(row["monitor_secrets"]), row["interrupted_at"]
    try:
        grant = _GRANT.validate_python(row["remembered"]) if row["remembered"] else None
    except ValidationError:  # written by another version
        grant = None
    if grant is not None and grant.credential != credential:
        return Grant(credential, since=row["now"])
    return replace(grant or Grant(credential, since=row["now"]), interrupted_at=interrupted_at)


def credential_name(sealed: bytes | None) -> str:
    """What is remembered of a grant names the sealed credential that it belongs to."""
    return sha256(sealed or b"").hexdigest()[:16]


async def _to_the_end(look: Coroutine[Any, Any, Seen]) -> Seen:
    """Lets a look finish although its caller is cancelled: a refresh that was sent must be stored."""
    task = asyncio.create_task(look)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen, or asyncio would complain that nobody asked
        raise
