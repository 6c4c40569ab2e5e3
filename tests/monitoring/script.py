"""What happens to 500 integrations on one day: the trouble, and what a look at each moment shows."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from activities.probes.seen import EndpointSeen, Seen
from tests.monitoring.scene import LIMITED, REVOKED, TIMEOUT, UNAVAILABLE, WORKING
from workflows.contracts import Check

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Trouble(StrEnum):
    REVOKED = "grant revoked, reconnected hours later"
    DOWN = "endpoint down for hours (503)"
    UNREACHABLE = "host unreachable for hours"
    LOST_RACE = "product lost a rotation race (invalid_grant)"
    DEGRADED = "one of two endpoints failing for hours"
    BLIP = "time-out for up to 29 s"
    PROVIDER_BLIP = "provider down for 29 s"
    LIMITED = "rate limited for up to two hours"
    FLAPPING = "fails 20 s of every 80 s, for hours"
    UNTOLD = "look impossible (somebody else's takes too long)"
    LATE_NEWS = "failure reported after the recovery"
    OUR_NETWORK = "our own network down for 7 min"


ALARMING = {Trouble.REVOKED, Trouble.DOWN, Trouble.UNREACHABLE}  # an incident is due, and only for these

_HALF = Seen(
    Check.DEGRADED,
    "1 of 2 endpoints did not answer as expected",
    UNAVAILABLE.failure,
    UNAVAILABLE.diagnosis,
    latency=timedelta(milliseconds=90),
    endpoints=(EndpointSeen("contacts", Check.WORKING, 200), EndpointSeen("deals", Check.INCONCLUSIVE, 503)),
)
_UNTOLD = Seen(Check.INCONCLUSIVE, "another look at this connection takes too long")
_LIMITED_FOR = Seen(LIMITED.check, "429", LIMITED.failure, LIMITED.diagnosis, retry_after=17 * MINUTE)
_SHOWS = {
    Trouble.REVOKED: REVOKED,
    Trouble.DOWN: UNAVAILABLE,
    Trouble.UNREACHABLE: TIMEOUT,
    Trouble.DEGRADED: _HALF,
    Trouble.BLIP: TIMEOUT,
    Trouble.PROVIDER_BLIP: UNAVAILABLE,
    Trouble.LIMITED: LIMITED,
    Trouble.UNTOLD: _UNTOLD,
    Trouble.OUR_NETWORK: TIMEOUT,
}


@dataclass
class Scripted:
    """One trouble of one integration."""

    kind: Trouble
    integration: UUID
    begins_at: datetime
    ends_at: datetime
    detected_at: datetime | None = None
    looks: int = 0  # that it was seen by

    def holds(self, at: datetime) -> bool:
        return self.begins_at <= at < self.ends_at


@dataclass
class Script:
    """`random` is seeded: the day is the same each time."""

    ids: list[UUID]
    start: datetime
    chance: random.Random
    by_integration: defaultdict[UUID, list[Scripted]] = field(default_factory=lambda: defaultdict(list))
    ours: list[Scripted] = field(default_factory=list)

    def __post_init__(self) -> None:
        rest = iter(self.chance.sample(self.ids, len(self.ids)))
        for kind, count, hours in (
            (Trouble.REVOKED, 30, (1.0, 6.0)),
            (Trouble.DOWN, 20, (1.0, 5.0)),
            (Trouble.UNREACHABLE, 15, (1.0, 4.0)),
            (Trouble.DEGRADED, 20, (2.0, 8.0)),
            (Trouble.LIMITED, 40, (0.1, 2.0)),
            (Trouble.FLAPPING, 20, (3.0, 6.0)),
            (Trouble.LOST_RACE, 15, (0.0, 0.0)),
            (Trouble.LATE_NEWS, 20, (0.0, 0.0)),
            (Trouble.UNTOLD, 20, (0.2, 1.0)),
        ):
            for _ in range(count):
                self.add(kind, next(rest), self.sometime(), self.chance.uniform(*hours) * HOUR)
        for integration in self.ids:  # everybody's ordinary troubles, on top of the others
            for _ in range(self.chance.randrange(20)):
                self.add_blip(Trouble.BLIP, integration, self.sometime(), self.chance.uniform(5, 29) * SECOND)
        for _ in range(50):
            at = self.sometime()
            for integration in self.chance.sample(self.ids, 100):
                self.add_blip(Trouble.PROVIDER_BLIP, integration, at, 29 * SECOND)
        self.ours = [
            Scripted(Trouble.OUR_NETWORK, self.ids[0], at, at + 7 * MINUTE)
            for at in (self.start + 5.2 * HOUR, self.start + 15.7 * HOUR)
        ]

        self.degraded = [t for t in self.all() if t.kind is Trouble.DEGRADED]

    def sometime(self) -> datetime:
        """Late enough for a first look before it, early enough for an end."""
        return self.start + self.chance.uniform(0.5, 15) * HOUR

    def add(self, kind: Trouble, integration: UUID, at: datetime, span: timedelta) -> None:
        self.by_integration[integration].append(Scripted(kind, integration, at, at + span))

    def add_blip(self, kind: Trouble, integration: UUID, at: datetime, span: timedelta) -> None:
        """Two blips in a row, or one on top of a flapping, would be one long enough to be confirmed."""
        passing = {Trouble.BLIP, Trouble.PROVIDER_BLIP, Trouble.FLAPPING}
        others = (t for t in self.by_integration[integration] if t.kind in passing)
        if all(at < t.begins_at - 3 * MINUTE or at > t.ends_at + 3 * MINUTE for t in others):
            self.add(kind, integration, at, span)

    def all(self) -> Iterator[Scripted]:
        for troubles in self.by_integration.values():
            yield from troubles
        yield from self.ours

    def alarming(self, integration: UUID, at: datetime) -> Scripted | None:
        """The trouble that an incident at this moment would rightly be about."""
        return next((t for t in self.by_integration[integration] if t.kind in ALARMING and t.holds(at)), None)

    def show(self, integration: UUID, at: datetime) -> Seen:
        """What a look at this moment shows: the worst of what is going on."""
        going_on = [t for t in (*self.ours, *self.by_integration[integration]) if t.holds(at)]
        for trouble in going_on:
            trouble.looks += 1
        kinds = [
            t.kind for t in going_on if t.kind is not Trouble.FLAPPING or (at - self.start).total_seconds() % 80 < 20
        ]
        if not kinds:
            return WORKING
        if Trouble.OUR_NETWORK in kinds:
            return TIMEOUT
        kind = min(kinds, key=list(Trouble).index)
        if kind is Trouble.FLAPPING:
            return UNAVAILABLE
        return _LIMITED_FOR if kind is Trouble.LIMITED and self.chance.random() < 0.5 else _SHOWS[kind]
