"""What `make run` relies on: whatever is killed comes back, what keeps ending is said, all stops in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from starter.embedded import ports
from starter.embedded.process import Program, ServerFailedError
from starter.embedded.supervisor import Supervisor, end_leftovers

SERVER = "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), None).serve_forever()"


def _server(folder: Path, port: int, name: str = "Server") -> Program:
    async def ready() -> bool:
        return await ports.answers(port)

    return Program(
        name=name,
        command=[sys.executable, "-c", SERVER, str(port)],
        ready=ready,
        log=folder / "logs" / f"{name}.log",
    )


async def _until(condition: Callable[[], bool], seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (other processes tell no Event)
            await asyncio.sleep(0.02)


async def test_a_killed_program_is_restarted_on_its_port(folder: Path) -> None:
    """SIGKILL is followed by a new process that answers on the same port, and by a line that says so."""
    lines: list[str] = []
    port = ports.free_port()
    async with Supervisor(folder / "pids.json", lines.append) as supervisor:
        server = _server(folder, port)
        await supervisor.start(server)
        killed = supervisor.pid("Server")
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await _until(lambda: supervisor.pid("Server") not in (killed, None))
        async with asyncio.timeout(120):
            while not await server.ready():  # noqa: ASYNC110 (as in _until)
                await asyncio.sleep(0.02)
    assert lines == ["Server was ended by SIGKILL; starting it again.", "Server stopped."]
    assert not await ports.answers(port)


async def test_programs_stop_in_the_reverse_order_of_their_start(folder: Path) -> None:
    """So that what others need is the last to go."""
    lines: list[str] = []
    async with Supervisor(folder / "pids.json", lines.append) as supervisor:
        for name in ("Database", "API", "Worker"):
            await supervisor.start(_server(folder, ports.free_port(), name))
    assert lines == ["Worker stopped.", "API stopped.", "Database stopped."]


async def test_a_program_that_cannot_start_is_reported_with_its_log(folder: Path) -> None:
    """The error names the program and shows what it said last."""

    async def never() -> bool:
        return False

    complains = Program(
        name="Worker",
        command=[sys.executable, "-c", "raise SystemExit('RELINK_SECRET_KEY is not set')"],
        ready=never,
        log=folder / "worker.log",
    )
    async with Supervisor(folder / "pids.json", lambda _: None) as supervisor:
        with pytest.raises(ServerFailedError, match=r"(?s)Worker stopped while starting.*RELINK_SECRET_KEY is not set"):
            await supervisor.start(complains)
        with pytest.raises(ServerFailedError, match="Worker failed"):
            await supervisor.run_once(complains)


async def test_a_crash_loop_backs_off_and_says_so(folder: Path) -> None:
    """After two prompt restarts the pauses grow, and each line shows the end of the log."""
    lines: list[str] = []

    async def at_once() -> bool:
        return True

    crashes = Program(
        name="Worker",
        command=["/bin/sh", "-c", "echo out of luck; exit 3"],
        ready=at_once,
        log=folder / "worker.log",
    )
    async with Supervisor(folder / "pids.json", lines.append) as supervisor:
        await supervisor.start(crashes)
        await _until(lambda: len(lines) == 4)
    assert lines[0] == "Worker ended with exit code 3; starting it again."
    assert lines[2].startswith("Worker ended with exit code 3, 3 times in a row; next try in 1 s.\n")
    assert "4 times in a row; next try in 2 s." in lines[3]
    assert "out of luck" in lines[3]


async def test_only_our_own_leftovers_are_ended(folder: Path) -> None:
    """A recorded process is ended if it is the same one; another that got its number since is left alone."""
    pids = folder / "pids.json"
    ours, another = [await asyncio.create_subprocess_exec("sleep", "60") for _ in range(2)]
    started = psutil.Process(ours.pid).create_time()
    pids.write_text(f'{{"Ours": [{ours.pid}, {started}], "Another": [{another.pid}, {started - 3600}]}}')
    await end_leftovers(pids)
    assert await asyncio.wait_for(ours.wait(), 120) == -signal.SIGINT
    assert another.returncode is None
    os.kill(another.pid, signal.SIGKILL)
    await another.wait()
