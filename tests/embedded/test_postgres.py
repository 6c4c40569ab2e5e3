"""The embedded PostgreSQL keeps what was committed, whatever was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from starter.embedded.postgres import FAST_OPTIONS, postgres
from starter.embedded.process import InUseError


async def _execute(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_killed_server_comes_back_with_its_data_on_the_same_port(folder: Path) -> None:
    """What was committed before SIGKILL is there after the next start, on the port asked for."""
    async with postgres(folder / "data", options=FAST_OPTIONS) as first:
        await _execute(first.url, "create table kept as select 42 as value")
        os.kill(first.pid, signal.SIGKILL)
    async with postgres(folder / "data", port=first.port, options=FAST_OPTIONS) as second:
        assert second.port == first.port
        assert second.pid != first.pid
        assert await _execute(second.url, "select value from kept") == 42
        assert str(await _execute(second.url, "show server_version_num")) >= "180000"
        assert await _execute(second.url, "show server_encoding") == "UTF8"


async def test_a_folder_has_one_server_only(folder: Path) -> None:
    """A second start on a folder in use is refused by name, and the first goes on undisturbed."""
    async with postgres(folder / "data", options=FAST_OPTIONS) as server:
        with pytest.raises(InUseError, match=f"already in use by process {os.getpid()}"):
            async with postgres(folder / "data", options=FAST_OPTIONS):
                pass
        assert await _execute(server.url, "select 1") == 1


async def test_a_killed_parent_leaves_no_server_in_the_way(folder: Path) -> None:
    """When the parent is killed, a new start on the folder works at once and finds what was committed."""
    script = (
        "import asyncio, pathlib, sys\n"
        "from starter.embedded.postgres import FAST_OPTIONS, postgres\n"
        "async def main():\n"
        "    async with postgres(pathlib.Path(sys.argv[1]), options=FAST_OPTIONS) as server:\n"
        "        print(server.pid, server.url, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(folder / "data"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid, url = (await parent.stdout.readline()).decode().split()
    await _execute(url, "create table kept as select 42 as value")
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    async with postgres(folder / "data", options=FAST_OPTIONS) as server:
        assert await _execute(server.url, "select value from kept") == 42
        assert not _runs(int(pid))


async def test_a_foreign_process_with_the_recorded_number_is_not_taken_for_the_server(folder: Path) -> None:
    """After a reboot the recorded process number may belong to anyone: they are left alone and we start."""
    async with postgres(folder / "data", options=FAST_OPTIONS) as server:
        os.kill(server.pid, signal.SIGKILL)
    stale = folder / "data" / "postmaster.pid"
    lines = stale.read_text().splitlines()
    stale.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
    async with postgres(folder / "data", options=FAST_OPTIONS) as again:
        assert await _execute(again.url, "select 1") == 1
