"""A CSM's week, as it may be told: every name that `weekly_digest` may print, listed in templates/README.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from statistics import median
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from activities import phrases
from activities.rendering_facts import LINE, NAME, UNNAMED, Telling
from activities.rendering_safety import one_line
from workflows.domain.durations import how_long

MOST, MOST_FRAGILE = 8, 3  # of a kind: a digest is read in a minute
T = TypeVar("T")


class _OfIntegration(BaseModel):
    model_config = ConfigDict(frozen=True)

    customer: str
    integration: str


class StillOpen(_OfIntegration):
    """An incident that is not over."""

    kind: str
    status: str
    severity: str
    who_fixes: str
    opened_at: datetime
    acknowledged: bool
    snoozed_until: datetime | None


class Mended(_OfIntegration):
    """An incident that ended with a repair, `verified` by our own look or `reported`."""

    resolution: str
    opened_at: datetime
    closed_at: datetime

    @property
    def lasted(self) -> timedelta:
        return self.closed_at - self.opened_at


class Fragile(_OfIntegration):
    """An integration that fails again and again: why we say so, and what would end it. Whole sentences."""

    reason: str
    suggestion: str


class Ending(_OfIntegration):
    """A credential that is about to end."""

    label: str
    ends_at: datetime
    customer_renews: bool


class DigestView(BaseModel):
    """One CSM's week, the most urgent of each kind first; times are aware UTC."""

    model_config = ConfigDict(frozen=True)

    began_at: datetime
    ended_at: datetime
    still_open: tuple[StillOpen, ...] = ()
    mended: tuple[Mended, ...] = ()
    fragile: tuple[Fragile, ...] = ()
    ending: tuple[Ending, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """There is nothing to tell."""
        return not (self.still_open or self.mended or self.fragile or self.ending)


def digest_facts(view: DigestView, telling: Telling) -> dict[str, object]:
    """Everything that `weekly_digest` may print, in the reader's time zone."""
    reader = telling.reader
    name = one_line(reader.name, NAME) if reader and reader.name else None
    return {
        "product_name": one_line(telling.product_name, NAME),
        "reader_name": name,
        "week": _week(view, telling),
        "reason": _in_short(view),
        "still_open": _some(view.still_open, lambda i: _open(i, telling)),
        "still_open_count": len(view.still_open),
        "mended": _some(view.mended, _mended),
        "mended_count": len(view.mended),
        "verified_count": sum(i.resolution == "verified" for i in view.mended),
        "typically": _typically(view.mended) if view.mended else None,
        "fragile": [_fragile(integration) for integration in view.fragile[:MOST_FRAGILE]],
        "fragile_count": len(view.fragile),
        "ending": _some(view.ending, lambda e: _ending(e, telling)),
        "ending_count": len(view.ending),
    }


def _some(things: Sequence[T], told: Callable[[T], dict[str, object]]) -> list[dict[str, object]]:
    return [told(thing) for thing in things[:MOST]]


def _week(view: DigestView, telling: Telling) -> str:
    """ "Nov 16 to Nov 22, 2026": the days between the two Mondays."""
    first: date = view.began_at.astimezone(telling.zone).date()
    last: date = view.ended_at.astimezone(telling.zone).date() - timedelta(days=1)
    return f"{first:%b} {first.day} to {last:%b} {last.day}, {last.year}"


def _in_short(view: DigestView) -> str:
    counts = (
        (view.still_open, "open"), (view.mended, "resolved"), (view.fragile, "fragile"), (view.ending, "about to end"),
    )  # fmt: skip
    return ", ".join(f"{len(things)} {word}" for things, word in counts if things)


def _typically(mended: Sequence[Mended]) -> str:
    return how_long(timedelta(seconds=median(incident.lasted.total_seconds() for incident in mended)))


def _named(of: _OfIntegration) -> dict[str, object]:
    return {
        "customer": one_line(of.customer, NAME) or UNNAMED,
        "integration": one_line(of.integration, NAME) or UNNAMED,
    }


def _open(incident: StillOpen, telling: Telling) -> dict[str, object]:
    snoozed = incident.snoozed_until is not None and incident.snoozed_until > telling.now
    state = incident.status if incident.status == "recovering" else "snoozed" if snoozed else "open"
    return {
        **_named(incident),
        "kind": incident.kind,
        "severity": incident.severity,
        "who_fixes": incident.who_fixes,
        "state": "acknowledged" if state == "open" and incident.acknowledged else state,
        "snoozed_until": telling.moment(incident.snoozed_until) if snoozed else None,
        "down_for": how_long(max(telling.now - incident.opened_at, timedelta())),
    }


def _mended(incident: Mended) -> dict[str, object]:
    lasted = how_long(incident.lasted)
    return {**_named(incident), "resolution": incident.resolution, "down_for": lasted}


def _fragile(of: Fragile) -> dict[str, object]:
    return {**_named(of), "reason": one_line(of.reason, LINE), "suggestion": one_line(of.suggestion, LINE)}


def _ending(credential: Ending, telling: Telling) -> dict[str, object]:
    return {
        **_named(credential),
        "credential": one_line(credential.label, LINE),
        "ends": phrases.day(credential.ends_at, telling.zone),
        "ends_in": phrases.ahead(credential.ends_at - telling.now),
        "customer_renews": credential.customer_renews,
    }
