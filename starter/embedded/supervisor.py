"""Keeps programs running: restarts whatever ends, backs off from what keeps ending, stops all in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil

from starter.embedded.process import Program, ServerFailedError, start, stop, tail, until_ready

SETTLED_AFTER = 10.0  # seconds; what lived longer did not end because of its start
PATIENT_RESTARTS = 2  # in a row that are tried at once; then the pauses grow
LONGEST_PAUSE = 30.0
LEFTOVER_PATIENCE = 20.0


class Supervisor:
    """Programs in the order of their start; on leaving the block they are stopped in the reverse order.

    Records the processes in the file `pids`, so that on entering the block those of an earlier supervisor that was
    killed are ended first: only ours, known by number and start time. `say` gets a line for each thing that happens.
    """

    def __init__(self, pids: Path, say: Callable[[str], None]) -> None:
        self._pids = pids
        self._say = say
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, tuple[int, float]] = {}

    async def __aenter__(self) -> Supervisor:
        await end_leftovers(self._pids)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        for name, task in reversed(self._tasks.items()):
            was_running = not task.done()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if was_running:
                self._say(f"{name} stopped.")
        self._pids.unlink(missing_ok=True)

    def pid(self, name: str) -> int | None:
        """The process of a program that runs now."""
        running = self._running.get(name)
        return running[0] if running else None

    async def start(self, program: Program) -> None:
        """Returns once the program is ready and keeps it running from then on.

        Raises ServerFailedError if its first start fails.
        """
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks[program.name] = asyncio.create_task(self._keep(program, first))
        await first

    async def run_once(self, program: Program) -> None:
        """Runs a program to its end; raises ServerFailedError if it fails."""
        process = await start(program)
        try:
            code = await process.wait()
        finally:
            await stop(program, process)
        if code != 0:
            raise ServerFailedError(f"{program.name} failed.\n{tail(program.log)}")

    async def _keep(self, program: Program, first: asyncio.Future[None]) -> None:
        try:
            await self._keep_alive(program, first)
        finally:
            first.cancel()

    async def _keep_alive(self, program: Program, first: asyncio.Future[None]) -> None:
        short_lives = 0
        while True:
            began = time.monotonic()
            end = await self._live(program, first)
            if first.done() and first.exception():
                return
            short_lives = 0 if time.monotonic() - began > SETTLED_AFTER else short_lives + 1
            if short_lives <= PATIENT_RESTARTS:
                self._say(f"{program.name} {end}; starting it again.")
                continue
            pause = min(2.0 ** (short_lives - PATIENT_RESTARTS - 1), LONGEST_PAUSE)
            self._say(
                f"{program.name} {end}, {short_lives} times in a row; next try in {pause:.0f} s.\n{tail(program.log)}"
            )
            await asyncio.sleep(pause)

    async def _live(self, program: Program, first: asyncio.Future[None]) -> str:
        """One life of a program; says how it ended."""
        process = None
        try:
            await program.prepare()
            process = await start(program)
            self._record(program.name, process.pid)
            await until_ready(program, process)
            if not first.done():
                first.set_result(None)
            return _how(await process.wait())
        except ServerFailedError as failure:
            if not first.done():
                first.set_exception(failure)
            return "does not start"
        finally:
            if process:
                await stop(program, process)
            self._record(program.name, None)

    def _record(self, name: str, pid: int | None) -> None:
        self._running.pop(name, None)
        if pid is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._running[name] = (pid, psutil.Process(pid).create_time())
        unfinished = self._pids.with_suffix(".tmp")
        unfinished.write_text(json.dumps(self._running))
        unfinished.replace(self._pids)


async def end_leftovers(pids: Path) -> None:
    """Ends the processes recorded by a supervisor that is gone; those that are not ours any more are left alone."""
    leftovers = _recorded(pids)
    for ask in (signal.SIGINT, signal.SIGKILL):  # for PostgreSQL SIGINT means a fast shutdown, for the others stop
        for process in leftovers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(ask)
        deadline = time.monotonic() + LEFTOVER_PATIENCE
        while leftovers and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            leftovers = [process for process in leftovers if _runs(process)]


def _recorded(pids: Path) -> list[psutil.Process]:
    try:
        recorded = json.loads(pids.read_text())
    except (OSError, ValueError):
        return []
    return [process for pid, started in recorded.values() if (process := _ours(pid, started))]


def _ours(pid: int, started: float) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - started) < 0.05 and _runs(process):
            return process
    return None


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
