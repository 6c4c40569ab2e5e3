"""Promise 12: no deploy that can't replay the open histories; with two versions at work, everybody is served."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio

from tests.faults.cluster import WORKERS, Cluster
from tests.faults.scene import Scene, names

ROOT = Path(__file__).parents[2]
RELEASE = ("workflows", "activities", "starter", "templates", "worker.py", "policy.toml", "pyproject.toml")
TODAY = "        await self._read_situation()\n        await self._confirm_failure()\n"
CARELESS = f"        await asyncio.sleep(0.01)\n{TODAY}"
CAREFUL = f'        if workflow.patched("next-release"):\n            await asyncio.sleep(0.01)\n{TODAY}'


def _release(folder: Path, change: str) -> Path:
    """The code as it is now, with a change of the workflow."""
    folder.mkdir()
    for name in RELEASE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    story = folder / "workflows" / "disconnection.py"
    before = story.read_text()
    assert TODAY in before
    story.write_text(before.replace(TODAY, change))
    return folder


async def _replays(cluster: Cluster, release: Path) -> tuple[int, str]:
    command = (sys.executable, "-m", "starter", "replay")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=release, env=cluster.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest_asyncio.fixture
async def deployed(scene: Scene) -> AsyncIterator[Scene]:
    """Afterwards, today's code runs again."""
    today = dict(scene.cluster.programs)
    yield scene
    scene.cluster.programs.update(today)
    await scene.cluster.kill(*WORKERS)


async def test_a_deploy_in_the_middle_of_open_incidents(deployed: Scene, tmp_path: Path) -> None:
    """A careless change is refused by `relink replay`; a careful one takes over worker by worker, and old incidents and
    new ones come to their end."""
    scene, cluster = deployed, deployed.cluster
    old = await scene.integrations(4)
    await scene.say_until_taken(*(one.event() for one in old))
    await scene.until_told(2 * len(old), *names(old))
    code, said = await _replays(cluster, _release(tmp_path / "careless", CARELESS))
    assert code == 1, said
    assert "disconnection/" in said or "Nondeterminism" in said, said
    careful = _release(tmp_path / "careful", CAREFUL)
    assert await _replays(cluster, careful) == (0, "All open histories replay on this code.\n")

    new = await scene.integrations(4)
    for name, one in zip(WORKERS, (new[:2], new[2:]), strict=True):
        await cluster.stop(name)
        cluster.programs[name] = replace(cluster.programs[name], folder=careful)
        await cluster.start(name)
        await scene.say_until_taken(*(each.event() for each in one))
        await scene.until_told(2 * len(one), *names(one))
    everybody = [*old, *new]
    await scene.say_until_taken(*(one.event("sync_succeeded") for one in everybody))
    await scene.until_over(*names(everybody))
    await scene.audit()
