"""How urgent is it? From how critical the integration is and what the customer is worth (FR-2.4)."""

from __future__ import annotations

from decimal import Decimal

from workflows.domain.policy import Severity, SeverityRules


def judge_severity(rules: SeverityRules, *, is_critical: bool, arr: Decimal | float | None) -> Severity:
    """FR-2.4 by policy; `arr` in the company's currency a year, None counts as 0, thresholds are inclusive."""
    worth = float(arr or 0)
    if is_critical:
        return Severity.CRITICAL if worth >= rules.arr_high else Severity.HIGH
    if worth >= rules.arr_high:
        return Severity.HIGH
    return Severity.MEDIUM if worth >= rules.arr_medium else Severity.LOW
