"""`make demo`: the life of one disconnection in under a minute, on real servers, each line told because it was seen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
from rich.console import Console

from starter.embedded import ports
from starter.embedded.demo.observer import NotSeenError, Observer
from starter.embedded.demo.product import Product
from starter.embedded.demo.story import PERSON, Story, Teller
from starter.embedded.home import Choice, Home
from starter.embedded.parts import Parts
from starter.embedded.process import InUseError, Program, ServerFailedError, locked
from starter.embedded.supervisor import Supervisor, end_leftovers
from starter.embedded.web import serving

POLICY = """\
# The demo cannot wait ten minutes for an escalation: everything else is as shipped.
[recovery]
quiet_window = "3s"

[escalation.critical]
steps = [{ after = "5s", to = "csm_manager" }, { after = "2h", to = "cs_leadership" }]
"""
SCOPES = ("events", "callbacks", "read", "operate", "admin")


async def demo(parent: Path = Path(".relink"), console: Console | None = None) -> int:
    """Tells the story once; returns the exit code: 0 only if every step was seen to happen.

    Uses servers and a folder of its own, removed at the end, and none of the settings of this machine. If a step was
    not seen, the folder stays, and the last line names the step and the logs.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    folder = (parent / f"demo-{os.getpid()}").absolute()
    await _remove_abandoned(parent)
    try:
        with locked(folder / "lock", f"The folder {folder}"):
            await _tell(Home(folder), console)
    except (NotSeenError, ServerFailedError, httpx.HTTPError, OSError) as error:
        console.print(f"✘ {error}", markup=False, style="red")
        console.print(f"  The logs are in {folder / 'logs'}", markup=False)
        return 1
    except asyncio.CancelledError:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return 0


async def _tell(home: Home, console: Console) -> None:
    teller = Teller(console)
    console.print("[bold]Relink[/] — one disconnection from the revoked token to the all-clear, for real")
    choice = _choose(home)
    async with Supervisor(home.pids, lambda _: None) as supervisor, httpx.AsyncClient(timeout=10) as web:
        provider_port = ports.free_port()
        provider = _oauth_provider(home, provider_port)
        await asyncio.gather(Parts(home, choice, home.folder).start(supervisor), supervisor.start(provider))
        teller.tell("running", "PostgreSQL 18, Temporal, API, worker, SMTP inbox, Slack stand-in, OAuth provider")
        async with _story(home, choice, web, f"http://{ports.HOST}:{provider_port}", teller) as story:
            await story.play()
        took = teller.elapsed
    console.print(f"[bold green]All of it happened[/], in {took:.0f} s. `make run` keeps it running for you to try.")


def _choose(home: Home) -> Choice:
    home.folder.mkdir(parents=True, exist_ok=True)
    policy = home.folder / "policy.toml"
    policy.write_text(POLICY)
    given = {"RELINK_POLICY_FILE": str(policy), "RELINK_PRODUCT_NAME": "Acme"}
    return home.choose(given, home.folder / ".env", usual_ports={})


def _oauth_provider(home: Home, port: int) -> Program:
    """A provider that nobody here wrote: `oidc-provider-mock`."""
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--user", PERSON]
    return Program(
        name="OAuth provider",
        command=command,
        ready=ports.serves(port, "/.well-known/openid-configuration"),
        log=home.log("provider"),
        stop_timeout=2,
    )


@contextlib.asynccontextmanager
async def _story(
    home: Home, choice: Choice, web: httpx.AsyncClient, provider_url: str, teller: Teller
) -> AsyncIterator[Story]:
    settings = choice.settings
    headers = {"Authorization": f"Bearer {await _create_key(home, choice)}"}
    api = f"http://{ports.HOST}:{choice.ports['api']}"
    async with contextlib.AsyncExitStack() as stack:
        relink = await stack.enter_async_context(httpx.AsyncClient(base_url=api, headers=headers, timeout=10))
        product = Product(relink, web, provider_url)
        product.url = f"http://{ports.HOST}:{await stack.enter_async_context(serving(product.app()))}"
        pool = asyncpg.create_pool(settings["RELINK_DATABASE_URL"], min_size=1, max_size=2)
        database = await stack.enter_async_context(pool)
        observer = Observer(database, web, settings["RELINK_INBOX_URL"], settings["RELINK_SLACK_PAGE_URL"])
        yield Story(product, observer, teller)


async def _create_key(home: Home, choice: Choice) -> str:
    """As an operator does; the key is shown this once."""
    scopes = [argument for scope in SCOPES for argument in ("--scope", scope)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter", "keys", "create", "demo", *scopes, "--json"),
        env=choice.environment(),
        cwd=home.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode != 0:
        raise NotSeenError(f"A key for the API was not seen: {err.decode(errors='replace').strip()}")
    return str(json.loads(out)["key"])


async def _remove_abandoned(parent: Path) -> None:
    """What a demo left behind that was killed: its servers, then its folder."""
    for folder in parent.glob("demo-*"):  # noqa: ASYNC240 (a handful of names)
        with contextlib.suppress(InUseError), locked(folder / "lock", str(folder)):
            await end_leftovers(Home(folder).pids)
            shutil.rmtree(folder, ignore_errors=True)
