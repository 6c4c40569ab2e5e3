"""SMTP on a bad day: retried, given to the next contact, or known as unknown; every outcome is a row."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from pydantic import SecretStr

from starter.embedded.inbox import Failure
from tests.workflows.world import CUSTOMER_MAIL, World

BOB, ANN = "bob@techcorp.example", "ann@techcorp.example"
REMINDER = "integration_disconnected_reminder"
SLACK_NOTE = "integration_disconnected_note"


async def _informed(world: World) -> UUID:
    incident = await world.disconnect()
    await world.until_timeline(incident, "informed")
    return incident


@pytest.mark.parametrize("stage", ["rcpt", "data"])
async def test_451_is_tried_again(world: World, stage: str) -> None:
    """Greylisted or busy: put back with the answer in its row, then delivered once."""
    world.inbox.fail(Failure(stage=stage, code=451, text="try again later"))
    async with world.make_worker():
        incident = await _informed(world)
        waiting = await world.until_delivery(incident, CUSTOMER_MAIL, "email", "pending")
        assert waiting["error"].startswith("451")
        await world.pass_time(incident, timedelta(seconds=6))
        sent = await world.until_delivery(incident, CUSTOMER_MAIL, "email", "sent")
    assert sent["attempts"] == 2
    assert len(world.mails_to(BOB)) == 1


@pytest.mark.history
@pytest.mark.parametrize("stage", ["rcpt", "data"])
async def test_550_goes_to_the_next_contact(world: World, stage: str) -> None:
    """An address that bounces: the next technical contact is mailed, and the CSM's thread says so."""
    world.inbox.fail(Failure(stage=stage, code=550, text="no such user bob@techcorp.example here"))
    async with world.make_worker():
        incident = await _informed(world)
        await world.until_delivery(incident, SLACK_NOTE, "slack", "sent")
    assert [len(world.mails_to(who)) for who in (BOB, ANN)] == [0, 1]
    assert [d[1:] for d in await world.deliveries(incident) if d[0] == "email"] == [
        (CUSTOMER_MAIL, "failed"),
        (CUSTOMER_MAIL, "sent"),
    ]
    (line,) = world.thread()
    assert "could not be delivered" in line
    (failed,) = await world.told_of(incident, "notice_failed")
    assert failed["error"].startswith("550")
    assert "@" not in failed["error"]


async def test_every_contact_bounces(world: World) -> None:
    """Nobody at the customer can be told: the CSM hears that."""
    world.inbox.fail(Failure(stage="rcpt", code=550, times=2))
    async with world.make_worker():
        incident = await _informed(world)
        await world.until_timeline(incident, "notice_failed", 2)
        await world.until_timeline(incident, "notice_sent", 3)
    assert world.inbox.messages() == []
    assert any("Nobody at TechCorp has been told" in line for line in world.thread())


async def test_a_lost_reply_to_data_is_resent_once_for_a_first_notice(world: World) -> None:
    """It may have arrived or not: one more copy with the same Message-ID, which mail programs show once."""
    world.inbox.fail(Failure(stage="data"))
    async with world.make_worker():
        incident = await _informed(world)
        await world.until_delivery(incident, CUSTOMER_MAIL, "email", "pending")
        await world.pass_time(incident, timedelta(seconds=6))
        await world.until_delivery(incident, CUSTOMER_MAIL, "email", "sent")
    first, second = world.mails_to(BOB)
    assert first.message["Message-ID"] == second.message["Message-ID"]


async def test_lost_again_it_is_unknown_and_never_sent_a_third_time(world: World) -> None:
    """Two copies at most; the row says that nobody knows."""
    world.inbox.fail(Failure(stage="data", times=5))
    async with world.make_worker():
        incident = await _informed(world)
        await world.until_delivery(incident, CUSTOMER_MAIL, "email", "pending")
        await world.pass_time(incident, timedelta(seconds=6))
        unknown = await world.until_delivery(incident, CUSTOMER_MAIL, "email", "unknown")
        await world.pass_time(incident, timedelta(minutes=20))
        await world.until_waiting(incident)
    assert unknown["error"].startswith("connection lost after DATA")
    assert len(world.mails_to(BOB)) == 2
    assert "notice_unknown" in await world.timeline(incident)


async def test_a_refusal_before_the_lost_reply_does_not_use_up_the_resend(world: World) -> None:
    """451 twice, then a lost reply: still one more copy, for the refused ones never arrived."""
    world.inbox.fail(Failure(stage="data", code=451, times=2))
    world.inbox.fail(Failure(stage="data"))
    async with world.make_worker():
        incident = await _informed(world)
        await world.until_waiting(incident)
        await world.pass_time(incident, timedelta(minutes=2))
        sent = await world.until_delivery(incident, CUSTOMER_MAIL, "email", "sent")
    assert sent["attempts"] == 4
    assert len(world.mails_to(BOB)) == 2


async def test_a_lost_reply_is_not_resent_for_a_reminder(world: World) -> None:
    """A second reminder would be worse than none."""
    async with world.make_worker():
        incident = await _informed(world)
        world.inbox.fail(Failure(stage="data"))
        await world.pass_time(incident, timedelta(hours=24, minutes=1))
        await world.until_delivery(incident, REMINDER, "email", "unknown")
        await world.pass_time(incident, timedelta(hours=1))
        await world.until_waiting(incident)
    assert len(world.mails_to(BOB)) == 2  # the first mail and one copy of the reminder


async def test_no_mail_server_is_waited_for(world: World) -> None:
    """Refused connections are nobody's bounce: tried again until it is back."""
    world.settings = world.settings.model_copy(update={"smtp_url": SecretStr("smtp://127.0.0.1:9?tls=none")})
    async with world.make_worker():
        incident = await _informed(world)
        waiting = await world.until_delivery(incident, CUSTOMER_MAIL, "email", "pending")
    assert waiting["error"].startswith("no mail server")
    world.settings = world.settings.model_copy(update={"smtp_url": SecretStr(world.inbox.smtp_url)})
    async with world.make_worker():
        await world.pass_time(incident, timedelta(seconds=6))
        await world.until_delivery(incident, CUSTOMER_MAIL, "email", "sent")
    assert len(world.mails_to(BOB)) == 1


async def test_a_refused_login_is_our_fault_not_the_contacts(world: World) -> None:
    """The contact is not given up, nor the next one bothered: retried, and visible in the row."""
    async with _refusing_every_login() as port:
        url = f"smtp://relink:a-wrong-password@127.0.0.1:{port}?tls=none"
        world.settings = world.settings.model_copy(update={"smtp_url": SecretStr(url)})
        async with world.make_worker():
            incident = await _informed(world)
            waiting = await world.until_delivery(incident, CUSTOMER_MAIL, "email", "pending")
            await world.pass_time(incident, timedelta(minutes=10))
            await world.until_waiting(incident)
    assert waiting["error"].startswith("535")
    assert [d for d in await world.deliveries(incident) if d[0] == "email"] == [("email", CUSTOMER_MAIL, "pending")]
    assert world.inbox.messages() == []


@contextlib.asynccontextmanager
async def _refusing_every_login() -> AsyncIterator[int]:
    """A mail server that knows nobody; its port."""

    def connected() -> SMTP:
        refuse = AuthResult(success=False, handled=False)
        return SMTP(object(), authenticator=lambda *_: refuse, auth_require_tls=False)

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_no_mail_server_for_half_a_day_is_given_up(world: World) -> None:
    """Then it is failed, the next contact is tried, and the CSM is told."""
    world.settings = world.settings.model_copy(update={"smtp_url": SecretStr("smtp://127.0.0.1:9?tls=none")})
    world.set_policy(escalation={"critical": {"steps": [], "ack_timeout": "4h"}}, customer={"reminders": []})
    async with world.make_worker():
        incident = await _informed(world)
        await world.until_waiting(incident)
        await world.pool.execute("update deliveries set created_at = created_at - interval '12 hours'")
        await world.pass_time(incident, timedelta(seconds=6))
        await world.until_delivery(incident, CUSTOMER_MAIL, "email", "failed")
        await world.until_delivery(incident, SLACK_NOTE, "slack", "sent")
    assert any("could not be delivered" in line for line in world.thread())
