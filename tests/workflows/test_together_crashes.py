"""A mail about several, and a worker that dies on the line before or after each side effect: nobody is left out, and
nothing is told twice but, where a reply was lost, one more copy of the same Message-ID."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiosmtplib
import pytest

from activities.db.actions import Actions
from activities.db.ledger import Ledger
from activities.notices import Notices
from tests.workflows.breaking import BOB, broken, first_mails, told_of
from tests.workflows.world import World
from workflows.contracts import IncidentAt, Resolution, Told

POINTS: dict[str, tuple[type, str, str]] = {
    "before the claim": (Ledger, "claim", "before"),
    "after the claim": (Ledger, "claim", "after"),
    "before the address is given": (aiosmtplib.SMTP, "rcpt", "before"),
    "before it is handed over": (Ledger, "hand_over", "before"),
    "before it leaves": (aiosmtplib.SMTP, "data", "before"),
    "after it left": (aiosmtplib.SMTP, "data", "after"),
    "before it is settled": (Ledger, "settle", "before"),
    "after it was settled": (Ledger, "settle", "after"),
}
AFTER_DATA = {"after it left", "before it is settled"}
HANDED_OVER = {"before it leaves", *AFTER_DATA}


class Died(BaseException):
    """What no code catches: the process is gone."""


class Worker:
    """Calls the activities as the responses would; dies where it is told to."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self.world, self._patch = world, patch
        (self._notices,) = (o for o in world.objects() if isinstance(o, Notices))
        self._passed = timedelta()

    def pass_time(self, span: timedelta) -> None:
        self._passed += span

    def _at(self, incident: UUID) -> IncidentAt:
        return IncidentAt(incident_id=incident, now=datetime.now(UTC) + self._passed)

    async def notify(self, incident: UUID) -> Told:
        told = (await self._notices.notify_technical_contact(self._at(incident))).told
        await self.world.pool.execute("update incidents set informed_kind = kind where id = $1", incident)
        return told

    async def send(self, *incidents: UUID) -> None:
        """What each response does when it wakes up, until nothing is left that is due."""
        for _ in range(3):
            for incident in incidents:
                await self._notices.send_waiting(self._at(incident))

    async def dies(self, point: str, act: Callable[[], Any]) -> None:
        owner, method, when = POINTS[point]
        original = getattr(owner, method)

        async def mortal(*arguments: Any, **named: Any) -> Any:
            if when == "before":
                raise Died(point)
            await original(*arguments, **named)
            raise Died(point)

        with self._patch.context() as patch:
            patch.setattr(owner, method, mortal)
            with pytest.raises(Died):
                await act()
        await asyncio.sleep(0.05)  # the connection that was cut is gone
        await self.world.pool.execute("update deliveries set lease_until = now() - interval '1 second'")
        self.pass_time(timedelta(seconds=1))


@pytest.fixture
def worker(world: World, monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(world, monkeypatch)


async def _held(world: World, worker: Worker, *names: str) -> list[UUID]:
    """HubSpot's mail is out; the others have to wait, and their time has come."""
    (first,) = await broken(world, "hubspot", ring=False)
    assert await worker.notify(first) is Told.SENT
    incidents = await broken(world, *names, ring=False)
    for incident in incidents:
        assert await worker.notify(incident) is Told.PENDING
    worker.pass_time(timedelta(minutes=15, seconds=1))
    return incidents


def _copies(world: World) -> list[Any]:
    return list(world.mails_to(BOB)[1:])


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("first_to_wake", [0, 1])
async def test_whoever_dies_wherever(world: World, worker: Worker, point: str, first_to_wake: int) -> None:
    """One mail about both; after a lost reply one more copy of the very same; whichever response wakes up first."""
    second, third = await _held(world, worker, "zendesk", "notion")
    await worker.dies(point, lambda: worker.send(second))
    await worker.send(*([second, third] if first_to_wake == 0 else [third, second]))
    copies = _copies(world)
    assert len(copies) == (2 if point in AFTER_DATA else 1)
    assert len({mail.message["Message-ID"] for mail in copies}) == 1
    assert all(sorted(told_of(mail)) == ["Notion", "Zendesk"] for mail in copies)
    rows = await first_mails(world, [second, third])
    alone = point == "before the claim" and first_to_wake == 1
    expected = [("bob", "sent", None), ("bob", "suppressed", "with 0")]
    assert rows == ([("bob", "suppressed", "with 1"), ("bob", "sent", None)] if alone else expected)
    for incident in (second, third):
        lines = [line for line in await world.told_of(incident, "notice_sent") if line["channel"] == "email"]
        assert len(lines) == 1


@pytest.mark.parametrize("point", POINTS)
async def test_the_lead_ends_while_the_worker_is_dead(world: World, worker: Worker, point: str) -> None:
    """The other is told by itself if the mail never left us; if it may have, by one more copy, without the lead."""
    second, third = await _held(world, worker, "zendesk", "notion")
    await worker.dies(point, lambda: worker.send(second))
    await Actions(world.pool).close(second, "maria@vendor.example", Resolution.NO_LONGER_USED)
    await worker.send(second, third)
    copies = _copies(world)
    assert len(copies) == (2 if point in AFTER_DATA else 1)
    assert len({mail.message["Message-ID"] for mail in copies}) == 1
    (lead, other) = await first_mails(world, [second, third])
    if point in HANDED_OVER or point == "after it was settled":
        assert (lead[1], other) == ("sent", ("bob", "suppressed", "with 0"))
    else:
        assert (lead[1], other) == ("suppressed", ("bob", "sent", None))
    if point != "after it was settled":
        assert told_of(copies[-1]) == ["Notion"]


async def test_all_of_it_ends_while_the_worker_is_dead(world: World, worker: Worker) -> None:
    """It may have arrived; nobody is left to be told, so nobody will ever know."""
    second, third = await _held(world, worker, "zendesk", "notion")
    await worker.dies("after it left", lambda: worker.send(second))
    for incident in (second, third):
        await Actions(world.pool).close(incident, "maria@vendor.example", Resolution.NO_LONGER_USED)
    await worker.send(second, third)
    assert len(_copies(world)) == 1
    assert await first_mails(world, [second, third]) == [("bob", "unknown", None), ("bob", "suppressed", "with 0")]


@pytest.mark.parametrize("point", POINTS)
async def test_a_companion_recovers_while_the_worker_is_dead(world: World, worker: Worker, point: str) -> None:
    """It is left out of a mail that has not left us yet, and then waits for what becomes of it."""
    second, third = await _held(world, worker, "zendesk", "notion")
    await worker.dies(point, lambda: worker.send(second))
    await world.pool.execute("update incidents set status = 'recovering' where id = $1", third)
    await worker.send(third, second)
    lead, other = await first_mails(world, [second, third])
    assert lead[1] == "sent"
    if point in HANDED_OVER or point == "after it was settled":
        assert other == ("bob", "suppressed", "with 0")
    else:
        assert other == ("bob", "pending", None)
        assert [told_of(mail) for mail in _copies(world)] == [["Zendesk"]]


@pytest.mark.parametrize("point", ["before the claim", "after the claim", "before it is settled"])
async def test_dead_between_the_first_intent_and_its_company(world: World, worker: Worker, point: str) -> None:
    """Three at the same moment; the worker dies with the first of them."""
    incidents = await broken(world, "hubspot", "zendesk", "notion", ring=False)
    assert await worker.notify(incidents[0]) is Told.PENDING
    assert await worker.notify(incidents[1]) is Told.PENDING
    await worker.dies(point, lambda: worker.notify(incidents[2]))
    await worker.notify(incidents[2])
    worker.pass_time(timedelta(seconds=16))
    await worker.send(*incidents)
    mails = world.mails_to(BOB)
    assert len({mail.message["Message-ID"] for mail in mails}) == 1
    assert sorted(told_of(mails[0])) == ["HubSpot", "Notion", "Zendesk"]


async def test_many_responses_at_once_are_one_mail(world: World, worker: Worker) -> None:
    """All claim at the same moment: they decide one after the other, and nobody waits for a lock that another holds."""
    names = [f"system-{i}" for i in range(12)]
    incidents = await broken(world, *names, ring=False)
    await asyncio.gather(*(worker.notify(incident) for incident in incidents))
    worker.pass_time(timedelta(seconds=16))
    await asyncio.gather(*(worker.send(incident) for incident in incidents))
    (mail,) = world.mails_to(BOB)
    assert len(told_of(mail)) == 12
    statuses = [status for _, status, _ in await first_mails(world, incidents)]
    assert sorted(statuses) == ["sent", *["suppressed"] * 11]
