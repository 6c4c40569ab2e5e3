"""Success is counted over all integrations there are: what was counted a moment ago is shown again instead."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import UUID

from activities.reliability import Reliability, SuccessReport

FRESH = timedelta(minutes=1)
_MOST = 32  # reports; each is of one window, of all customers or of one


class RecentSuccess:
    """Of several who ask at once, one counts and the others wait for it."""

    def __init__(self, reliability: Reliability) -> None:
        self._reliability = reliability
        self._known: OrderedDict[tuple[timedelta, UUID | None], SuccessReport] = OrderedDict()
        self._counting = asyncio.Lock()

    async def report(
        self, window: timedelta, now: datetime, only: UUID | None, moment: datetime | None
    ) -> SuccessReport:
        """At most a minute old; with a `moment`, of exactly that one, so that pages of a list fit together."""
        async with self._counting:
            known = self._known.get((window, only))
            if known is not None and (known.window.end == moment if moment else now - known.window.end < FRESH):
                return known
            report = await self._reliability.success(window, moment or now, only)
            if moment is None:
                self._known[window, only] = report
                self._known.move_to_end((window, only))
                if len(self._known) > _MOST:
                    self._known.popitem(last=False)
            return report
