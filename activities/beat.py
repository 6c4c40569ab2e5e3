"""Heartbeats, so that work of a killed worker is given to another within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from temporalio import activity

EVERY = 2.0  # seconds; an activity's heartbeat_timeout is a few of these


@asynccontextmanager
async def heartbeating() -> AsyncIterator[None]:
    """Heartbeats while the block runs."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(EVERY)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
