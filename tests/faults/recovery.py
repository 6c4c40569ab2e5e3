"""How long it takes until an alert that was under way is told, after something was killed and started again."""

from __future__ import annotations

import time

from starter.embedded.slack import Failure
from tests.faults.cluster import WORKERS
from tests.faults.scene import Scene

# Seconds, on a machine that has nothing else to do.
LIMITS = {"workers": 30, "one worker": 30, "api": 30, "temporal": 60, "temporal, wiped": 60, "postgres": 60}


async def seconds_until_told(scene: Scene, what: str) -> float:
    """From the kill until the alert and the mail have left; then the incident is brought to its end."""
    (one,) = await scene.integrations(1)
    scene.cluster.slack.fail(Failure(method="chat.postMessage", delay=2))
    await scene.say_until_taken(one.event())
    await scene.until("select count(*) > 0 from deliveries where status = 'sending'")
    began = time.monotonic()
    if what == "temporal, wiped":
        await scene.cluster.wipe_temporal()
    else:
        victims = {"workers": WORKERS, "one worker": WORKERS[:1]}.get(what, (what,))
        await scene.cluster.kill(*victims)
        await scene.cluster.start(*victims)
    await scene.until_told(2, one.customer)
    took = time.monotonic() - began
    await scene.say_until_taken(one.event("sync_succeeded"))
    await scene.until_over(one.customer)
    return took
