"""Reports on reliability as flat rows, for CSV and for the terminal: one shape for the API and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from starter.api.reliability_models import (
    CustomerReliability,
    CustomerReliabilitySummary,
    ReliabilityAnswer,
    SuccessAnswer,
)
from workflows.domain.reliability import Cause

_FIGURES = (
    "uptime", "trend", "incidents", "still_down", "observed_minutes", "minutes_down",
    *(f"minutes_down_{cause}" for cause in Cause),
    "mttd_minutes", "mtta_minutes", "mttr_minutes", "mtbf_minutes", "uptime_before", "incidents_before",
)  # fmt: skip
INTEGRATION_COLUMNS = (
    "customer", "integration_type", "integration_id", "display_name", "id", "status", "is_critical", "removed_at",
    *_FIGURES, "chronic", "chronic_reason", "suggestion",
)  # fmt: skip
CUSTOMER_COLUMNS = ("customer", "name", *_FIGURES, "chronic_integrations")
MEASURE_COLUMNS = ("name", "value", "target", "met", "numerator", "denominator", "unit", "note")


def integration_rows(customers: Iterable[CustomerReliability]) -> Iterator[dict[str, Any]]:
    """By INTEGRATION_COLUMNS, those of each customer in its order."""
    for customer in customers:
        for one in customer.integrations:
            row = one.model_dump(include=set(INTEGRATION_COLUMNS))
            yield {"customer": customer.customer.external_id, **one.integration.model_dump(), **row, **_figures(one)}


def customer_rows(customers: Sequence[CustomerReliabilitySummary]) -> Iterator[dict[str, Any]]:
    """By CUSTOMER_COLUMNS."""
    for one in customers:
        names = {"customer": one.customer.external_id, "name": one.customer.name}
        yield {**names, "chronic_integrations": one.chronic_integrations, **_figures(one)}


def measure_rows(answer: SuccessAnswer) -> Iterator[dict[str, Any]]:
    """By MEASURE_COLUMNS."""
    for measure in answer.measures:
        yield measure.model_dump(include=set(MEASURE_COLUMNS))


def _figures(answer: ReliabilityAnswer) -> dict[str, Any]:
    plain = answer.model_dump()
    causes = {f"minutes_down_{cause}": plain["minutes_down_by_cause"][cause] for cause in Cause}
    return {**plain, **causes, "uptime_before": answer.before.uptime, "incidents_before": answer.before.incidents}
