"""FR-2.4: severity from criticality and ARR."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain.policy import Severity, SeverityRules
from workflows.domain.severity import judge_severity

RULES = SeverityRules(arr_high=100_000, arr_medium=25_000)
ORDER = list(Severity)


@pytest.mark.parametrize(
    ("is_critical", "arr", "severity"),
    [
        (True, 100_000, "critical"),
        (True, Decimal("99999.99"), "high"),
        (True, 0, "high"),
        (True, None, "high"),
        (False, 100_000, "high"),
        (False, Decimal("99999.99"), "medium"),
        (False, 25_000, "medium"),
        (False, Decimal("24999.99"), "low"),
        (False, None, "low"),
    ],
)
def test_thresholds_are_inclusive_and_a_missing_arr_is_zero(
    is_critical: bool, arr: Decimal | float | None, severity: str
) -> None:
    assert judge_severity(RULES, is_critical=is_critical, arr=arr) == severity


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.booleans())
def test_more_is_never_less_urgent(one: float, other: float, is_critical: bool) -> None:
    """Neither a higher ARR nor being critical makes anything less urgent."""
    low, high = sorted((one, other))
    poorer = judge_severity(RULES, is_critical=is_critical, arr=low)
    assert ORDER.index(judge_severity(RULES, is_critical=is_critical, arr=high)) <= ORDER.index(poorer)
    assert ORDER.index(judge_severity(RULES, is_critical=True, arr=low)) <= ORDER.index(poorer)
