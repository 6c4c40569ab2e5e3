"""Promise 10: back within 30 s of a killed worker, within 60 s of a restarted Temporal or PostgreSQL."""

from __future__ import annotations

import pytest

from tests.faults.recovery import LIMITS, seconds_until_told
from tests.faults.scene import Scene


@pytest.mark.parametrize("what", LIMITS)
async def test_back_in_time(scene: Scene, what: str) -> None:
    """Killed while an alert is under way and started again at once: told within the limit, nothing lost or twice."""
    assert await seconds_until_told(scene, what) <= LIMITS[what]
    await scene.audit()
