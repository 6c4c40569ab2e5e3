"""When a provider fails for many at once, and when that is over (policy: `[outage]`). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from workflows.domain.policy import Outage


def is_outage(together: int, there: int, rules: Outage) -> bool:
    """Whether so many integrations of one type that went down `together`, of all that are `there`, have one cause."""
    return together >= rules.min_integrations and together >= rules.min_share * there


@dataclass(frozen=True)
class Standing:
    """Where an outage stands at `now`: how many of its integrations are down, how many have just come back and have to
    hold, of how many of that type there are; and when the last of them failed or came back. Times are aware UTC."""

    down: int
    recovering: int
    there: int
    last_change_at: datetime
    release_at: datetime
    now: datetime


def is_over(standing: Standing, rules: Outage) -> bool:
    """Everything has come back and held; or only a few are down, and nothing has changed for a window, so that those
    who were only slower to come back have come; or it has lasted as long as people may be left waiting."""
    if standing.now >= standing.release_at or not standing.down + standing.recovering:
        return True
    few = not is_outage(standing.down, standing.there, rules)
    return few and standing.now >= standing.last_change_at + rules.window
