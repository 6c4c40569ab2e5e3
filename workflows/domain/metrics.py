"""Health metrics of an integration (FR-1.5): success rate and latency, in a form that can be added up. Pure.

Latencies are kept as a histogram of logarithmic bins, so that a quarter of an hour costs a few dozen numbers, buckets
of any length add up to longer ones, and a quantile is never off by more than one bin, that is by 19 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

_LEAST = 0.001  # seconds: the first bin holds everything up to here
_BINS_PER_DOUBLING = 4
MOST_BINS = 68  # the last one holds everything above some 110 s
PRECISION = 2 ** (1 / _BINS_PER_DOUBLING)

Histogram = Sequence[int]


def bin_of(latency: timedelta) -> int:
    """The bin that a latency is counted in."""
    seconds = latency.total_seconds()
    if seconds <= _LEAST:
        return 0
    return min(math.ceil(math.log2(seconds / _LEAST) * _BINS_PER_DOUBLING), MOST_BINS - 1)


def histogram_of(latencies: Iterable[timedelta]) -> list[int]:
    """No longer than its last filled bin."""
    bins = [bin_of(latency) for latency in latencies]
    return [bins.count(n) for n in range(max(bins, default=-1) + 1)]


def added(one: Histogram, other: Histogram) -> list[int]:
    return [a + b for a, b in zip_longest(one, other, fillvalue=0)]


def quantile(histogram: Histogram, share: float) -> timedelta | None:
    """The latency that `share` of the looks did not exceed, interpolated within its bin; None if there were none."""
    total = sum(histogram)
    if not total:
        return None
    wanted, passed = max(share * total, 0.5), 0
    for n, count in enumerate(histogram):
        if count and passed + count >= wanted:
            low, high = _edge(n - 1) if n else 0.0, _edge(n)
            return timedelta(seconds=low + (high - low) * (wanted - passed) / count)
        passed += count
    raise AssertionError("unreachable: the counts add up to the total")


def _edge(n: int) -> float:
    """The upper end of a bin, in seconds."""
    return float(_LEAST * 2 ** (n / _BINS_PER_DOUBLING))


@dataclass(frozen=True)
class Tally:
    """Looks within some time. `probes` also counts those that told nothing, such as a rate limit."""

    probes: int = 0
    successes: int = 0
    failures: int = 0
    latency: tuple[int, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.probes + other.probes,
            self.successes + other.successes,
            self.failures + other.failures,
            tuple(added(self.latency, other.latency)),
        )

    @property
    def success_rate(self) -> float | None:
        """None if nothing succeeded and nothing failed."""
        told = self.successes + self.failures
        return self.successes / told if told else None

    @property
    def p50(self) -> timedelta | None:
        return quantile(self.latency, 0.5)

    @property
    def p95(self) -> timedelta | None:
        return quantile(self.latency, 0.95)


FEWEST = 6  # looks; fewer say little about a rate or a slowest twentieth


def why_poor(tally: Tally, min_success: float, max_p95: timedelta) -> str | None:
    """What makes an integration that works at the moment degraded all the same; None if nothing does."""
    rate, p95 = tally.success_rate, tally.p95
    if rate is not None and tally.successes + tally.failures >= FEWEST and rate < min_success:
        return f"only {tally.successes} of {tally.successes + tally.failures} looks succeeded lately"
    if p95 is not None and sum(tally.latency) >= FEWEST and p95 > max_p95:
        return f"the slowest answers took {p95.total_seconds():.1f} s lately"
    return None


def bucket_start(at: datetime, bucket: timedelta) -> datetime:
    """The beginning of the bucket that this time (aware UTC) belongs to; buckets begin anew at midnight."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // bucket * bucket
