"""What a look at a connection leads to: whether it is news, when to look again, and whose network it was. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from workflows.domain.status import HealthStatus

MOST_PATIENT = timedelta(hours=6)  # a Retry-After is honoured up to here
_LONGEST_BACKOFF = timedelta(hours=1)  # without a Retry-After
_JITTER, _MOST_JITTER = 0.01, timedelta(seconds=10)  # of the interval: keeps looks that began together from staying so


class Outcome(StrEnum):
    """What a look showed, as far as the sweep cares."""

    WORKING = "working"
    POOR = "poor"  # works now, but too often not, or too slowly, in the last hour
    LIMPING = "limping"  # part of it fails
    BROKEN = "broken"
    FAILED = "failed"  # may pass by itself
    RATE_LIMITED = "rate_limited"
    UNKNOWN = "unknown"  # the look was impossible: nobody's failure
    OUR_NETWORK = "our_network"  # no answer, but we had none from anybody

    @property
    def is_failure(self) -> bool:
        return self in {Outcome.LIMPING, Outcome.BROKEN, Outcome.FAILED}


class News(StrEnum):
    """What to do about it."""

    NOTHING = "nothing"
    STILL_WORKS = "still works"  # only the row's times move
    STILL_FAILS = "still fails"  # likewise; its incident is open, or nobody wants to hear of it
    WORKS_AGAIN = "works again"
    LIMPS = "limps"
    WORKS_POORLY = "works poorly"
    FAILED = "failed"
    RATE_LIMITED = "rate limited"


@dataclass(frozen=True)
class Streak:
    """Looks in a row that showed the same."""

    failures: int = 0
    successes: int = 0
    rate_limits: int = 0

    def after(self, outcome: Outcome) -> Streak:
        match outcome:
            case Outcome.WORKING | Outcome.POOR:
                return Streak(successes=self.successes + 1)
            case Outcome.BROKEN | Outcome.FAILED:
                return Streak(failures=self.failures + 1)
            case Outcome.LIMPING:
                return Streak(failures=self.failures)  # neither a success nor counted towards confirm_failures
            case Outcome.RATE_LIMITED:
                return replace(self, rate_limits=self.rate_limits + 1)
        return replace(self, rate_limits=0)


@dataclass(frozen=True)
class Standing:
    """An integration before the look; `same` says that the look before showed the very same."""

    status: HealthStatus
    failing: bool = False  # failures since the newest success
    muted: bool = False
    incident: Literal["none", "open", "recovering"] = "none"
    same: bool = False
    asked: bool = True  # by a request of ours; a passive monitor only reads what was reported to us


def news_of(outcome: Outcome, standing: Standing, streak: Streak, confirm_recoveries: int) -> News:
    """Only what changes something is news. `streak` includes this look."""
    match outcome:
        case Outcome.WORKING if not standing.asked:
            return News.NOTHING  # the reports that it read have been judged when they came in
        case Outcome.WORKING:
            if standing.status is HealthStatus.HEALTHY and not standing.failing and not standing.muted:
                return News.STILL_WORKS
            return News.WORKS_AGAIN if streak.successes >= confirm_recoveries else News.NOTHING
        case Outcome.POOR:
            is_known = standing.same and standing.status is HealthStatus.DEGRADED
            return News.NOTHING if is_known else News.WORKS_POORLY
        case Outcome.LIMPING:
            is_known = standing.same and standing.status is HealthStatus.DEGRADED
            return News.STILL_FAILS if is_known or _is_told(standing) else News.LIMPS
        case Outcome.BROKEN | Outcome.FAILED:
            return News.STILL_FAILS if _is_told(standing) else News.FAILED
        case Outcome.RATE_LIMITED:
            return News.RATE_LIMITED if streak.rate_limits == 1 else News.NOTHING
    return News.NOTHING


def _is_told(standing: Standing) -> bool:
    """A dead connection whose incident is open; or one that was closed by hand, of which nobody wants to hear."""
    dead = standing.status is HealthStatus.DISCONNECTED
    return dead and (standing.incident == "open" or standing.muted)


@dataclass(frozen=True)
class Pace:
    """How often to look, from the monitor and the policy."""

    interval: timedelta
    recheck_after: timedelta
    confirm_failures: int


def next_look(
    at: datetime, outcome: Outcome, streak: Streak, pace: Pace, retry_after: timedelta | None, chance: float
) -> datetime:
    """When to look again after a look at `at`. `streak` includes that look; `chance` is a random number from 0 to 1."""
    asked = min(retry_after or timedelta(), MOST_PATIENT)
    if outcome is Outcome.RATE_LIMITED:
        backoff: timedelta = pace.interval * 2 ** min(streak.rate_limits, 10)
        return at + max(pace.interval, asked, min(backoff, _LONGEST_BACKOFF))
    unconfirmed = outcome is Outcome.FAILED and streak.failures < pace.confirm_failures
    if unconfirmed or outcome is Outcome.OUR_NETWORK:
        return at + min(pace.interval, max(pace.recheck_after, asked))
    return at + pace.interval + chance * min(pace.interval * _JITTER, _MOST_JITTER)


_FEWEST_HOSTS, _SHARE = 10, 0.8


def is_our_network(answered: Mapping[str, bool], *, was_it: bool) -> bool:
    """Whether so many different hosts failed to answer at the same time that the fault must be on our side; if it was
    found there before, whether it still is, for which fewer hosts will do.

    `answered` tells for each host that was asked lately whether its newest request was answered, in whatever way.
    """
    silent = sum(not answer for answer in answered.values())
    enough = was_it or len(answered) >= _FEWEST_HOSTS
    return enough and silent >= _SHARE * len(answered)
