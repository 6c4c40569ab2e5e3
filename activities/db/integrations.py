"""Integrations as their owner sets them: registered, replaced, removed and revived."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from activities.customers import IntegrationWrite
from activities.db.incidents import close, lock
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.probes.monitor import MissingSecretError, part
from activities.secrets import SecretBox, SecretsError
from workflows.contracts import Bell, Resolution, Status

_SQL = queries("integrations")
_OPERATOR = "operator"


class IntegrationRefusedError(Exception):
    """What was sent can't be stored; `field` says where, the message what to do; of several, `at` says which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message, self.at = field, message, 0


class UnknownIntegrationError(LookupError):
    """This customer has no such integration."""


@dataclass(frozen=True)
class Stored:
    """What a PUT did. `bells` are incidents to be rung."""

    id: UUID
    created: bool
    bells: frozenset[UUID]


class IntegrationStore:
    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool, self._box = pool, box

    async def put(self, customer: UUID, type_: str, integration_id: str, wanted: IntegrationWrite) -> Stored:
        """Creates, replaces, adopts or revives one integration. Raises IntegrationRefusedError, and stores nothing."""
        return (await self.put_all([(customer, type_, integration_id, wanted)]))[0]

    async def put_all(self, wanted: Sequence[tuple[UUID, str, str, IntegrationWrite]]) -> list[Stored]:
        """All of them, or none. Raises IntegrationRefusedError."""
        while True:
            # Where somebody registers the same one at this moment, or had locked what we wait for: look again.
            with suppress(asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                async with self._pool.acquire() as connection, connection.transaction():
                    await connection.execute(_SQL["lock_of_types"], [w[0] for w in wanted], [w[1] for w in wanted])
                    return [await self._put(connection, at, *one) for at, one in enumerate(wanted)]

    async def remove(self, customer: UUID, type_: str, integration_id: str) -> frozenset[UUID]:
        """Removes one integration and cancels its open incident; returns the incidents to be rung. Repeatable.

        Raises UnknownIntegrationError.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_SQL["lock_of_type"], customer, type_)
            row = next((r for r in rows if r["integration_id"] == integration_id), None)
            if row is None:
                raise UnknownIntegrationError(integration_id)
            if row["removed_at"] is not None:
                return frozenset()
            await connection.execute(_SQL["remove"], row["id"])
            incident: UUID | None = await connection.fetchval(_SQL["open_incident"], row["id"])
            if incident is None:
                return frozenset()
            health, locked = await lock(connection, incident)
            await close(connection, health, locked, Resolution.REMOVED, actor=_OPERATOR)
            await add_bell(connection, incident, Bell.REMOVED)
            return frozenset({incident})

    async def _put(
        self, connection: Connection, at: int, customer: UUID, type_: str, name: str, wanted: IntegrationWrite
    ) -> Stored:
        row, created = None, False
        while row is None:
            row, created = _choose(await connection.fetch(_SQL["lock_of_type"], customer, type_), name), False
            if row is None:
                row, created = await connection.fetchrow(_SQL["insert"], customer, type_, name), True
        try:
            return await self._replace(connection, row, name, wanted, created=created)
        except IntegrationRefusedError as error:
            error.at = at
            raise

    async def _replace(
        self, connection: Connection, row: asyncpg.Record, name: str, wanted: IntegrationWrite, *, created: bool
    ) -> Stored:
        shown, sealed = self._monitor(row, wanted)
        await connection.execute(
            _SQL["put"],
            row["id"],
            name,
            wanted.display_name,
            wanted.is_critical,
            wanted.self_serve,
            wanted.reconnect_url,
            shown,
            sealed,
        )
        if row["removed_at"] is not None:
            await connection.execute(_SQL["revive"], row["id"])
            return Stored(row["id"], created=True, bells=frozenset())
        bells = set()
        if shown is not None and sealed != row["monitor_secrets"]:
            bells = await _hint_at_new_secrets(connection, row["id"])
        return Stored(row["id"], created, frozenset(bells))

    def _monitor(self, row: asyncpg.Record, wanted: IntegrationWrite) -> tuple[dict[str, Any] | None, bytes | None]:
        """The monitor as it is shown and its sealed secrets. Unchanged secrets keep their very bytes, so that a check
        that renews a rotating token at this moment can still store it."""
        sealed: bytes | None = row["monitor_secrets"]
        if wanted.monitor is None:
            return None, None if "monitor" in wanted.model_fields_set else sealed
        stored, unreadable = self._open(row["id"], sealed)
        try:
            shown, secrets = part(wanted.monitor, stored)
        except MissingSecretError as error:
            raise IntegrationRefusedError("monitor", f"{error}{unreadable}") from None
        if secrets == stored and not unreadable:
            return shown, sealed
        if not secrets:
            return shown, None
        try:
            return shown, self._box.seal(row["id"], secrets)
        except SecretsError as error:
            raise IntegrationRefusedError("monitor", str(error)) from None

    def _open(self, integration: UUID, sealed: bytes | None) -> tuple[dict[str, str], str]:
        try:
            return self._box.open(integration, sealed), ""
        except SecretsError as error:
            return {}, f" (the stored one is unreadable: {error})"


async def add_bell(connection: Connection, incident: UUID, bell: Bell) -> None:
    """Hangs a bell on the door: rung after the commit, by us or by the reconciler."""
    await connection.execute(queries("events")["add_doorbell"], incident, bell)


async def add_hint(
    connection: Connection, incident: asyncpg.Record, kind: str, actor: str, by: str | None = None
) -> bool:
    """Says that the connection of a locked incident may work again; a check follows. `by`: who gives their word.

    False if there is nothing to check: it is recovering already, or a hint of this kind is still to be followed up.
    """
    waiting = incident["hint_seq"] > incident["checked_seq"] and incident["hint_kind"] == kind
    if incident["status"] != Status.OPEN or waiting:
        return False
    await connection.execute(queries("incidents")["hint"], incident["id"], kind, by)
    await add_to_timeline(connection, incident["id"], "recovery_hinted", actor, hint=kind)
    await add_bell(connection, incident["id"], Bell.RECONNECTED)
    return True


async def _hint_at_new_secrets(connection: Connection, integration: UUID) -> set[UUID]:
    incident: UUID | None = await connection.fetchval(_SQL["open_incident"], integration)
    if incident is None:
        return set()
    _, row = await lock(connection, incident)
    return {incident} if await add_hint(connection, row, "callback", _OPERATOR) else set()


def _choose(rows: Sequence[asyncpg.Record], integration_id: str) -> asyncpg.Record | None:
    """The integration that a PUT means: that of this id, or one without an id that is the only one of its type."""
    exact = next((r for r in rows if r["integration_id"] == integration_id), None)
    if exact is not None:
        return exact
    only = [r for r in rows if r["removed_at"] is None] or list(rows)
    return only[0] if len(only) == 1 and only[0]["integration_id"] is None else None
