"""Promise 1: a 2xx means committed, whatever dies next."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

import httpx
import pytest

from tests.faults.scene import PATIENCE, Integration, Scene, names, wait_for


async def _pour(scene: Scene, one: Integration, stop: asyncio.Event) -> None:
    """Sends one event after the other until told to stop."""
    while not stop.is_set():
        with contextlib.suppress(httpx.TransportError):
            answer = await scene.say(one.event("sync_error", error={"code": "timeout", "http_status": 504}))
            if answer.status_code != 202:
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["Retry-After"]) > 0


async def _has_grown(scene: Scene, to: int) -> bool:
    return len(scene.accepted) >= to


@pytest.mark.parametrize("victim", ["api", "postgres"])
async def test_killed_under_load(scene: Scene, victim: str) -> None:
    """`kill -9` in the middle of commits: everything that was answered with 202 is there, and a server that is away
    is a 503 with Retry-After, never a lying 2xx."""
    integrations = await scene.integrations(4)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as pouring:
        for one in integrations:
            pouring.create_task(_pour(scene, one, stop))
        for _ in range(2):
            before = len(scene.accepted)
            await wait_for(partial(_has_grown, scene, before + 40), PATIENCE, "events are taken")
            await scene.cluster.kill(victim)
            await asyncio.sleep(0.3)
            await scene.cluster.start(victim)
        stop.set()
    await scene.say_until_taken(*(one.event("sync_succeeded") for one in integrations))
    await scene.until_over(*names(integrations))
    await scene.audit()
