"""One sweep: claims what is due, looks at much of it at once and little of it at one host, records as results come in.

Nothing in here knows Temporal; `activities/monitoring.py` is the activity around it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from activities.db.monitoring import ProbeStore, Recorded
from activities.db.outages import OutageStore
from activities.db.pool import UNAVAILABLE
from activities.egress import Egress
from activities.findings import Claim, Looked
from activities.probes.seen import Seen
from workflows.contracts import Check
from workflows.domain.policy import Policy

LEASE = timedelta(minutes=2)
_LOOK = timedelta(seconds=45)  # the longest look; a claim with less time left is given back
_RECORD_EVERY, _RECORD_AT = 1.0, 200  # seconds, looks
_HOLD = 8.0  # seconds that unanswered looks wait for others, to be judged together
_QUEUE = 4  # looks that may wait for each place at a host, and for each place in all
_POLL = 1.0  # seconds between two questions for what is due
_PATIENCE = 30.0  # seconds that results are kept while the database is away
_log = structlog.get_logger()

Look = Callable[[UUID], Awaitable[Seen]]


class Rings(Protocol):
    """What rings incidents' bells: starter.ring.Ring. What it misses is made up for by the reconciler."""

    async def soon(self, incidents: Iterable[UUID]) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Sweeper:
    """What every sweep needs. Any number of sweeps, in any number of processes, share the work."""

    store: ProbeStore
    outages: OutageStore
    look: Look
    egress: Egress
    rings: Rings
    policy: Callable[[], Policy]
    clock: Callable[[], datetime] = utc_now
    lease: timedelta = LEASE

    async def sweep(self, seconds: float, *, linger: bool = True, stop: Callable[[], bool] = lambda: False) -> Recorded:
        """Looks at whatever is due for so many seconds, then finishes what it began. Without `linger` it ends as soon
        as nothing is due; with it, what becomes due meanwhile is looked at within a second.

        A look is never cancelled: one that renews a grant would lose it. Raises what a database that is away raises.
        """
        return await _Sweep(self, self.policy()).run(time.monotonic() + seconds, linger=linger, stop=stop)


@dataclass
class _Result:
    looked: Looked
    at: float  # of this machine's clock


class _Sweep:
    """What one sweep is doing at the moment."""

    def __init__(self, by: Sweeper, policy: Policy) -> None:
        self._by, self._policy = by, policy
        self._in_all = asyncio.Semaphore(policy.monitoring.concurrency)
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(policy.monitoring.per_host)
        )
        self._at_host: Counter[str] = Counter()
        self._looking: set[asyncio.Task[None]] = set()
        self._results: list[_Result] = []
        self._claim_again_at = 0.0
        self._trouble = False  # the database was away: finish what there is, then let the next sweep go on

    async def run(self, end: float, *, linger: bool, stop: Callable[[], bool]) -> Recorded:
        done = Recorded()
        await self._ring(await self._by.store.heal(self._by.clock()))
        await self._by.outages.refresh()
        try:
            while True:
                over = self._trouble or stop() or time.monotonic() >= end
                started = 0 if over else await self._start()
                await self._wait(linger=linger or started > 0)
                if self._is_time_to_record():
                    done += await self._record()
                if not self._looking and not self._results and (over or not (started or linger)):
                    return done
        finally:
            if self._looking:
                await asyncio.wait(set(self._looking))

    async def _start(self) -> int:
        """Claims and begins more looks; returns how many."""
        rules = self._policy.monitoring
        room = rules.concurrency * _QUEUE - len(self._looking)
        if room < rules.concurrency * _QUEUE // 2 or (self._looking and time.monotonic() < self._claim_again_at):
            return 0  # a few large claims are cheaper than many small ones
        at_most = rules.per_host * _QUEUE
        busy = [host for host, count in self._at_host.items() if count >= at_most]
        claims = await self._by.store.claim(
            self._by.clock(), room, busy_hosts=busy, most_per_host=at_most, lease=self._by.lease
        )
        self._claim_again_at = time.monotonic() + (_POLL if len(claims) < room else 0)
        for claim in claims:
            self._at_host[claim.host or ""] += claim.host is not None
            task = asyncio.create_task(self._look_at(claim))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)
        return len(claims)

    async def _wait(self, *, linger: bool) -> None:
        if self._looking:
            await asyncio.wait(set(self._looking), timeout=_POLL, return_when=asyncio.FIRST_COMPLETED)
        elif linger and not self._results:
            await asyncio.sleep(_POLL)

    async def _look_at(self, claim: Claim) -> None:
        began_at = self._by.clock()
        try:
            async with self._place_at(claim.host), self._in_all:
                began_at = self._by.clock()
                if claim.lease_until - began_at < min(_LOOK, self._by.lease / 2):
                    await self._by.store.release([claim], began_at)
                    return
                seen = await self._by.look(claim.integration)
        except UNAVAILABLE as error:
            _log.warning("a look was given up: the database is away", error=type(error).__name__)
            return  # the claim runs out, then it is looked at again
        except Exception as error:  # noqa: BLE001 - one monitor that trips over itself must not stop the others
            _log.exception("a look failed by a mistake of ours", integration=str(claim.integration))
            seen = Seen(Check.INCONCLUSIVE, f"the look itself failed: {type(error).__name__}")
        finally:
            self._at_host[claim.host or ""] -= claim.host is not None
        looked = Looked(claim, began_at, seen)
        if claim.host is not None and (looked.is_unanswered or seen.latency is not None):
            self._by.egress.note(claim.host, answered=not looked.is_unanswered)
        self._results.append(_Result(looked, time.monotonic()))

    def _place_at(self, host: str | None) -> AbstractAsyncContextManager[object]:
        """Taken before a place in all: whoever waits for a busy host keeps nobody else waiting."""
        return nullcontext() if host is None else self._hosts[host]

    def _is_time_to_record(self) -> bool:
        if not self._results:
            return False
        oldest = time.monotonic() - self._results[0].at
        return not self._looking or len(self._results) >= _RECORD_AT or oldest >= _RECORD_EVERY

    async def _record(self) -> Recorded:
        ripe = self._ripe()
        done = Recorded()
        try:
            looks = await self._blamed([result.looked for result in ripe])
            for start in range(0, len(looks), _RECORD_AT):
                done += await self._record_some(looks[start : start + _RECORD_AT])
        except UNAVAILABLE as error:
            if not ripe or time.monotonic() - ripe[0].at > _PATIENCE:
                raise
            self._trouble = True
            _log.warning("results are kept: the database is away", error=type(error).__name__, looks=len(ripe))
            self._results = ripe + self._results  # recorded twice they do no harm: the claims are settled
            await asyncio.sleep(_POLL)
        await self._ring(done.bells)
        return done

    def _ripe(self) -> list[_Result]:
        """Takes the results that can be judged. Unanswered ones wait a little for others of the same moment, which
        tell whether it was their network or ours."""
        now = time.monotonic()
        ripe: list[_Result] = []
        waiting: list[_Result] = []
        for result in self._results:
            waits = result.looked.is_unanswered and self._looking and now - result.at < _HOLD
            (waiting if waits else ripe).append(result)
        self._results = waiting
        return ripe

    async def _blamed(self, looks: list[Looked]) -> list[Looked]:
        """The same looks; unanswered ones marked if it was our own network that failed."""
        unanswered = sum(looked.is_unanswered for looked in looks)
        if not unanswered and not self._by.outages.is_open:
            return looks
        rules = self._policy.monitoring
        down = await self._by.egress.is_down(rules.canaries, rules.recheck_after, was_down=self._by.outages.is_open)
        await self._by.outages.note(self._by.clock(), self._policy, down=down, unanswered=unanswered)
        return [replace(looked, our_network=True) if down and looked.is_unanswered else looked for looked in looks]

    async def _record_some(self, looks: Sequence[Looked]) -> Recorded:
        try:
            return await self._by.store.record(looks, self._policy)
        except UNAVAILABLE:
            raise
        except Exception:  # noqa: BLE001 - one result that can't be written must not hold up the others
            if len(looks) == 1:
                _log.exception("a look can't be recorded", integration=str(looks[0].claim.integration))
                return Recorded()
            half = len(looks) // 2
            return await self._record_some(looks[:half]) + await self._record_some(looks[half:])

    async def _ring(self, incidents: frozenset[UUID]) -> None:
        if incidents:
            await self._by.rings.soon(incidents)
