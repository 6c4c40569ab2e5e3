"""`make demo`: the life of one disconnection in under a minute, on real servers, each line told because it was seen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

import asyncpg
import httpx
from rich.console import Console

from starter.embedded.demo.observer import NotSeenError
from starter.embedded.demo.stage import stage
from starter.embedded.demo.story import Story, Teller
from starter.embedded.home import Home
from starter.embedded.process import InUseError, ServerFailedError, locked
from starter.embedded.supervisor import end_leftovers


async def demo(parent: Path = Path(".relink"), console: Console | None = None) -> int:
    """Tells the story once; returns the exit code: 0 only if every step was seen to happen.

    Uses servers and a folder of its own, removed at the end, and none of the settings of this machine. If a step was
    not seen, the folder stays until the next demo, and the last lines name the step and the logs.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    folder = (parent / f"demo-{os.getpid()}").absolute()
    await _remove_abandoned(parent)
    try:
        with locked(folder / "lock", f"The folder {folder}"):
            await _tell(Home(folder), console)
    except (NotSeenError, ServerFailedError, httpx.HTTPError, asyncpg.PostgresError, OSError) as error:
        console.print(f"✘ {error}", markup=False, style="red")
        console.print(f"  The logs are in {folder / 'logs'}", markup=False)
        return 1
    except asyncio.CancelledError:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return 0


async def _tell(home: Home, console: Console) -> None:
    console.print("[bold]Relink[/] — one disconnection, from the revoked token to the all-clear, for real")
    teller = Teller(console)
    async with stage(home) as there:
        teller.tell("running", "PostgreSQL 18, Temporal, API, worker, SMTP inbox, Slack stand-in, OAuth provider")
        await Story(there.product, there.see, teller).play()
        took = teller.elapsed
    console.print(f"[bold green]All of it happened[/], in {took:.0f} s. `make run` keeps it running for you to try.")


async def _remove_abandoned(parent: Path) -> None:
    """What a demo left behind that was killed or failed: its servers, then its folder."""
    for folder in parent.glob("demo-*"):  # noqa: ASYNC240 (a handful of names)
        with contextlib.suppress(InUseError), locked(folder / "lock", str(folder)):
            await end_leftovers(Home(folder).pids)
            shutil.rmtree(folder, ignore_errors=True)
