"""Promise 5: Slack shows at most one message per intent; a mail comes at most twice, and only when the reply to its
DATA was lost. The worker is killed, or only its connection cut, at every byte of a dialogue that matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from tests.faults.audit import repeated_in_slack
from tests.faults.cluster import WORKERS, Cluster
from tests.faults.scene import PATIENCE, Scene, names, wait_for
from tests.faults.wire import Connection, Place, Side, Trap

POST = b"POST /api/chat.postMessage"


@dataclass(frozen=True)
class Moment:
    """Where in a dialogue, and on whose side."""

    name: str
    side: Side
    pattern: bytes
    offset: int = 0

    def place(self, among: bytes) -> Place:
        return Place(self.side, self.pattern, self.offset, among)


SLACK = [
    Moment("before the first byte", "client", POST),
    Moment("in the request line", "client", POST, 9),
    Moment("after the headers", "client", b"\r\n\r\n", 4),
    Moment("in the body", "client", b"\r\n\r\n", 400),
    Moment("before the answer", "server", b"HTTP/1.1 200"),
    Moment("in the answer's headers", "server", b"HTTP/1.1 200", 20),
    Moment("in the answer's body", "server", b"\r\n\r\n", 30),
]
SMTP = [
    Moment("before EHLO", "client", b"EHLO"),
    Moment("before MAIL", "client", b"MAIL FROM"),
    Moment("after MAIL", "client", b"RCPT TO"),
    Moment("before the reply to RCPT", "client", b"DATA\r\n"),
    Moment("before the reply to DATA", "server", b"354 "),
    Moment("after the reply to DATA, before the mail", "client", b"From: "),
    Moment("in the mail", "client", b"From: ", 600),
    Moment("before the final dot", "client", b"\r\n.\r\n", 2),
    Moment("after the final dot, before 250", "server", b"250 OK: kept"),
    Moment("after 250, before QUIT", "client", b"QUIT"),
]


def _kill_whoever_speaks(cluster: Cluster, revive: Callable[[str], None]) -> Callable[[Connection], object]:
    async def spring(connection: Connection) -> None:
        worker = await cluster.who_has(connection.port)
        if worker is not None:  # else it has given up by itself
            await cluster.kill(worker)
            revive(worker)

    return spring


@pytest.mark.parametrize("how", ["killed", "cut"])
async def test_at_every_byte_that_matters(scene: Scene, how: str) -> None:
    """One alert and one mail of each incident reach their readers, however the dialogues ended."""
    cluster, born = scene.cluster, list[asyncio.Task[None]]()

    def revive(worker: str) -> None:
        born.append(asyncio.create_task(cluster.start(worker)))

    async def nothing(_: Connection) -> None:
        """The connection is cut afterwards, and that is all."""

    spring = _kill_whoever_speaks(cluster, revive) if how == "killed" else nothing
    cluster.slack_wire.traps = [Trap(m.name, m.place(POST), spring) for m in SLACK]
    cluster.smtp_wire.traps = [Trap(m.name, m.place(b""), spring) for m in SMTP]
    broken = await scene.integrations(len(SMTP))
    await scene.say_until_taken(*(one.event() for one in broken))
    await scene.until_told(2 * len(broken), *names(broken), within=400)
    await asyncio.gather(*born)
    assert [trap.name for trap in [*cluster.slack_wire.traps, *cluster.smtp_wire.traps] if not trap.sprung] == []
    await scene.say_until_taken(*(one.event("sync_succeeded") for one in broken))
    await scene.until_over(*names(broken))
    await scene.audit()


async def test_a_sleeper_awakes_after_its_lease(scene: Scene) -> None:
    """A worker freezes with its request on the way, another one takes over; what arrives late does not stay."""
    cluster, (sleeper, other) = scene.cluster, WORKERS
    (one,) = await scene.integrations(1)
    await cluster.stop(other)  # so that it is the sleeper's request
    asleep, awake = asyncio.Event(), asyncio.Event()

    async def freeze(_: Connection) -> None:
        cluster.freeze(sleeper)
        asleep.set()
        await awake.wait()

    cluster.slack_wire.traps = [Trap("asleep", Place("client", POST, 0, POST), freeze, cut=False)]
    await scene.say_until_taken(one.event())
    await asyncio.wait_for(asleep.wait(), PATIENCE)
    await cluster.start(other)
    await scene.until_told(2, one.customer)
    cluster.thaw(sleeper)
    awake.set()
    await wait_for(partial(_one_alert_stands, cluster), PATIENCE, "the late message is taken back")
    await scene.say_until_taken(one.event("sync_succeeded"))
    await scene.until_over(one.customer)
    await scene.audit()


async def _one_alert_stands(cluster: Cluster) -> bool:
    """The late one came, and went."""
    return bool(cluster.slack.calls("chat.delete")) and repeated_in_slack(cluster) == 0
