"""The parts of Relink on one machine, as programs for the supervisor."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from starter.embedded import ports
from starter.embedded.home import Choice, Home
from starter.embedded.postgres import postgres_program
from starter.embedded.process import Program, nothing
from starter.embedded.supervisor import Supervisor
from starter.embedded.temporal import temporal_program

INTERACTIONS_PATH = "/slack/interactions"
WORKER_PROVES_ITSELF_FOR = 1.0  # seconds; it has no port to ask, but a wrong setting ends it at once


@dataclass(frozen=True)
class Parts:
    """All that runs, with the ports and settings of one run."""

    home: Home
    choice: Choice
    folder: Path | None = None  # where the programs work, and so which .env they read; None: where we do

    async def start(self, supervisor: Supervisor) -> None:
        """Starts the embedded servers at once, then migrates, then the API and the worker.

        Raises ServerFailedError, naming the part, if one does not start.
        """
        await asyncio.gather(*(supervisor.start(server) for server in self.servers()))
        await supervisor.run_once(self.migration())
        await asyncio.gather(supervisor.start(self.api()), supervisor.start(self.worker()))

    def servers(self) -> list[Program]:
        """The embedded servers that nothing from outside replaces, the most fundamental first."""
        known = {"postgres": self._postgres, "temporal": self._temporal, "inbox": self._inbox, "slack": self._slack}
        programs = [program() for name, program in known.items() if name in self.choice.embedded]
        return [*programs, self._codec()] if "temporal" in self.choice.embedded else programs

    def migration(self) -> Program:
        """Brings the tables up to date, once."""
        return self._python("Migration", "migrate", ["starter", "migrate"])

    def api(self) -> Program:
        """The HTTP API, ready when it says so: database, migrations, Temporal."""
        ready = ports.serves(self.choice.ports["api"], "/readyz")
        return self._python("API", "api", ["starter", "api"], ready=ready)

    def worker(self) -> Program:
        """The worker, which finishes the activities under way before it stops."""
        watch = _Stopwatch(WORKER_PROVES_ITSELF_FOR)
        return self._python("Worker", "worker", ["worker"], ready=watch.is_over, prepare=watch.restart, stop_timeout=25)

    def _postgres(self) -> Program:
        log = self.home.log("postgres")
        return postgres_program(self.home.folder / "postgres", port=self.choice.ports["postgres"], log=log)

    def _temporal(self) -> Program:
        port, ui_port = self.choice.ports["temporal"], self.choice.ports["temporal_ui"]
        data = self.home.folder / "temporal" / "temporal.db"
        codec_url = f"http://{ports.HOST}:{self.choice.ports['codec']}"
        return temporal_program(data, port=port, ui_port=ui_port, codec_url=codec_url, log=self.home.log("temporal"))

    def _codec(self) -> Program:
        port = self.choice.ports["codec"]
        module = ["starter.embedded.codec", str(port)]
        return self._python("Codec of the Temporal UI", "codec", module, ready=ports.serves(port, "/"))

    def _inbox(self) -> Program:
        smtp, page = self.choice.ports["smtp"], self.choice.ports["inbox"]
        module = ["starter.embedded.inbox", str(self.home.folder / "inbox"), str(smtp), str(page)]
        return self._python("Inbox", "inbox", module, ready=ports.serves(page, "/"))

    def _slack(self) -> Program:
        port = self.choice.ports["slack"]
        clicks = f"http://{ports.HOST}:{self.choice.ports['api']}{INTERACTIONS_PATH}"
        module = ["starter.embedded.slack", str(self.home.folder / "slack.db"), str(port), clicks]
        return self._python("Slack stand-in", "slack", module, ready=ports.serves(port, "/_calls"))

    def _python(
        self,
        name: str,
        log: str,
        module: list[str],
        *,
        ready: Callable[[], Awaitable[bool]] | None = None,
        prepare: Callable[[], Awaitable[None]] = nothing,
        stop_timeout: float = 10,
    ) -> Program:
        return Program(
            name=name,
            command=[sys.executable, "-m", *module],
            ready=ready or _at_once,
            prepare=prepare,
            log=self.home.log(log),
            env=self.choice.environment(),
            folder=self.folder,
            start_timeout=60,
            stop_timeout=stop_timeout,
        )


class _Stopwatch:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()

    async def restart(self) -> None:
        self._began = time.monotonic()

    async def is_over(self) -> bool:
        return time.monotonic() - self._began > self._seconds


async def _at_once() -> bool:
    return True
