"""What a benchmark reports."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table; `ratio` is measured to floor, whatever the unit."""

    what: str
    measured: str
    floor: str
    ratio: float


async def median_seconds(call: Callable[[], Awaitable[object]], *, times: int, warm_up: int = 5) -> float:
    """The median of single calls, one after the other."""
    for _ in range(warm_up):
        await call()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def compare(what: str, seconds: float, floor: float, floor_is: str) -> Figure:
    """Two medians in milliseconds."""
    return Figure(what, f"{seconds * 1000:.1f} ms", f"{floor * 1000:.1f} ms ({floor_is})", seconds / floor)
