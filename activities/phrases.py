"""How times, durations, money and names are written in messages and pages. Pure, English, without a process locale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from activities.views import Person, PreviousIncident

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY = 86_400


def zone(name: str | None) -> tzinfo:
    """The time zone of that IANA name; UTC for None and for a name that this machine does not know."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):  # unknown, unsafe or unreadable
        return UTC


def day(at: datetime, where: tzinfo) -> str:
    """ "Jan 29, 2026" """
    local = at.astimezone(where)
    return f"{_MONTHS[local.month - 1]} {local.day}, {local.year}"


def clock(at: datetime, where: tzinfo) -> str:
    """ "10:45 AM" """
    local = at.astimezone(where)
    return f"{local.hour % 12 or 12}:{local.minute:02} {'AM' if local.hour < 12 else 'PM'}"


def moment(at: datetime, where: tzinfo) -> str:
    """ "Jan 29, 2026 at 10:45 AM" (PRD-101 §5.1), as the clock on that reader's wall showed it."""
    return f"{day(at, where)} at {clock(at, where)}"


def moment_with_zone(at: datetime, where: tzinfo) -> str:
    """Like `moment`, with "UTC" behind it where that is the zone, for texts that have no other place to say so."""
    return moment(at, where) + (" UTC" if where is UTC else "")


def slot(at: datetime, where: tzinfo) -> str:
    """ "Friday, Jan 30, 2026 at 10:00 AM": a time to be kept; which zone it is in has to be said beside it.

    In the hour that comes twice when clocks go back, with which of both is meant: "1:30 AM EST".
    """
    local = at.astimezone(where)
    comes_twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{_DAYS[local.weekday()]}, {moment(at, where)}{f' {local:%Z}' if comes_twice else ''}"


def ago(then: datetime, now: datetime) -> str:
    """ "just now", "1 minute ago", "3 hours ago", "2 days ago"; a time still to come is "just now"."""
    passed = now - then
    return "just now" if passed < timedelta(minutes=1) else f"{roughly(passed)} ago"


def ahead(left: timedelta) -> str:
    """ "in 14 days", "in 5 hours"; rounded up, so that a warning of 14 days says 14."""
    hours = max(math.ceil(left / timedelta(hours=1)), 1)
    if hours > 24:
        return f"in {counted(math.ceil(left / timedelta(days=1)), 'day')}"
    return f"in {counted(hours, 'hour')}"


def roughly(duration: timedelta) -> str:
    """The largest whole unit: "2 hours". Hours up to two days, because "1 day ago" hides whether it was yesterday."""
    seconds = int(duration.total_seconds())
    if seconds < 60:
        return "less than a minute"
    if seconds < 3600:
        return counted(seconds // 60, "minute")
    if seconds < 2 * _DAY:
        return counted(seconds // 3600, "hour")
    return counted(seconds // _DAY, "day")


def counted(count: int, noun: str) -> str:
    """ "1 hour", "3 hours" """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def money(amount: Decimal | None) -> str:
    """ "$200,000" (cents only where there are any), or "not known"."""
    if amount is None or not amount.is_finite():
        return "not known"
    digits = f"{abs(amount):,.0f}" if amount == amount.to_integral_value() else f"{abs(amount):,.2f}"
    return f"{'-' if amount < 0 else ''}${digits}"


def named(person: Person | None) -> str | None:
    """A person's name, or else the address."""
    return (person.name or person.email) if person else None


def introduced(person: Person | None) -> str | None:
    """ "Bob Smith (IT Admin)" """
    name = named(person)
    return f"{name} ({person.title})" if name and person and person.title else name


def previously(previous: PreviousIncident | None, count: int, where: tzinfo) -> str:
    """ "Never", "Mar 3, 2026 (fixed in 2 hours)" or "Mar 3, 2026 (fixed in 2 hours; 3 times before)"."""
    if previous is None:
        return "Never"
    fixed = f"fixed in {roughly(previous.closed_at - previous.opened_at)}" if previous.closed_at else "not fixed"
    often = f"; {count} times before" if count > 1 else ""
    return f"{day(previous.opened_at, where)} ({fixed}{often})"


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters; what is cut off becomes "…", after a whole word where that costs little."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    if space >= limit * 2 // 3:
        cut = cut[:space]
    return cut.rstrip(" ,;:.-") + "…"


def together(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c" """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
