"""Whether an integration that should call us has gone silent: it looks connected, and is dead. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_LEAST_GRACE, _MOST_GRACE = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Pulse:
    """`silent_for` counts from the newest success, or from the registration if there never was one."""

    silent_for: timedelta
    ever: bool
    is_dead: bool


def grace(every: timedelta) -> timedelta:
    """How much later than `every` a call may come before anybody is disturbed: a quarter of it, 1 minute to 1 hour."""
    return min(max(every / 4, _LEAST_GRACE), _MOST_GRACE)


def feel_pulse(
    every: timedelta, last_successful_sync: datetime | None, registered_at: datetime | None, now: datetime
) -> Pulse:
    """Dead once nothing came for longer than `every` and its grace; a new integration gets the same time for its first
    call. A time in the future (their clock) counts as now."""
    newest = max(filter(None, (last_successful_sync, registered_at)), default=now)
    silent_for = max(now - newest, timedelta())
    return Pulse(silent_for, ever=last_successful_sync is not None, is_dead=silent_for > every + grace(every))
