"""Commands that prepare and run the service: migrate, setup, worker, api, run, demo."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Literal

from cyclopts import App

from activities.db.migrate import migrate as apply_migrations
from activities.db.pool import create_pool
from activities.settings import Settings
from starter.api.app import serve
from starter.commands.output import console, print_json
from starter.logs import set_up_logs
from starter.schedules import set_up
from starter.temporal import connect


def register(app: App) -> None:
    """Adds these commands."""
    for command in (migrate, setup, worker, api, run, demo):
        app.command(command)


async def migrate(*, json: bool = False) -> None:
    """Bring the database up to this version's schema. Safe when several start at once."""
    settings = Settings.load("database_url")
    async with create_pool(str(settings.database_url), size=2) as pool:
        applied = await apply_migrations(pool)
    if json:
        print_json({"applied": applied})
    else:
        console.print(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")


async def setup(*, json: bool = False) -> int:
    """Make what Relink needs of Temporal: namespace, search attributes, schedules. Create or update."""
    done = await set_up(await asyncio.wait_for(connect(Settings.load()), 15))
    if json:
        print_json({"search_attributes": done.search_attributes, "commands": done.commands})
        return 1 if done.commands else 0
    if not done.commands:
        console.print("Temporal is set up: namespace, search attributes and schedules.")
        return 0
    console.print("Temporal would not let us make these. Run:")
    for command in done.commands:
        console.print(f"  {command}")
    return 1


def worker(*, queue: Literal["incidents", "probes", "all"] = "all") -> None:
    """Run the worker until it is stopped; whatever is away is waited for.

    Parameters
    ----------
    queue
        Work on incidents or on probes only, to scale the two apart.
    """
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "worker", "--queue", queue])  # noqa: S606 - becomes it, so that signals reach it


async def api() -> None:
    """Serve the HTTP API and the pages until stopped."""
    settings = Settings.load("database_url", "secret_key", "public_url")
    set_up_logs(settings.log_format)
    await serve(settings)


async def run() -> int:
    """Run the whole service on this machine, with embedded servers where none is configured, until Ctrl-C."""
    from starter.embedded.run import run as run_all  # noqa: PLC0415 - its servers are not in a production install

    return await run_all()


async def demo() -> int:
    """Play the life of one disconnection for real, and say what was seen. Under a minute."""
    from starter.embedded.demo import demo as play  # noqa: PLC0415 - as above

    return await play()
