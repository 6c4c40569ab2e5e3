"""Relink as separate processes on real servers, each of which a test can kill, freeze, restart or wipe."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psutil
from temporalio.client import Client

from activities.codec import data_converter
from activities.db.keys import KeyStore, Scope
from activities.db.migrate import migrate
from activities.db.pool import Pool, create_pool
from starter.embedded import ports
from starter.embedded.home import Choice
from starter.embedded.inbox import Inbox, inbox
from starter.embedded.postgres import FAST_OPTIONS, database_url, postgres_program
from starter.embedded.process import Program, start, stop, until_ready
from starter.embedded.slack import SlackServer, slack
from starter.embedded.temporal import temporal_program
from tests.faults.wire import Wire, wire_to

WORKERS = ("worker-1", "worker-2")
# As shipped, but a life takes seconds.
POLICY = """
[recovery]
quiet_window = "2s"
[escalation.critical]
steps = [{ after = "4s", to = "csm_manager" }, { after = "8s", to = "cs_leadership" }]
ack_timeout = "1h"
[people]
cs_leadership = { email = "lena@acme.example" }
[customer]
reminders = []
min_between_mails = "0s"
[monitoring]
interval = "1s"
recheck_after = "1s"
[limits]
per_key_per_second = 100000
[outage]
min_integrations = 14
min_share = 0.9
window = "10s"
hold_at_most = "5m"
"""


@dataclass
class Cluster:
    """Everything that runs. `slack` and `inbox` live in this process; the workers reach them by the wires."""

    folder: Path
    settings: dict[str, str]
    programs: dict[str, Program]
    slack: SlackServer
    inbox: Inbox
    slack_wire: Wire
    smtp_wire: Wire
    key: str = ""
    api_url: str = ""
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _frozen: set[str] = field(default_factory=set)

    @property
    def database(self) -> str:
        return self.settings["RELINK_DATABASE_URL"]

    @property
    def environment(self) -> dict[str, str]:
        return Choice({}, self.settings, frozenset()).environment()

    @contextlib.asynccontextmanager
    async def pool(self) -> AsyncIterator[Pool]:
        """Connections of the test's own, for looking."""
        async with create_pool(self.database, size=4) as pool:
            yield pool

    @contextlib.asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(base_url=self.api_url, headers=headers, timeout=120, trust_env=False) as client:
            yield client

    async def make_key(self, pool: Pool) -> None:
        """An API key that may do everything."""
        _, self.key = await KeyStore(pool).create("faults", list(Scope))

    async def temporal(self) -> Client:
        """A client of the test's own, which can read what the workers write."""
        converter = data_converter(self.settings["RELINK_ENCRYPTION_KEYS"])
        return await Client.connect(self.settings["TEMPORAL_ADDRESS"], data_converter=converter)

    async def start(self, *names: str) -> None:
        """Starts these programs, unless they run; returns once they are ready."""

        async def one(name: str) -> None:
            program = self.programs[name]
            await program.prepare()
            self._running[name] = process = await start(program)
            await until_ready(program, process)

        await asyncio.gather(*(one(name) for name in names if not self.runs(name)))

    def runs(self, name: str) -> bool:
        process = self._running.get(name)
        return process is not None and process.returncode is None

    async def kill(self, *names: str) -> None:
        """`kill -9`, and waits until they are gone."""
        for name in names:
            self.signal(name, signal.SIGKILL)
        await asyncio.gather(*(self._running[name].wait() for name in names if name in self._running))
        self._frozen -= set(names)

    async def stop(self, name: str) -> int:
        """Asks it to stop, as an orchestrator does, and returns its exit code."""
        await stop(self.programs[name], self._running[name])
        return self._running[name].returncode or 0

    def freeze(self, name: str) -> None:
        self.signal(name, signal.SIGSTOP)
        self._frozen.add(name)

    def thaw(self, name: str) -> None:
        self.signal(name, signal.SIGCONT)
        self._frozen.discard(name)

    async def restore(self) -> None:
        """Everything runs again and nothing is planned, whatever a test did."""
        for name in list(self._frozen):
            self.thaw(name)
        self.slack_wire.reset()
        self.smtp_wire.reset()
        self.slack.api.failures.clear()
        self.inbox.handler.failures.clear()
        await self.start("postgres", "temporal")
        await self.start(*(name for name in self.programs if name not in {"postgres", "temporal"}))

    async def wipe_temporal(self) -> None:
        """Its server is lost with all that it knew; an empty one takes its place."""
        await self.kill("temporal")
        shutil.rmtree(self.folder / "temporal")
        await self.start("temporal")

    def memory(self, name: str) -> int:
        """The most memory that it ever had, in bytes."""
        status = Path(f"/proc/{self._running[name].pid}/status").read_text()
        (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        return int(peak) * 1024

    async def who_has(self, port: int) -> str | None:
        """The worker whose connection has this port on its side; None if it is gone. Looks more than once: the kernel's
        table changes while it is read, and a connection may be left out."""
        for _ in range(10):
            for name in WORKERS:
                if self.runs(name) and self._has(self._running[name].pid, port):
                    return name
            await asyncio.sleep(0.02)
        return None

    @staticmethod
    def _has(pid: int, port: int) -> bool:
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(pid).net_connections("tcp4")
            return any(connection.laddr and connection.laddr.port == port for connection in connections)
        return False

    async def end(self) -> None:
        for name in list(self._frozen):
            self.thaw(name)
        for name in reversed(self.programs):
            if self.runs(name):
                await stop(self.programs[name], self._running[name])

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends it a signal, if it runs."""
        process = self._running.get(name)
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                if name == "postgres" and number is not signal.SIGKILL:
                    for child in psutil.Process(process.pid).children(recursive=True):
                        child.send_signal(number)
                os.kill(process.pid, number)


@contextlib.asynccontextmanager
async def cluster_in(folder: Path) -> AsyncIterator[Cluster]:
    """Runs all of it while the block runs: two incident workers, one probe worker, the API."""
    async with AsyncExitStack() as stack:
        slack_server = await stack.enter_async_context(slack(folder / "slack.db"))
        mails = await stack.enter_async_context(inbox(folder / "inbox"))
        slack_wire = await stack.enter_async_context(wire_to(slack_server.port))
        smtp_wire = await stack.enter_async_context(wire_to(mails.smtp_port))
        cluster = _described(folder, slack_server, mails, slack_wire, smtp_wire)
        stack.push_async_callback(cluster.end)
        await cluster.start("postgres", "temporal")
        async with cluster.pool() as pool:
            await migrate(pool)
            await cluster.make_key(pool)
        await cluster.start("api", "probes", *WORKERS)
        slack_server.send_clicks_to(f"{cluster.api_url}/slack/interactions")
        yield cluster


def _described(folder: Path, slack_server: SlackServer, mails: Inbox, slack_wire: Wire, smtp_wire: Wire) -> Cluster:
    postgres_port, temporal_port, api_port = (ports.free_port() for _ in range(3))
    (folder / "policy.toml").write_text(POLICY)
    settings = {
        "RELINK_DATABASE_URL": database_url(postgres_port),
        "RELINK_SECRET_KEY": secrets.token_hex(32),
        "RELINK_ENCRYPTION_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "RELINK_API_PORT": str(api_port),
        "RELINK_PUBLIC_URL": f"http://{ports.HOST}:{api_port}",
        "RELINK_EMAIL_FROM": "Acme <integrations@acme.example>",
        "RELINK_SMTP_URL": f"smtp://{ports.HOST}:{smtp_wire.port}?tls=none",
        "RELINK_SLACK_API_URL": f"http://{ports.HOST}:{slack_wire.port}/api/",
        "RELINK_SLACK_BOT_TOKEN": slack_server.token,
        "RELINK_SLACK_SIGNING_SECRET": slack_server.signing_secret,
        "RELINK_POLICY_FILE": str(folder / "policy.toml"),
        "RELINK_PROBE_ALLOW_PRIVATE": "true",
        "TEMPORAL_ADDRESS": f"{ports.HOST}:{temporal_port}",
    }
    environment = Choice({}, settings, frozenset()).environment()

    def python(name: str, *module: str, ready: Callable[[], Awaitable[bool]] | None = None) -> Program:
        log = folder / "logs" / f"{name}.log"
        started = ready or _says(log, "worker started")
        return Program(
            name=name, command=[sys.executable, "-m", *module], ready=started, log=log, env=environment,
            start_timeout=90, stop_timeout=60, prepare=_forgetting(log),
        )  # fmt: skip

    options = FAST_OPTIONS | {"synchronous_commit": "on"}
    programs = {
        "postgres": postgres_program(folder / "postgres", port=postgres_port, options=options),
        "temporal": temporal_program(
            folder / "temporal" / "temporal.db", port=temporal_port, ui_port=None, log=folder / "logs" / "temporal.log"
        ),
        "api": python("api", "starter", "api", ready=ports.serves(api_port, "/readyz")),
        "probes": python("probes", "worker", "--queue", "probes"),
        **{name: python(name, "worker", "--queue", "incidents") for name in WORKERS},
    }
    url = f"http://{ports.HOST}:{api_port}"
    return Cluster(folder, settings, programs, slack_server, mails, slack_wire, smtp_wire, api_url=url)


def says(log: Path, words: str, times: int = 1) -> bool:
    """Whether a program has said so in this life, that many times."""
    return log.exists() and log.read_text(errors="replace").count(words) >= times


def _says(log: Path, words: str) -> Callable[[], Awaitable[bool]]:
    async def said() -> bool:
        return says(log, words)

    return said


def _forgetting(log: Path) -> Callable[[], Awaitable[None]]:
    """Keeps what an earlier life wrote apart, so that `ready` reads of this one."""

    def forget() -> None:
        if log.exists():
            with log.with_suffix(".earlier.log").open("ab") as earlier:
                earlier.write(log.read_bytes())
            log.unlink()

    return partial(asyncio.to_thread, forget)
