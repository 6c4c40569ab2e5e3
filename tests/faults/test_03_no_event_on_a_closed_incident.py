"""Promise 3: no event is left on an incident that closed without seeing it."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.faults.cluster import POLICY
from tests.faults.scene import Integration, Scene, names

ROUNDS = 5
_CLOSING = """
    select i.status <> 'open' from incidents i join customers c on c.id = i.customer_id
    where c.external_id = $1 order by i.number desc limit 1"""


@pytest_asyncio.fixture
async def impatient(scene: Scene) -> AsyncIterator[Scene]:
    """Incidents close as soon as their connection works."""
    policy = scene.cluster.folder / "policy.toml"
    policy.write_text(POLICY.replace('quiet_window = "2s"', 'quiet_window = "0s"'))
    scene.cluster.signal("api", signal.SIGHUP)
    yield scene
    policy.write_text(POLICY)
    scene.cluster.signal("api", signal.SIGHUP)


async def pairs(scene: Scene, one: Integration, rounds: int, dice: random.Random) -> None:
    """A repair, and a new failure at about the moment when the incident closes; so many times."""
    await scene.say_until_taken(one.event())
    for _ in range(rounds):
        await scene.say_until_taken(one.event("sync_succeeded"))
        await scene.until(_CLOSING, one.customer)
        await asyncio.sleep(dice.uniform(0, 0.1))
        await scene.say_until_taken(one.event())
    await scene.say_until_taken(one.event("sync_succeeded"))


async def test_a_failure_while_closing(impatient: Scene) -> None:
    """Either the incident sees it and goes on, or it belongs to the next one: in the end all are over and announced."""
    integrations = await impatient.integrations(10)
    await asyncio.gather(*(pairs(impatient, one, ROUNDS, random.Random(i)) for i, one in enumerate(integrations)))
    await impatient.until_over(*names(integrations), within=120)
    report = await impatient.audit()
    closed = "select count(*) from incidents i join customers c on c.id = i.customer_id where c.external_id = any($1)"
    assert await impatient.pool.fetchval(closed, names(integrations)) > len(integrations), report
