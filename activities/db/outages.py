"""Times when our own network was to blame: remembered, and told to our engineers once each."""

from __future__ import annotations

from datetime import datetime

import structlog

from activities.db.pool import Pool
from activities.db.sql import queries
from activities.db.warnings import EGRESS, About, Addressee, intend_notice
from workflows.domain.policy import Policy, Role

_SQL = queries("monitoring")
_log = structlog.get_logger()


class OutageStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.is_open = False

    async def refresh(self) -> None:
        """Learns whether an outage is under way, also one that another process noticed."""
        self.is_open = await self._pool.fetchval(_SQL["open_outage"]) is not None

    async def note(self, now: datetime, policy: Policy, *, down: bool, unanswered: int) -> None:
        """Our network is down, or is not: begins or ends the outage if that is news."""
        if down and not self.is_open:
            await self._begin(now, policy, unanswered)
        elif not down and self.is_open:
            ended = await self._pool.fetchrow(_SQL["end_outage"], now)
            if ended is not None:
                _log.warning("our own network works again", outage=str(ended["id"]), began_at=str(ended["began_at"]))
        self.is_open = down

    async def _begin(self, now: datetime, policy: Policy, unanswered: int) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            outage = await connection.fetchval(_SQL["begin_outage"], now, {"unanswered": unanswered})
            if outage is None:
                return  # another process was faster
            _log.error("our own network fails: nobody answers us, so nobody is blamed", outage=str(outage))
            to = policy.people.engineering
            engineering = Addressee(Role.ENGINEERING, EGRESS, to.slack or to.email or None, to.email or None)
            await intend_notice(connection, f"egress/{outage}", About(outage=outage), engineering)
