"""How long it takes until all is well again after something was killed and started again, by promise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from starter.embedded.slack import Failure
from tests.faults.cluster import WORKERS
from tests.faults.scene import Scene, names

# Seconds, on a machine that has nothing else to do.
LIMITS = {"workers": 30, "one worker": 30, "api": 30, "temporal": 60, "temporal, wiped": 60, "postgres": 60}
_OF_ONE = "from deliveries d join incidents i on i.id = d.incident_id join customers c on c.id = i.customer_id"


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


async def seconds_until_taken(scene: Scene, what: str) -> float:
    """From the kill until an event is answered with 202 again."""
    (one,) = await scene.integrations(1)
    began = time.monotonic()
    await scene.cluster.kill(what)
    starting = asyncio.create_task(scene.cluster.start(what))
    await scene.say_until_taken(one.event("sync_succeeded"))
    took = time.monotonic() - began
    await starting
    return took


async def seconds_until_escalated(scene: Scene) -> float:
    """From the start of the workers until an escalation is told that fell due while they were away."""
    (one,) = await scene.integrations(1)
    await scene.say_until_taken(one.event())
    await scene.until_told(2, one.customer)
    await scene.cluster.kill(*WORKERS)
    await asyncio.sleep(9)
    began = time.monotonic()
    await scene.cluster.start(*WORKERS)
    escalated = f"select count(*) {_OF_ONE} where c.external_id = $1 and d.role = 'cs_leadership' and d.status = 'sent'"
    await scene.until(escalated, one.customer, is_=1)
    took = time.monotonic() - began
    await scene.say_until_taken(one.event("sync_succeeded"))
    await scene.until_over(one.customer)
    return took


async def seconds_until_closed(scene: Scene) -> float:
    """From a success that was said while the workers were away until everybody knows, beyond the quiet window."""
    (one,) = await scene.integrations(1)
    await scene.say_until_taken(one.event())
    await scene.until_told(2, one.customer)
    await scene.cluster.kill(*WORKERS)
    await scene.say_until_taken(one.event("sync_succeeded"))
    began = time.monotonic()
    await scene.cluster.start(*WORKERS)
    await scene.until_over(one.customer)
    return time.monotonic() - began


async def seconds_until_the_digest(scene: Scene) -> float:
    """From a provider's failure for many at once, the workers being killed then, until each CSM has their digest."""
    affected = await scene.of_one_provider(14, csms=3)
    await scene.say_until_taken(*(one.event() for one in affected))
    began = time.monotonic()
    await scene.cluster.kill(*WORKERS)
    await scene.cluster.start(*WORKERS)
    digests = """
        select count(*) = 3 from digests g join provider_outages o on o.id = g.provider_outage_id
        join deliveries d on d.digest_id = g.id where o.integration_type = $1 and d.status = 'sent'"""
    await scene.until(digests, affected[0].kind)
    took = time.monotonic() - began
    await scene.say_until_taken(*(one.event("sync_succeeded") for one in affected))
    await scene.until_over(*names(affected))
    return took


@dataclass(frozen=True)
class Measure:
    """How long something takes, and may take on a machine that has nothing else to do, in seconds."""

    promise: int
    what: str
    take: Callable[[Scene], Awaitable[float]]
    limit: float

    def __str__(self) -> str:
        return f"promise {self.promise:>2}: {self.what}"


MEASURES = (
    Measure(1, "an event is taken, after the kill of the API", partial(seconds_until_taken, what="api"), 30),
    Measure(1, "an event is taken, after the kill of PostgreSQL", partial(seconds_until_taken, what="postgres"), 60),
    Measure(3, "a recovery said while all workers were away is announced", seconds_until_closed, 60),
    Measure(7, "an escalation that fell due while all workers were away is told", seconds_until_escalated, 30),
    *(
        Measure(
            10, f"an alert under way is told, after the kill of: {what}", partial(seconds_until_told, what=what), limit
        )
        for what, limit in LIMITS.items()
    ),
    Measure(11, "14 fail at once, the workers die: three CSMs have their digest", seconds_until_the_digest, 90),
)
