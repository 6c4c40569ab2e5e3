"""Promise 3: no event is left on an incident that closed without seeing it."""

from __future__ import annotations

import asyncio
import random

from tests.faults.scene import Integration, Scene, names

ROUNDS, AT_MOST = 6, 25


async def _race(scene: Scene, one: Integration, dice: random.Random) -> set[str]:
    """Repairs, each with a new failure at about the moment when the incident closes: if it came too early the next one
    comes later, and the other way round, however fast the machine is. Returns on which sides of the close they came."""
    sides, pause = set[str](), 0.05
    incident = await _fail(scene, one)
    for n in range(AT_MOST):
        if n >= ROUNDS and len(sides) == 2:
            break
        await scene.say_until_taken(one.event("sync_succeeded"))
        await asyncio.sleep(pause * dice.uniform(0.7, 1.3))
        before, incident = incident, await _fail(scene, one)
        sides.add("before" if incident == before else "after")
        pause *= 2 if incident == before else 0.4
    await scene.say_until_taken(one.event("sync_succeeded"))
    return sides


async def _fail(scene: Scene, one: Integration) -> str:
    """The incident that the failure belongs to."""
    answer = await scene.say_until_taken(one.event())
    return str(answer.json()["results"][0]["incident"])


async def test_a_failure_while_closing(scene: Scene) -> None:
    """Either the incident sees it and goes on, or it belongs to the next one: in the end all are over and announced."""
    async with scene.policy('quiet_window = "2s"', 'quiet_window = "0s"'):  # closes as soon as its connection works
        integrations = await scene.integrations(10)
        sides = await asyncio.gather(*(_race(scene, one, random.Random(i)) for i, one in enumerate(integrations)))
        await scene.until_over(*names(integrations))
    assert set.union(*sides) == {"before", "after"}, sides
    await scene.audit()
