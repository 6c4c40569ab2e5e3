"""API keys: hashed at rest, with scopes, for all customers or for one."""

from __future__ import annotations

import builtins
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from activities.db.customers import UnknownCustomerError
from activities.db.pool import Pool
from activities.db.sql import queries

_SQL = queries("keys")
_PREFIX = "relink_"


class Scope(StrEnum):
    """What a key may do."""

    EVENTS = "events"
    CALLBACKS = "callbacks"
    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


@dataclass(frozen=True)
class ApiKey:
    """A key without the key. `customer_id` is None for one that sees every customer; `customer` is its external id."""

    id: UUID
    name: str
    scopes: frozenset[Scope]
    customer_id: UUID | None
    customer: str | None
    created_at: datetime
    revoked_at: datetime | None


def key_hash(key: str) -> bytes:
    """A key has 256 random bits, so a plain hash can't be turned back."""
    return hashlib.sha256(key.encode(errors="replace")).digest()


class KeyStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(
        self, name: str, scopes: Iterable[str], customer_external_id: str | None = None
    ) -> tuple[ApiKey, str]:
        """A new key and what to send as `Authorization: Bearer …`: the only time that it is ever shown.

        Raises ValueError naming an unknown scope or saying that there is none, UnknownCustomerError.
        """
        known = sorted({Scope(scope) for scope in scopes})
        if not known:
            raise ValueError(f"a key needs at least one scope: {', '.join(Scope)}")
        customer = None
        if customer_external_id is not None:
            customer = await self._pool.fetchval(_SQL["customer"], customer_external_id)
            if customer is None:
                raise UnknownCustomerError(customer_external_id)
        key = _PREFIX + secrets.token_urlsafe(32)
        row = await self._pool.fetchrow(_SQL["create"], name, key_hash(key), known, customer)
        assert row is not None  # an insert returns its row
        return _key(row, customer_external_id), key

    async def list(self) -> builtins.list[ApiKey]:
        """All keys, oldest first, revoked ones too."""
        return [_key(row, row["customer"]) for row in await self._pool.fetch(_SQL["list"])]

    async def revoke(self, key: UUID) -> bool:
        """Takes a key back: refused everywhere within five seconds. False if there is none, or not any more."""
        return await self._pool.fetchval(_SQL["revoke"], key) is not None

    async def find(self, key: str) -> ApiKey | None:
        """The key that this text is, if it is one and not revoked."""
        row = await self._pool.fetchrow(_SQL["find"], key_hash(key))
        return _key(row, row["customer"]) if row else None


def _key(row: asyncpg.Record, customer: str | None) -> ApiKey:
    scopes = frozenset(map(Scope, row["scopes"]))
    return ApiKey(row["id"], row["name"], scopes, row["customer_id"], customer, row["created_at"], row["revoked_at"])
