"""The sweep's own rows: which integrations are due, who looks at them, and what the looks showed.

A look is recorded in one transaction: the claim is settled by its token, and whatever follows from the look (events,
incidents, metrics) is written beside it. So a worker may die at any moment: either all of it is there, or the claim
runs out and the integration is looked at again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from activities.db.calendar import keep_ends
from activities.db.events import EventRefusedError, EventStore
from activities.db.metrics import Observed, add_metrics, recent
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.events import Event
from activities.findings import Claim, Looked, findings_of
from activities.probes.seen import MONITOR_SOURCE
from workflows.domain.diagnosis import Catalogue
from workflows.domain.metrics import Tally, why_poor
from workflows.domain.policy import Policy
from workflows.domain.status import HealthStatus
from workflows.domain.sweep import News, Outcome, Pace, Standing, Streak, news_of, next_look

_SQL = queries("monitoring")
_TELLING = {Outcome.WORKING: True, Outcome.LIMPING: False, Outcome.BROKEN: False, Outcome.FAILED: False}
_MOST_OFTEN = timedelta(seconds=1)  # a monitor may ask for less
_ATTEMPTS = 4  # at a transaction that lost a deadlock and was rolled back whole


@dataclass(frozen=True)
class Recorded:
    """`bells` are the incidents to be rung; `looks` counts those that were still ours to record."""

    looks: int = 0
    failures: int = 0
    bells: frozenset[UUID] = frozenset()

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(self.looks + other.looks, self.failures + other.failures, self.bells | other.bells)


@dataclass(frozen=True)
class _Judged:
    """A look, and what follows from it."""

    looked: Looked
    outcome: Outcome
    news: News
    why: str | None
    streak: Streak
    due_at: datetime

    @property
    def id(self) -> UUID:
        return self.looked.claim.integration

    @property
    def limping_since(self) -> datetime | None:
        """Since when every look that told anything showed it degraded."""
        match self.outcome:
            case Outcome.LIMPING | Outcome.POOR:
                return self.looked.claim.limping_since or self.looked.at
            case Outcome.WORKING | Outcome.BROKEN:
                return None
        return self.looked.claim.limping_since


class ProbeStore:
    def __init__(
        self, pool: Pool, events: EventStore, catalogue: Catalogue, chance: Callable[[], float] = random.random
    ) -> None:
        self._pool, self._events, self._catalogue, self._chance = pool, events, catalogue, chance

    async def claim(
        self, now: datetime, most: int, *, busy_hosts: Iterable[str], most_per_host: int, lease: timedelta
    ) -> list[Claim]:
        """Claims what is due, the longest due first; nobody else gets it until the lease has run out."""
        rows = await self._pool.fetch(_SQL["claim"], now, most, list(busy_hosts), most_per_host, lease)
        return [_claim(row) for row in rows]

    async def release(self, claims: Sequence[Claim], now: datetime) -> None:
        """Gives claims back unused; they are due at once."""
        await self._pool.execute(_SQL["release"], [claim.token for claim in claims], now)

    async def next_due(self) -> datetime | None:
        at: datetime | None = await self._pool.fetchval(_SQL["next_due"])
        return at

    async def record(self, looks: Sequence[Looked], policy: Policy) -> Recorded:
        """Records these looks, each at most once, in one transaction."""
        for attempt in range(_ATTEMPTS):
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    return await self._record(connection, looks, policy)
            except asyncpg.DeadlockDetectedError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def heal(self, now: datetime) -> frozenset[UUID]:
        """Level, not edge: a disconnected integration without an open incident gets one."""
        healed: set[UUID] = set()
        for row in await self._pool.fetch(_SQL["without_incident"]):
            last = await self._pool.fetchrow(queries("events")["last_failure_of"], row["id"])
            event = Event.model_validate(
                {
                    "source": MONITOR_SOURCE,
                    "event_id": f"{row['id']}/level/{row['next_number']}",
                    "customer_id": row["customer_id"],
                    "integration_type": row["integration_type"],
                    "integration_id": row["integration_id"],
                    "event_type": "integration_status_changed",
                    "new_status": "disconnected",
                    "occurred_at": now,
                    "error": last and last["error_details"],
                }
            )
            try:
                _, bells = await self._events.take([event])
            except EventRefusedError:
                continue  # it was healed by somebody else at this moment, or its name is ambiguous
            healed |= bells
        return frozenset(healed)

    async def _record(self, connection: Connection, looks: Sequence[Looked], policy: Policy) -> Recorded:
        await connection.fetch(_SQL["lock"], [look.claim.integration for look in looks])
        tokens = [look.claim.token for look in looks]
        ours = {row[0] for row in await connection.fetch(_SQL["still_claimed"], tokens)}
        mine = [look for look in looks if look.claim.integration in ours]
        if not mine:
            return Recorded()
        judged = await self._judge(connection, mine, policy)
        await _settle(connection, judged)
        counted = [_observed(j) for j in judged if j.outcome is not Outcome.OUR_NETWORK]
        await add_metrics(connection, counted, policy.metrics.bucket)
        await _move_times(connection, judged)
        bells = await self._tell(connection, judged)
        await _remember_limping(connection, judged)
        await keep_ends(connection, mine)
        return Recorded(len(judged), sum(j.outcome.is_failure for j in judged), frozenset(bells))

    async def _judge(self, connection: Connection, looks: Sequence[Looked], policy: Policy) -> list[_Judged]:
        rows = await connection.fetch(_SQL["standings"], [look.claim.integration for look in looks])
        standings = {row["id"]: row for row in rows}
        since = {
            look.claim.integration: _window_start(look, standings[look.claim.integration], policy)
            for look in looks
            if _may_be_poor(look, standings[look.claim.integration])
        }
        tallies = await recent(connection, since) if since else {}
        return [
            self._judge_one(look, standings[look.claim.integration], tallies.get(look.claim.integration), policy)
            for look in looks
        ]

    def _judge_one(self, looked: Looked, row: asyncpg.Record, tally: Tally | None, policy: Policy) -> _Judged:
        claim, outcome, why = looked.claim, looked.outcome, None
        if tally is not None:
            observed = Observed(claim.integration, looked.at, worked=True, latency=looked.seen.latency)
            why = why_poor(tally + observed.tally, policy.metrics.min_success, policy.metrics.max_p95)
            outcome = Outcome.POOR if why else outcome
        streak = claim.streak.after(outcome)
        standing = Standing(
            HealthStatus(row["status"]),
            failing=row["failing"],
            muted=row["muted"],
            incident=row["incident"],
            same=looked.verdict(outcome) == claim.verdict,
            asked=claim.host is not None,
        )
        news = news_of(outcome, standing, streak, policy.detection.confirm_recoveries)
        pace = Pace(
            max(_MOST_OFTEN, policy.monitoring.interval if claim.every is None else claim.every),
            policy.monitoring.recheck_after,
            policy.detection.confirm_failures,
        )
        due_at = next_look(looked.at, outcome, streak, pace, looked.seen.retry_after, self._chance())
        return _Judged(looked, outcome, news, why, streak, due_at)

    async def _tell(self, connection: Connection, judged: Sequence[_Judged]) -> set[UUID]:
        found = [f for j in judged for f in findings_of(j.looked, j.news, j.why, self._catalogue)]
        if not found:
            return set()
        known = {event.event_id: diagnosis for event, diagnosis in found if event.event_id and diagnosis}
        return await self._events.take_within(connection, [event for event, _ in found], known)


def _claim(row: asyncpg.Record) -> Claim:
    return Claim(
        integration=row["integration_health_id"],
        token=row["claim_token"],
        claimed_at=row["claimed_at"],
        lease_until=row["lease_until"],
        host=row["host"],
        every=row["every"],
        verdict=row["verdict"],
        streak=Streak(row["failures"], row["successes"], row["rate_limits"]),
        limping_since=row["limping_since"],
        customer=row["customer_id"],
        integration_type=row["integration_type"],
        integration_id=row["integration_id"],
    )


def _may_be_poor(looked: Looked, row: asyncpg.Record) -> bool:
    """Whether its past could make a working integration a degraded one: not while an incident is open, whose end that
    past must not delay."""
    return looked.outcome is Outcome.WORKING and looked.claim.host is not None and row["incident"] == "none"


def _window_start(looked: Looked, row: asyncpg.Record, policy: Policy) -> datetime:
    """What was before the last incident ended is over and done with."""
    closed_at: datetime | None = row["last_closed_at"]
    return max(filter(None, (looked.at - policy.metrics.window, closed_at)))


def _observed(judged: _Judged) -> Observed:
    worked = True if judged.outcome is Outcome.POOR else _TELLING.get(judged.outcome)
    return Observed(judged.id, judged.looked.at, worked, judged.looked.seen.latency)


async def _settle(connection: Connection, judged: Sequence[_Judged]) -> None:
    columns: list[list[Any]] = [
        [j.id for j in judged],
        [j.due_at for j in judged],
        [j.looked.at for j in judged],
        [j.looked.verdict(j.outcome) for j in judged],
        [j.streak.failures for j in judged],
        [j.streak.successes for j in judged],
        [j.streak.rate_limits for j in judged],
        [j.limping_since for j in judged],
        [j.looked.summary(j.outcome, j.why) for j in judged],
    ]
    await connection.execute(_SQL["settle"], *columns)


async def _move_times(connection: Connection, judged: Sequence[_Judged]) -> None:
    """What is no news only moves the times of its row."""
    for news, statement in ((News.STILL_WORKS, "still_works"), (News.STILL_FAILS, "still_fails")):
        moved = [j for j in judged if j.news is news]
        if moved:
            await connection.execute(_SQL[statement], [j.id for j in moved], [j.looked.at for j in moved])


async def _remember_limping(connection: Connection, judged: Sequence[_Judged]) -> None:
    """A success that the product reports in between ends a run of failures, but not what our looks keep seeing."""
    limping = [(j.id, j.limping_since) for j in judged if j.limping_since and j.limping_since < j.looked.at]
    if limping:
        await connection.execute(_SQL["limping_since"], *map(list, zip(*limping, strict=True)))
