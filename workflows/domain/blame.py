"""Is it the customers, or is it the provider that they all use (US-4)? Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from workflows.domain.outage import is_outage
from workflows.domain.policy import Outage
from workflows.domain.reliability import Cause, History, Incident


class Verdict(StrEnum):
    """What the connections to one provider that are down at this moment have in common."""

    NOTHING = "nothing_is_down"
    PROVIDER = "provider"
    CUSTOMERS = "customers"
    US = "us"
    UNCLEAR = "unclear"


@dataclass(frozen=True, kw_only=True)
class Blame:
    """`together` of those that are down failed within the policy's `[outage].window`, from `together_since` on."""

    verdict: Verdict
    customers: int
    customers_down: int
    integrations: int
    down: int
    together: int
    together_since: datetime | None
    by_cause: Mapping[Cause, int]  # of those that are down

    @property
    def share(self) -> float:
        """0 to 1: of the customers."""
        return self.customers_down / self.customers if self.customers else 0.0


def blame(connections: Sequence[tuple[UUID, History]], now: datetime, policy: Outage) -> Blame:
    """Of all connections to one provider, each with its customer; those that are gone count for nothing.

    So many at once as the policy calls an outage are the provider's, whatever each of them was diagnosed as: a provider
    that falls over answers with errors that look like the customer's. Else it is whoever caused most of them.
    """
    there = [(customer, history) for customer, history in connections if history.is_there(now)]
    down = [(customer, i) for customer, history in there if (i := history.down_at(now)) is not None]
    together, since = _most_together([i.began_at for _, i in down], policy.window)
    causes = Counter(i.cause for _, i in down)
    return Blame(
        verdict=_verdict(len(there), [i for _, i in down], together, policy),
        customers=len({customer for customer, _ in there}),
        customers_down=len({customer for customer, _ in down}),
        integrations=len(there),
        down=len(down),
        together=together,
        together_since=since,
        by_cause={cause: causes[cause] for cause in Cause},
    )


def _verdict(there: int, down: Sequence[Incident], together: int, policy: Outage) -> Verdict:
    if not down:
        return Verdict.NOTHING
    if is_outage(together, there, policy):
        return Verdict.PROVIDER
    cause, count = Counter(i.cause for i in down).most_common(1)[0]
    if 2 * count <= len(down):
        return Verdict.UNCLEAR
    return _BLAMED[cause]


_BLAMED = {
    Cause.CUSTOMER: Verdict.CUSTOMERS,
    Cause.PROVIDER: Verdict.PROVIDER,
    Cause.US: Verdict.US,
    Cause.UNKNOWN: Verdict.UNCLEAR,
}


def _most_together(begun: Iterable[datetime], window: timedelta) -> tuple[int, datetime | None]:
    """The most of these times that lie within a window, and the first of them."""
    times = sorted(begun)
    most, since, first = 0, None, 0
    for last, at in enumerate(times):
        while at - times[first] > window:
            first += 1
        if last - first + 1 > most:
            most, since = last - first + 1, times[first]
    return most, since
