"""Child processes that never outlive us: started, awaited until they answer, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

MAX_LOG_BYTES = 20_000_000
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class ServerFailedError(Exception):
    """A server did not come up; the message says which, why, and where its log is."""


class InUseError(Exception):
    """Another living process holds the lock; the message says which."""


async def nothing() -> None:
    """The preparation of a program that needs none."""
    return


class Account(NamedTuple):
    """A system user and their group, by number."""

    user: int
    group: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """How to run one server as a child process.

    `prepare` runs before every start and must leave things so that a start after `kill -9` succeeds.
    `ready` is asked again and again until it says yes.
    `env` is the whole environment and `folder` the working directory; None means ours.
    `account` gives another system user to run as, for programs that refuse to run as root.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    log: Path
    env: Mapping[str, str] | None = None
    prepare: Callable[[], Awaitable[None]] = nothing
    account: Callable[[], Awaitable[Account | None]] = nothing
    folder: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 15
    start_timeout: float = 30


@contextlib.asynccontextmanager
async def running(program: Program) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs the program while the block runs, from ready to gone.

    Raises ServerFailedError when it ends before it is ready, or is not ready within `start_timeout` seconds.
    """
    await program.prepare()
    process = await start(program)
    try:
        await until_ready(program, process)
        yield process
    finally:
        await stop(program, process)


async def start(program: Program) -> asyncio.subprocess.Process:
    """Starts the program, appending to its log; in a session of its own, so that Ctrl-C reaches only us."""
    account = await program.account()
    with open_log(program.log) as log:
        return await asyncio.create_subprocess_exec(
            *program.command,
            env=program.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            cwd=program.folder,
            umask=0o077,  # mails and messages are nobody else's business
            **as_account(account),
            # Only one system call is made there, so threads holding locks at the fork do no harm.
            preexec_fn=_die_with_parent(program.stop_signal),
        )


def as_account(account: Account | None) -> dict[str, Any]:
    """What starts a subprocess as that user, or as ourselves."""
    return {} if account is None else {"user": account.user, "group": account.group, "extra_groups": []}


async def until_ready(program: Program, process: asyncio.subprocess.Process) -> None:
    """Returns once the program answers; raises ServerFailedError if it ends first or takes too long."""
    pause = 0.02
    try:
        async with asyncio.timeout(program.start_timeout):
            while not await program.ready():
                if process.returncode is not None:
                    raise ServerFailedError(f"{program.name} stopped while starting.\n{tail(program.log)}")
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.25)
    except TimeoutError:
        waited = f"{program.name} did not answer within {program.start_timeout:.0f} s."
        raise ServerFailedError(f"{waited}\n{tail(program.log)}") from None


async def stop(program: Program, process: asyncio.subprocess.Process) -> None:
    """Asks the program to stop, and kills it if it has not within `stop_timeout` seconds."""
    _signal(process, program.stop_signal)
    try:
        async with asyncio.timeout(program.stop_timeout):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, ask: signal.Signals) -> None:
    # Not process.send_signal: that reaps a process that has just died, and asyncio then misses its exit code.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, ask)


def open_log(path: Path) -> IO[bytes]:
    """Opens a log for appending; what is beyond 20 MB is kept once, as `….1`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log, headed by its path."""
    if not path.exists():
        return f"(no log at {path})"
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 8_192))
        last = log.read().decode(errors="replace").splitlines()[-lines:]
    return "\n".join([f"{path}:", *(f"  {line}" for line in last)])


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Holds a lock that even `kill -9` releases; raises InUseError, naming `what`, if another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise InUseError(f"{what} is already in use by process {holder}.") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child does before it executes, so that the kernel signals it when its parent dies (Linux)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: afterwards only a plain call is safe
    parent = os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before prctl took effect
            os._exit(1)

    return in_child


async def until_stopped() -> None:
    """Returns when somebody asks this process to stop, by Ctrl-C or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for ask in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(ask, stopped.set)
    await stopped.wait()
