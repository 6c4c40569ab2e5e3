"""A relay in front of a server: it records every byte and, at a byte that a test names, does what the test asks.

A trap names a place in what one side says: a pattern, and an offset from its start. Exactly the bytes before that place
are let through; then the trap springs (kills the worker, say), and the connection is cut, or goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from starter.embedded import ports

Side: TypeAlias = Literal["client", "server"]
GIGABYTE = 2**30


async def gigabyte(writer: asyncio.StreamWriter, opening: bytes) -> None:
    """Says a gigabyte instead of an answer."""
    writer.write(opening)
    for _ in range(GIGABYTE // 65_536):
        writer.write(b"x" * 65_536)
        await writer.drain()


async def drip(writer: asyncio.StreamWriter, opening: bytes) -> None:
    """Says one byte a second, for minutes."""
    for byte in opening + b"x" * 200:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


Habit: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Place:
    """A byte of what one side says, in connections whose client says `among` first."""

    side: Side
    pattern: bytes
    offset: int = 0
    among: bytes = b""

    def find(self, said: bytes, by_client: bytes) -> int | None:
        """Where it is, as far as that can be known by now."""
        if self.among not in by_client:
            return None
        at = said.find(self.pattern)
        return None if at < 0 else at + self.offset


@dataclass
class Trap:
    """Springs once. `spring` gets the connection; `cut`: afterwards neither side hears of the other again."""

    name: str
    place: Place
    spring: Callable[[Connection], Awaitable[None]]
    cut: bool = True
    sprung: bool = False


@dataclass
class Connection:
    """One connection through the relay. `port` is the client's, by which its process can be found."""

    port: int
    client: bytearray = field(default_factory=bytearray)
    server: bytearray = field(default_factory=bytearray)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Wire:
    """The relay. `down`: it accepts nobody, as a host that is away."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self.down = False
        self.connections: list[Connection] = []
        self.traps: list[Trap] = []
        self.habits: list[Habit] = []  # the next connections are answered so, instead of by the server
        self.failures: list[BaseException] = []  # of a test's traps and habits, which nobody awaits
        self._relays: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        """Forgets what was said and what was planned."""
        self.down = False
        self.connections.clear()
        self.traps.clear()
        self.habits.clear()
        self.failures.clear()

    def cut_all(self) -> None:
        """Cuts every connection, as a network that goes away."""
        for connection in self.connections:
            connection.cut()

    async def end(self) -> None:
        """Cuts every connection."""
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer.get_extra_info("peername")[1], writers=[writer])
        if self.down:
            connection.cut()
            return
        self.connections.append(connection)
        try:
            with contextlib.suppress(OSError):
                if self.habits:
                    await self.habits.pop(0)(writer)
                    return
                to_server, from_client = await self._open()
                connection.writers.append(from_client)
                pumps = (self._pump("client", reader, from_client, connection),
                         self._pump("server", to_server, writer, connection))  # fmt: skip
                await asyncio.gather(*pumps)
        finally:
            connection.cut()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._relays.add(relay := asyncio.create_task(self.relay(reader, writer)))
        relay.add_done_callback(self._over)

    def _over(self, relay: asyncio.Task[None]) -> None:
        self._relays.discard(relay)
        if not relay.cancelled() and (failure := relay.exception()) is not None:
            self.failures.append(failure)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(ports.HOST, self._target)

    async def _pump(
        self, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection
    ) -> None:
        said = connection.client if side == "client" else connection.server
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                before = len(said)
                said += chunk
                chunk = await self._spring(side, chunk, before, said, writer, connection)
                writer.write(chunk)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    async def _spring(
        self, side: Side, chunk: bytes, before: int, said: bytearray, writer: asyncio.StreamWriter, on: Connection
    ) -> bytes:
        """Lets a trap in this chunk spring; returns what is still to be passed on."""
        for trap in self.traps:
            at = None if trap.sprung or trap.place.side != side else trap.place.find(bytes(said), bytes(on.client))
            if at is None or not before <= at <= before + len(chunk):
                continue
            trap.sprung = True
            writer.write(chunk[: at - before])
            await writer.drain()
            await asyncio.sleep(0.02)  # what was let through arrives
            await trap.spring(on)
            if trap.cut:
                on.cut()
                raise ConnectionResetError
            return chunk[at - before :]
        return chunk


@contextlib.asynccontextmanager
async def wire_to(target: int) -> AsyncIterator[Wire]:
    """A relay to a port of this machine, on a port of its own."""
    wire = Wire(target)
    server = await asyncio.start_server(wire.accept, ports.HOST, 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.end()
        await server.wait_closed()
