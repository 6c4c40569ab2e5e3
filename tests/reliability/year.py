"""A year of many customers that is known minute by minute: what broke, when, whose fault it was, who reacted.

It is played forward, connection by connection, and what is true is noted as it happens and counted as sets of minutes
(bits of an integer): no row, no interval and no rule of the product is involved. `year_rows` writes what the product
would have stored.

    year = simulate()                     # the same each time
    await write(pool, year, until=…)      # from year_rows
    year.truth(year.of("c007"), since, until)

Minutes count from the beginning; the last one ends `until`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

DAY = 1440
LAST = 400 * DAY  # a year, and what is needed to compare with before
Bits: TypeAlias = int


def bits(begin: int, end: int) -> Bits:
    """The minutes from begin up to but without end."""
    return ((1 << (end - begin)) - 1) << begin if end > begin else 0


@dataclass(frozen=True)
class Fault:
    """Something that can break, and whose fault it is."""

    blamed: str
    category: str
    who: str
    code: str | None
    reason: str


FAULTS = (
    Fault("customer", "token_expired", "customer_user", "invalid_grant", "OAuth token expired and refresh failed"),
    Fault(
        "customer", "user_deactivated", "customer_user", "inactive_user", "The user who connected it was deactivated"
    ),
    Fault("customer", "policy_blocked", "customer_admin", "AADSTS53003", "Blocked by a conditional access policy"),
    Fault("customer", "webhook_rejected", "customer_admin", "403", "The receiving server refuses deliveries"),
    Fault("us", "client_secret_expired", "our_engineering", "invalid_client", "Our client secret expired"),
    Fault("us", "app_misconfigured", "our_engineering", "redirect_uri_mismatch", "Our app is configured wrongly"),
    Fault("provider", "provider_outage", "nobody (retry)", "503", "The provider's API is down"),
    Fault("provider", "tls_invalid", "provider", None, "The provider's certificate expired"),
    Fault("unknown", "unknown", "customer_admin", "E-4711", "An error that nobody has seen before"),
    Fault("unknown", "endpoint_unreachable", "nobody (retry)", None, "The server can't be reached"),
)
TYPES = (
    "salesforce", "slack", "google", "hubspot", "zendesk", "jira", "github", "stripe", "shopify", "okta", "webhook",
    "custom_api",
)  # fmt: skip


@dataclass(kw_only=True)
class Trouble:
    """One incident as it went. `down_from` is None if the connection never was down."""

    opened: int
    detected: int
    fault: Fault
    down_from: int | None = None
    worked_again: int | None = None
    closed: int | None = None
    resolution: str | None = None
    worsened: int | None = None
    acknowledged: list[int] = field(default_factory=list)
    reported: int | None = None
    relapses: list[int] = field(default_factory=list)


@dataclass(kw_only=True)
class Connection:
    number: int
    customer: str
    type: str
    id: str
    is_critical: bool
    created: int
    gone: int | None = None  # and not back
    muted: bool = False
    removed: bool = False
    absences: list[tuple[int, int]] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    outages: list[tuple[str, int, int]] = field(default_factory=list)  # whose fault, from, to


@dataclass(frozen=True)
class Maintenance:
    customer: str | None
    type: str | None
    id: str | None
    begin: int
    end: int

    def is_of(self, c: Connection) -> bool:
        return self.customer in {None, c.customer} and self.type in {None, c.type} and self.id in {None, c.id}


@dataclass(kw_only=True)
class Truth:
    """Of some connections together in some minutes; the lists hold minutes."""

    seen: int
    down: int
    by_cause: dict[str, int]
    incidents: int
    still_down: int
    detecting: list[int]
    acknowledging: list[int]
    repairing: list[int]


@dataclass
class Year:
    customers: list[str]
    connections: list[Connection]
    maintenance: list[Maintenance]
    tickets: list[tuple[int, Connection, Trouble | None]]  # when, about what, and the incident that was open

    def of(self, customer: str) -> list[Connection]:
        return [c for c in self.connections if c.customer == customer]

    def seen(self, c: Connection) -> Bits:
        """The minutes in which this one was expected to work."""
        seen = bits(c.created, LAST if c.gone is None else c.gone)
        for begin, end in [*c.absences, *((m.begin, m.end) for m in self.maintenance if m.is_of(c))]:
            seen &= ~bits(begin, end)
        return seen

    def truth(self, connections: Sequence[Connection], since: int, until: int = LAST) -> Truth:
        """Counted minute by minute."""
        seen: Bits = 0
        causes: dict[str, Bits] = dict.fromkeys(("customer", "provider", "us", "unknown"), 0)
        window = bits(max(since, 0), until)
        for c in connections:
            here = self.seen(c) & window
            seen |= here
            for blamed, begin, end in c.outages:
                causes[blamed] |= bits(begin, end) & here
        down = causes["customer"] | causes["provider"] | causes["us"] | causes["unknown"]
        begun = [t for t in troubles(connections) if t.down_from is not None and since <= t.down_from < until]
        return Truth(
            seen=seen.bit_count(),
            down=down.bit_count(),
            by_cause={cause: minutes.bit_count() for cause, minutes in causes.items()},
            incidents=len(begun),
            still_down=sum(c.gone is None and any(end > LAST for _, _, end in c.outages) for c in connections),
            detecting=[knowing(t) for t in begun],
            acknowledging=[t.acknowledged[0] - max(t.detected, t.worsened or 0) for t in begun if t.acknowledged],
            repairing=[repair(t) for t in begun if settled(t)],
        )


def troubles(connections: Iterable[Connection]) -> list[Trouble]:
    return [t for c in connections for t in c.troubles]


def knowing(t: Trouble) -> int:
    return 0 if t.worsened is not None else t.detected - t.opened


def settled(t: Trouble) -> bool:
    return t.resolution in {"verified", "reported"} and t.down_from is not None


def repair(t: Trouble) -> int:
    assert t.worked_again is not None
    assert t.down_from is not None
    return t.worked_again - t.down_from


def simulate(customers: int = 200, seed: int = 101) -> Year:
    """The same year for the same seed."""
    chance = random.Random(seed)
    names = [f"c{n:03}" for n in range(customers)]
    connections: list[Connection] = []
    for name in names:
        for type_ in chance.sample(TYPES, chance.choice((1, 2, 2, 3, 3, 4, 6))):
            for id_ in chance.sample(("main", "crm-sync", "eu-west"), chance.choice((1, 1, 1, 1, 2))):
                connections.append(_live(chance, len(connections), name, type_, id_))
    for c in chance.sample([c for c in connections if _is_well(c)], customers // 12):
        _break_now(chance, c)
    year = Year(names, connections, _plan(chance, connections), [])
    for c in connections:
        year.tickets += [(t.reported, c, t) for t in c.troubles if t.reported is not None]
        if chance.random() < 0.1:  # somebody complains while nothing is known to be wrong
            minute = chance.randrange(c.created, LAST)
            if not any(t.opened - DAY <= minute and (t.closed is None or minute <= t.closed) for t in c.troubles):
                year.tickets.append((minute, c, None))
    return year


def _live(chance: random.Random, number: int, customer: str, type_: str, id_: str) -> Connection:
    created = chance.choice((0, 0, 0, chance.randrange(LAST)))
    c = Connection(
        number=number,
        customer=customer,
        type=type_,
        id=id_,
        is_critical=chance.random() < 0.4,
        created=created,
    )
    weakness, usual = chance.choice((10, 40, 40, 90, 200)), chance.choice(FAULTS)
    now = created + _some(chance, weakness * DAY)
    while now < LAST and c.gone is None:
        t = Trouble(
            opened=now,
            detected=now + chance.choice((0, 1, 2, 3, 5, 12, 59, 60, 61, chance.randrange(400))),
            fault=usual if chance.random() < 0.6 else chance.choice(FAULTS),
        )
        now = _happen(chance, c, t) + _some(chance, weakness * DAY)
    if c.troubles and c.absences == [] and chance.random() < 0.05:
        c.created = c.troubles[0].detected  # it was registered by the report of its first failure
    return c


def _happen(chance: random.Random, c: Connection, t: Trouble) -> int:
    """Plays one incident to its end, or to the end of time; returns when the connection is over it."""
    fate = chance.choices(
        ("repaired", "not_confirmed", "false_alarm", "limped", "no_longer_used", "removed"), (70, 6, 4, 12, 3, 3)
    )[0]
    if fate == "limped":
        t.detected = t.opened + DAY
    if t.detected >= LAST:
        return LAST  # nobody knows of it yet
    c.troubles.append(t)
    if fate in {"not_confirmed", "false_alarm"}:
        return _was_nothing(chance, c, t, fate)
    begin = t.opened
    if fate == "limped":
        if chance.random() < 0.5:  # it never got worse, and then worked again
            return _close(t, t.detected + _some(chance, DAY), "verified")
        begin = t.worsened = t.detected + _some(chance, DAY)
        if begin >= LAST:
            t.worsened = None
            return LAST
    t.down_from = begin
    end = max(t.detected, begin) + _some(chance, chance.choice((15, 45, 120, 120, 600, 2 * DAY)))
    _react(chance, t, max(t.detected, begin), end)
    c.outages.append((t.fault.blamed, begin, end))
    if fate in {"no_longer_used", "removed"}:
        return _leave(chance, c, t, end, fate)
    t.worked_again = end if end <= LAST else None
    hold = 10
    while end - hold > t.detected + 20 and chance.random() < 0.15:  # it seemed to work, and did not for long
        t.relapses.append(end - hold)
        hold *= 2
    return _close(t, end + hold, chance.choice(("verified", "reported")))


def _is_well(c: Connection) -> bool:
    over = [t.closed or LAST for t in c.troubles]
    return c.gone is None and not c.muted and max([c.created, *over]) < LAST - 2 * DAY


def _break_now(chance: random.Random, c: Connection) -> None:
    """It is down at the end of time."""
    begin = LAST - 1 - chance.randrange(2 * DAY - 60)
    t = Trouble(
        opened=begin, detected=min(begin + chance.randrange(10), LAST - 1), fault=chance.choice(FAULTS), down_from=begin
    )
    c.troubles.append(t)
    c.outages.append((t.fault.blamed, begin, LAST + DAY))
    _react(chance, t, t.detected, LAST)


def _was_nothing(chance: random.Random, c: Connection, t: Trouble, fate: str) -> int:
    over = _close(t, t.detected + (1 if fate == "not_confirmed" else _some(chance, 600)), fate)
    c.muted = fate == "false_alarm" and over < LAST and chance.random() < 0.3
    return LAST if c.muted else over


def _leave(chance: random.Random, c: Connection, t: Trouble, end: int, fate: str) -> int:
    _close(t, end, fate)
    if end >= LAST:
        return LAST
    back = end + _some(chance, 20 * DAY)
    if back < LAST and chance.random() < 0.5:
        c.absences.append((end, back))
        return back
    c.gone, c.removed, c.muted = end, fate == "removed", fate == "no_longer_used"
    return LAST


def _close(t: Trouble, minute: int, resolution: str) -> int:
    if minute < LAST:
        t.closed, t.resolution = minute, resolution
    return minute


def _react(chance: random.Random, t: Trouble, known: int, end: int) -> None:
    first = known + _some(chance, 40)
    if chance.random() < 0.7 and first < min(end, LAST):
        t.acknowledged.append(first)
        if chance.random() < 0.3 and first + 240 < min(end, LAST):
            t.acknowledged.append(first + 240)  # it ran out, and was given again
    noticed = chance.choice((end, *[t.opened + _some(chance, 300)] * 9))
    if chance.random() < 0.15 and t.detected <= noticed < min(end + 10, LAST):
        t.reported = noticed


def _plan(chance: random.Random, connections: Sequence[Connection]) -> list[Maintenance]:
    """Of a type, of a customer, of a customer's type, of one connection; by night and over days, one right now."""
    planned = []
    for n in range(40):
        c, begin = chance.choice(connections), chance.randrange(LAST)
        names = ((None, c.type, None), (c.customer, None, None), (c.customer, c.type, None), (c.customer, c.type, c.id))
        length = chance.choice((60, 240, 2 * DAY))
        planned.append(Maintenance(*names[n % 4], begin, begin + length))
    c = connections[0]
    return [*planned, Maintenance(c.customer, None, None, LAST - 90, LAST + 90)]


def _some(chance: random.Random, mean: float) -> int:
    """A while, at least a minute."""
    return 1 + int(chance.expovariate(1 / mean))
