"""The API as a process of its own: starts while everything is away, drains, reads its policy again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from activities.db.keys import KeyStore
from activities.db.pool import Pool
from activities.settings import ROOT, SettingsError
from starter.api.app import serve
from starter.embedded import ports
from tests.api.calling import SECRET_KEY, settings_for_tests

PROGRAM = """
import asyncio
from activities.settings import Settings
from starter.api.app import serve
from starter.logs import set_up_logs
set_up_logs("json")
asyncio.run(serve(Settings.load("database_url", "secret_key", "public_url")))
"""


class Served:
    """A running API."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.process, self.port, self._log = process, port, log
        self.url = f"http://127.0.0.1:{port}"

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    async def until_logged(self, text: str) -> None:
        for _ in range(2400):
            if text in self.log:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{text!r} was not logged: {self.log}")


@contextlib.asynccontextmanager
async def serving(folder: Path, database: str, *, port: int = 0, **env: str) -> AsyncIterator[Served]:
    port = port or ports.free_port(0)
    log = folder / "api.log"
    settings = {
        "RELINK_DATABASE_URL": database,
        "RELINK_SECRET_KEY": SECRET_KEY,
        "RELINK_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "RELINK_API_PORT": str(port),
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
        "PYTHONPATH": str(ROOT),
    }
    with log.open("w") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, cwd=folder, env=os.environ | settings | env, stdout=out, stderr=out
        )
    try:
        yield Served(process, port, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_it_starts_while_everything_is_away_reloads_and_drains(tmp_path: Path, database: str, pool: Pool) -> None:
    """A request that is under way at SIGTERM is answered; then the process ends with 0."""
    _, key = await KeyStore(pool).create("producer", ["events", "admin"])
    headers = {"Authorization": f"Bearer {key}"}
    policy = tmp_path / "own.toml"
    write(policy, "per_key_per_second = 70")
    async with (
        serving(tmp_path, database, RELINK_POLICY_FILE=str(policy)) as api,
        httpx.AsyncClient(base_url=api.url, headers=headers, timeout=120, trust_env=False) as web,
    ):
        await api.until_logged("the API listens")
        assert (await web.get("/healthz")).status_code == 200
        ready = await web.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "ok")
        assert ready.json()["checks"]["temporal"] != "ok"
        assert (await web.put("/v1/customers/techcorp", json={"name": "TechCorp"})).status_code == 201
        await reload_policy(api, policy)
        half_sent, answer = await half_a_request(api.port, key)
        api.process.send_signal(signal.SIGTERM)
        await api.until_logged("Shutting down")
        with pytest.raises(httpx.TransportError):  # nothing new is taken
            await httpx.AsyncClient(trust_env=False).get(f"{api.url}/healthz")
        line = await finish(half_sent, answer)
        assert b" 202 " in line, api.log
        assert await asyncio.wait_for(api.process.wait(), 120) == 0
        assert await pool.fetchval("select count(*) from integration_events") == 1
        assert key not in api.log


def write(policy: Path, limit: str) -> None:
    policy.write_text(f"[limits]\n{limit}\n")


async def reload_policy(api: Served, policy: Path) -> None:
    """A wrong file leaves the old policy in force, a right one is taken."""
    write(policy, "per_key_per_seconds = 80")
    api.process.send_signal(signal.SIGHUP)
    await api.until_logged("the old one stays in force")
    assert "per_key_per_seconds: unknown key" in api.log
    write(policy, "per_key_per_second = 90")
    api.process.send_signal(signal.SIGHUP)
    await api.until_logged("the policy was reloaded")


async def half_a_request(port: int, key: str) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(EVENT)}\r\n\r\n".encode() + EVENT[:20])
    await writer.drain()
    await asyncio.sleep(0.2)
    return writer, reader


async def finish(writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> bytes:
    writer.write(EVENT[20:])
    await writer.drain()
    line = await asyncio.wait_for(reader.readline(), 120)
    writer.close()
    return line


EVENT = json.dumps(
    {"customer_external_id": "techcorp", "integration_type": "salesforce", "event_type": "auth_failure"}
).encode()


async def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = settings_for_tests(database_url="postgresql://nobody@127.0.0.1:9/none", api_port=port)
        with pytest.raises(SettingsError, match=f"RELINK_API_PORT: can't listen on 127.0.0.1:{port}"):
            await serve(settings)
