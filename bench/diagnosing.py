"""How fast failures are diagnosed, against only reading the same lines."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from bench.diagnosis import failures
from bench.measure import Figure
from starter.diagnosing import diagnose_batch
from workflows.domain.diagnosis import Failure

_ROUNDS = 9


def figures() -> list[Figure]:
    """The collected failures, several times over, on one core."""
    rows = failures("provider_failures")
    lines = [json.dumps({name: row[name] for name in Failure.model_fields}) for row in rows] * 5
    floor = _seconds(lambda: [Failure.model_validate_json(line) for line in lines])
    taken = _seconds(lambda: list(diagnose_batch(lines)))
    speed = f"{len(lines) / taken:,.0f} lines/s"
    return [Figure("`relink diagnose --batch`", speed, f"{len(lines) / floor:,.0f} lines/s (only read)", taken / floor)]


def _seconds(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
