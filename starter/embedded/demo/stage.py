"""The stage on which the story is played: all of Relink, a product, and an OAuth provider, in a folder of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import asyncpg
import httpx

from starter.embedded import ports
from starter.embedded.demo.observer import NotSeenError, Observer
from starter.embedded.demo.product import Product
from starter.embedded.home import Choice, Home
from starter.embedded.parts import Parts
from starter.embedded.process import Program
from starter.embedded.supervisor import Supervisor
from starter.embedded.web import serving

PERSON = "bob@techcorp.example"  # whom the provider knows
SCOPES = ("events", "callbacks", "read", "operate", "admin")
POLICY = """\
# The demo cannot wait ten minutes for an escalation: everything else is as shipped.
[recovery]
quiet_window = "3s"

[escalation.critical]
steps = [{ after = "5s", to = "csm_manager" }, { after = "2h", to = "cs_leadership" }]
"""


@dataclass(frozen=True)
class Stage:
    """What is there when the curtain rises. `supervisor.pid(name)` is for tests that kill: "Worker", "Temporal", …"""

    supervisor: Supervisor
    product: Product
    see: Observer


@contextlib.asynccontextmanager
async def stage(home: Home, say: Callable[[str], None] = lambda _: None) -> AsyncIterator[Stage]:
    """Runs everything on free ports while the block runs, with none of the settings of this machine.

    `say` gets a line for each restart and stop. Raises ServerFailedError, naming the part, if one does not start.
    """
    choice = _choose(home)
    async with contextlib.AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(Supervisor(home.pids, say))
        provider = ports.free_port()
        parts = Parts(home, choice, home.folder)
        await asyncio.gather(parts.start(supervisor), supervisor.start(_oauth_provider(home, provider)))
        web = await stack.enter_async_context(httpx.AsyncClient(timeout=10))
        product = Product(await _relink(stack, home, choice), web, f"http://{ports.HOST}:{provider}")
        product.url = f"http://{ports.HOST}:{await stack.enter_async_context(serving(product.app()))}"
        yield Stage(supervisor, product, await _observer(stack, web, choice))


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


async def _relink(stack: contextlib.AsyncExitStack, home: Home, choice: Choice) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {await _create_key(home, choice)}"}
    url = f"http://{ports.HOST}:{choice.ports['api']}"
    return await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=10))


async def _observer(stack: contextlib.AsyncExitStack, web: httpx.AsyncClient, choice: Choice) -> Observer:
    settings = choice.settings
    pool = asyncpg.create_pool(settings["RELINK_DATABASE_URL"], min_size=0, max_size=2)
    database = await stack.enter_async_context(pool)
    return Observer(database, web, settings["RELINK_INBOX_URL"], settings["RELINK_SLACK_PAGE_URL"])


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
