"""When to warn that a credential is about to end (roadmap: before it breaks). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

# An end that moved by less than this is the same end, read at another moment ("expires in 86,399 seconds").
SAME_END = timedelta(hours=1)


def is_same_end(known: datetime, seen: datetime) -> bool:
    return abs(seen - known) < SAME_END


def due_step(
    ends_at: datetime, known_since: datetime, now: datetime, steps: Sequence[timedelta], *, renews_itself: bool
) -> timedelta | None:
    """The step of the ladder that is to be told now, as time before the end; None if none is, or the end has passed.

    Of several overdue steps it is the one nearest to the end: whoever hears of "1 day" needs no "30 days" any more.
    What is renewed in everyday use (a refresh token) is not warned of in the first half of its life: one that lives for
    a day would otherwise always be about to end.
    """
    left = ends_at - now
    if left <= timedelta():
        return None
    life = ends_at - known_since
    return min((step for step in steps if step >= left and not (renews_itself and 2 * step > life)), default=None)
