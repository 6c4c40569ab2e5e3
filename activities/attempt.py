"""One bounded attempt at sending a claimed message."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from activities.db.ledger import Claim, Ledger
from activities.db.pool import UNAVAILABLE
from activities.discretion import note_unexpected
from workflows.contracts import Told

ATTEMPT = 9  # seconds for all that one attempt does; below an activity's start-to-close (12 s) and the lease (15 s)
_GIVE_UP_AFTER = timedelta(hours=1)


async def attempt(ledger: Ledger, claim: Claim, now: datetime, sending: Coroutine[Any, Any, Told]) -> Told:
    """Whatever goes wrong in a way that its sender does not know puts the message back: one message that can't be sent
    must not hold up what else there is to do. Raises what our own database raises when it is away."""
    try:
        async with asyncio.timeout(ATTEMPT):
            return await sending
    except UNAVAILABLE as error:
        if not isinstance(error, TimeoutError):
            raise  # our own database: Temporal tries again
        return await _put_back(ledger, claim, now, f"no answer within {ATTEMPT} s")
    except Exception as error:  # noqa: BLE001 - see above; the log has the whole of it
        note_unexpected(error)
        return await _put_back(ledger, claim, now, f"could not be sent: {type(error).__name__}")


async def _put_back(ledger: Ledger, claim: Claim, now: datetime, error: str) -> Told:
    if now - claim.created_at > _GIVE_UP_AFTER:
        return await ledger.settle(claim, Told.FAILED, now, error=error)
    delay = timedelta(seconds=min(5 * 2 ** min(claim.attempts, 6), 300))
    return await ledger.retry_later(claim, now, delay, error)
