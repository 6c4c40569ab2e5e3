"""TCP ports on 127.0.0.1: which are free, and who has the others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import psutil

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(preferred: int = 0) -> int:
    """The preferred port if it is free, else one that the operating system chooses."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def owner(port: int) -> str | None:
    """Who listens on the port, such as `nginx (process 812)`, where the operating system tells us."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return None


async def http_status(port: int, path: str) -> int | None:
    """The status that a web server on the port answers a GET with; None if it does not answer."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
            status_line = (await reader.readline()).split()
            writer.close()
            return int(status_line[1])
    except (OSError, TimeoutError, IndexError, ValueError):
        return None


def serves(port: int, path: str) -> Callable[[], Awaitable[bool]]:
    """Asks whether the path on the port answers 200."""

    async def ready() -> bool:
        return await http_status(port, path) == 200

    return ready


async def answers(port: int) -> bool:
    """Whether something accepts connections on the port."""
    try:
        async with asyncio.timeout(1):  # wait_for loses a cancellation that comes with the answer (Python 3.11)
            _, writer = await asyncio.open_connection(HOST, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
