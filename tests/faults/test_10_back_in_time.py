"""Promise 10: back within 30 s of a killed worker, within 60 s of a restarted Temporal or PostgreSQL. These limits are
held against the clock by `make soak` only: here the machine has much else to do."""

from __future__ import annotations

import pytest

from tests.faults.recovery import LIMITS, seconds_until_told
from tests.faults.scene import Scene


@pytest.mark.parametrize("what", LIMITS)
async def test_back_in_time(scene: Scene, what: str) -> None:
    """Killed while an alert is under way and started again at once: told, nothing lost or twice."""
    await seconds_until_told(scene, what)
    await scene.audit()
