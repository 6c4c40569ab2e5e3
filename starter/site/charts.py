"""What our looks at an integration measured, as shapes of an SVG: how many failed, and how long answers took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import reduce
from itertools import groupby
from operator import add
from typing import Any

from activities import phrases
from activities.db.metrics import Bucket
from starter.reporting import percent
from workflows.domain.metrics import Tally

WIDTH, HEIGHT = 4.0, 48.0  # of one slot, and of the whole chart
_SLOTS = 96
_LEAST = 0.08  # of a slot's height: one failure of many must be seen


def looks(buckets: Sequence[Bucket], bucket: timedelta, until: datetime, window: timedelta) -> dict[str, Any]:
    """Buckets added up to slots of equal length, the last of which ends `until`; a slot without a look is a gap."""
    slot = max(bucket, window / _SLOTS)
    count = round(window / slot)
    since = until - window
    by_slot = groupby(buckets, key=lambda b: min(max(int((b.start - since) / slot), 0), count - 1))
    seen = {n: reduce(add, (one.tally for one in of_slot), Tally()) for n, of_slot in by_slot}
    most = max((t.p95 for t in seen.values() if t.p95), default=None)
    whole = reduce(add, seen.values(), Tally())
    return {
        "slots": [_slot(n, since + n * slot, seen[n]) for n in sorted(seen)],
        "width": count * WIDTH,
        "p50": _path(((n, t.p50) for n, t in sorted(seen.items())), most),
        "p95": _path(((n, t.p95) for n, t in sorted(seen.items())), most),
        "most": most and _seconds(most),
        "success": percent(whole.success_rate),
        "typical": _seconds(whole.p50) if whole.p50 else "–",
        "slowest": _seconds(whole.p95) if whole.p95 else "–",
        "looks": whole.probes,
        "failures": whole.failures,
        "each": phrases.roughly(slot),
    }


def _slot(n: int, at: datetime, tally: Tally) -> dict[str, Any]:
    failing = 0.0 if tally.success_rate is None else 1 - tally.success_rate
    return {
        "x": n * WIDTH,
        "at": at,
        "probes": tally.probes,
        "failures": tally.failures,
        "success": percent(tally.success_rate),
        "p50": _seconds(tally.p50) if tally.p50 else "–",
        "p95": _seconds(tally.p95) if tally.p95 else "–",
        "failing": round(HEIGHT * max(failing, _LEAST), 2) if failing else 0,
    }


def _path(points: Iterable[tuple[int, timedelta | None]], most: timedelta | None) -> str:
    """A line through these points, broken where a slot is missing; a point that stands alone is a short line."""
    drawn, last = [], None
    for n, value in points:
        if value is None or most is None:
            continue
        y = HEIGHT - HEIGHT * 0.96 * (value / most)
        x = (n + 0.5) * WIDTH
        drawn.append(f"L{x:g} {y:.2f}" if last == n - 1 else f"M{x - 0.5:g} {y:.2f}L{x:g} {y:.2f}")
        last = n
    return "".join(drawn)


def _seconds(duration: timedelta) -> str:
    """ "85 ms", "1.2 s" """
    seconds = duration.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
