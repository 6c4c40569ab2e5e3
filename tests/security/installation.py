"""All of Relink as `make run` starts it, in a folder of its own: real processes, whose logs are files."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from temporalio.client import Client

from activities.codec import data_converter
from activities.db.keys import Scope
from starter.embedded import ports
from starter.embedded.demo.observer import Observer
from starter.embedded.home import Choice, Home
from starter.embedded.parts import Parts
from starter.embedded.supervisor import Supervisor

POLICY = """\
[recovery]
quiet_window = "1s"
[monitoring]
interval = "2s"
[escalation.critical]
steps = [{ after = "2s", to = "csm_manager" }]
"""
OURS = (
    "api",
    "worker",
    "migrate",
    "codec",
)  # whose logs are Relink's; the others belong to parties that are told things


@dataclass(frozen=True)
class Installation:
    """`http` has a key that may do everything, `key` is that key."""

    home: Home
    settings: dict[str, str]
    http: httpx.AsyncClient
    key: str
    see: Observer

    @property
    def database(self) -> Any:
        return self.see.database

    def logs(self) -> str:
        return "\n".join(self.home.log(name).read_text() for name in OURS if self.home.log(name).exists())

    async def temporal(self, keys: str | None) -> Client:
        """As it is seen with these encryption keys."""
        return await Client.connect(self.settings["TEMPORAL_ADDRESS"], data_converter=data_converter(keys))


@asynccontextmanager
async def installation(folder: Path) -> AsyncIterator[Installation]:
    """Runs while the block runs, on free ports."""
    home = Home(folder)
    policy = folder / "policy.toml"
    policy.write_text(POLICY)
    given = {"RELINK_POLICY_FILE": str(policy), "RELINK_LOG_FORMAT": "json"}
    choice = home.choose(given, folder / ".env", usual_ports={})
    async with AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(Supervisor(home.pids, lambda _: None))
        await Parts(home, choice, folder).start(supervisor)
        web = await stack.enter_async_context(httpx.AsyncClient(timeout=120, trust_env=False))
        key = await _key(choice, folder)
        here = f"http://{ports.HOST}:{choice.ports['api']}"
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=here, headers={"Authorization": f"Bearer {key}"}, timeout=120, trust_env=False)
        )
        settings = dict(choice.settings)
        pool = await stack.enter_async_context(asyncpg.create_pool(settings["RELINK_DATABASE_URL"], min_size=0))
        see = Observer(pool, web, settings["RELINK_INBOX_URL"], settings["RELINK_SLACK_PAGE_URL"], patience=30)
        yield Installation(home, settings, http, key, see)


async def _key(choice: Choice, folder: Path) -> str:
    scopes = [argument for scope in Scope for argument in ("--scope", scope)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter", "keys", "create", "test", *scopes, "--json"),
        env=choice.environment(),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return str(json.loads(out)["key"])
