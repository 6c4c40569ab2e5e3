"""Promise 10: back within 30 s of a killed worker, within 60 s of a restarted Temporal or PostgreSQL."""

from __future__ import annotations

import time

import pytest

from starter.embedded.slack import Failure
from tests.faults.cluster import WORKERS
from tests.faults.scene import Scene

LIMITS = {"workers": 30, "one worker": 30, "temporal": 60, "postgres": 60, "api": 30, "temporal, wiped": 60}


@pytest.mark.parametrize("what", LIMITS)
async def test_back_in_time(scene: Scene, what: str, record_property: pytest.RecordProperty) -> None:
    """Killed while an alert is under way and started again at once: told within the limit, nothing lost, nothing twice."""
    (one,) = await scene.integrations(1)
    scene.cluster.slack.fail(Failure(method="chat.postMessage", delay=2))
    await scene.say_until_taken(one.event())
    await scene.until("select count(*) > 0 from deliveries where status = 'sending'")
    began = time.monotonic()
    await _kill_and_start(scene, what)
    await scene.until_told(2, one.customer, within=LIMITS[what])
    record_property("seconds", round(time.monotonic() - began, 1))
    print(f"{what}: told {time.monotonic() - began:.1f} s after the kill")
    await scene.say_until_taken(one.event("sync_succeeded"))
    await scene.until_over(one.customer)
    await scene.audit()


async def _kill_and_start(scene: Scene, what: str) -> None:
    cluster = scene.cluster
    if what == "temporal, wiped":
        await cluster.wipe_temporal()
        return
    victims = {"workers": WORKERS, "one worker": WORKERS[:1]}.get(what, (what,))
    await cluster.kill(*victims)
    await cluster.start(*victims)
