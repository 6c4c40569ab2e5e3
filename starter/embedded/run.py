"""`make run`: the whole service on embedded servers, kept in `.relink/`, until Ctrl-C."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from starter.embedded.home import Choice, Home, PortTakenError
from starter.embedded.parts import Parts
from starter.embedded.process import InUseError, ServerFailedError, locked
from starter.embedded.supervisor import Supervisor, end_leftovers
from starter.site.sessions import sign_in_link
from starter.site.staff import Role

PAGES = {
    "Inbox": "RELINK_INBOX_URL",
    "Slack": "RELINK_SLACK_PAGE_URL",
    "Temporal UI": "RELINK_TEMPORAL_UI_URL",
}
REPLACED = {"postgres": "PostgreSQL", "temporal": "Temporal", "inbox": "Inbox", "slack": "Slack"}


async def run(folder: Path = Path(".relink"), console: Console | None = None) -> int:
    """Runs everything until Ctrl-C or SIGTERM; returns the exit code.

    Whatever is killed meanwhile is restarted on its port. All data, logs and the chosen settings are in the folder,
    so that a later run goes on where this one ended, however it ended. 1 if it could not start; a line says why.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    home = Home(folder)
    _stop_on_signals(console)
    try:
        with locked(home.folder / "lock", f"The folder {folder}"):
            await _run(home, console)
    except InUseError as error:
        console.print(f"{error} Relink runs there already; its addresses are in {folder}/env.", markup=False)
        return 1
    except (PortTakenError, ServerFailedError) as error:
        console.print(str(error), markup=False, style="red")
        return 1
    except asyncio.CancelledError:
        return 0
    return 0


async def _run(home: Home, console: Console) -> None:
    def say(line: str) -> None:
        console.print(line, markup=False)

    await end_leftovers(home.pids)  # they would hold the ports of the last run
    choice = home.choose(os.environ, Path(".env"))
    say("Starting…")
    async with Supervisor(home.pids, say) as supervisor:
        await Parts(home, choice).start(supervisor)
        console.print(_addresses(home, choice))
        scopes = " ".join(f"--scope {scope}" for scope in ("admin", "events", "read", "operate"))
        link = sign_in_link(
            choice.settings["RELINK_PUBLIC_URL"], choice.settings["RELINK_SECRET_KEY"], getpass.getuser(), Role.OPERATOR
        )
        say(f"The pages, once, within 15 minutes (.venv/bin/relink sign-in --operator makes another link):\n  {link}")
        say(f"A key for the API: .venv/bin/relink keys create me {scopes}")
        say("Everything runs. Ctrl-C stops it; nothing is lost by that.")
        await asyncio.Event().wait()


def _stop_on_signals(console: Console) -> None:
    """Ctrl-C and SIGTERM cancel the current task once; stopping then takes its course."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    stopping = False

    def stop() -> None:
        nonlocal stopping
        console.print("Still stopping…" if stopping else "Stopping…")
        if not stopping and task:
            task.cancel()
        stopping = True

    for ask in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(ask, stop)


def _addresses(home: Home, choice: Choice) -> Table:
    api = f"http://127.0.0.1:{choice.ports['api']}"
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("[bold]API[/]", api)
    table.add_row("[bold]API docs[/]", f"{api}/docs")
    for name, setting in PAGES.items():
        if setting in choice.settings:
            table.add_row(f"[bold]{name}[/]", choice.settings[setting])
    if "postgres" in choice.embedded:
        table.add_row("[bold]PostgreSQL[/]", choice.settings["RELINK_DATABASE_URL"])
    outside = [name for part, name in REPLACED.items() if part not in choice.embedded]
    if outside:
        table.add_row("[bold]From outside[/]", ", ".join(outside))
    table.add_row("[bold]Settings[/]", f"{home.folder}/env   logs: {home.folder}/logs")
    return table
