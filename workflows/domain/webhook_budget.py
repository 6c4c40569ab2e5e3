"""How much of a webhook's failure budget is used up (FR-1.3). Pure: counts and times in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

STAGES = (50, 70, 90, 100)  # per cent of the budget

_FEWEST = 10  # fewer deliveries in the window are judged as if there had been so many: one of one proves little
_IN_A_ROW = 10  # so many of a kind in a row decide by themselves, whatever the rest of the window was like
_RECENT = timedelta(minutes=10)


@dataclass(frozen=True)
class Deliveries:
    """Deliveries within the window. `failures_in_a_row` came after the newest success, `successes_in_a_row` after the
    newest failure; at most one of them is not 0."""

    succeeded: int = 0
    failed: int = 0
    failures_in_a_row: int = 0
    successes_in_a_row: int = 0
    last_failed_at: datetime | None = None

    @property
    def total(self) -> int:
        return self.succeeded + self.failed


@dataclass(frozen=True)
class BudgetVerdict:
    """`stage` is the highest of STAGES that is reached, 0 if none. `exhausted`: nothing is left and the newest delivery
    failed too. `failing_now`: several real deliveries failed in a row, just now."""

    stage: int
    exhausted: bool
    failing_now: bool


def judge_deliveries(deliveries: Deliveries, failure_budget: float, now: datetime) -> BudgetVerdict:
    """`failure_budget` is the share of deliveries that may fail, above 0 and at most 1.

    Ten failures in a row use all of it, so that a good day does not hide a dead receiver; ten successes in a row give
    all of it back, so that a repaired one is not blamed until the window has passed.
    """
    share = deliveries.failed / max(deliveries.total, _FEWEST)
    # Rounded, or three tenths of a budget of 0.3 would be a hair less than all of it.
    used = round(100 * share / failure_budget, 6)
    if deliveries.failures_in_a_row >= _IN_A_ROW:
        used = max(used, 100.0)
    if deliveries.successes_in_a_row >= _IN_A_ROW:
        used = 0.0
    recently = deliveries.last_failed_at is not None and now - deliveries.last_failed_at <= _RECENT
    return BudgetVerdict(
        stage=max((stage for stage in STAGES if used >= stage), default=0),
        exhausted=used >= 100 and deliveries.failures_in_a_row > 0,
        failing_now=recently and deliveries.failures_in_a_row > 1,
    )
