"""Connections to PostgreSQL."""

from __future__ import annotations

import json
from typing import TypeAlias

import asyncpg
import pydantic_core

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

# What a lost, restarting or overloaded database looks like from here; worth a later try.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # used after the server said that it stops, and before the connection's end was seen
)


def _to_json(value: object) -> str:
    return pydantic_core.to_json(value).decode()


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=_to_json, decoder=json.loads, schema="pg_catalog")


def create_pool(url: str, *, size: int = 10, patience: float = 10) -> Pool:
    """A pool to be opened with `async with`; connects when first used, so start-up order does not matter.

    A statement is given `patience` seconds and a new connection 5, so that a dead database is noticed. Whoever meets a
    frozen one waits up to three times as long: for the statement, the rollback, and the connection's end.
    """
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        init=_prepare,
        command_timeout=patience,
        timeout=5,
        server_settings={"application_name": "relink", "timezone": "UTC"},
    )
