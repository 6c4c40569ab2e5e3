"""The demo's eyes: it tells only what it saw, and says what it did not see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import asyncpg
import httpx
import pytest

from starter.embedded.demo.observer import NotSeenError, Observer
from starter.embedded.inbox import Inbox, inbox


@pytest.fixture
async def mailbox(folder: Path) -> AsyncIterator[Inbox]:
    async with inbox(folder / "inbox") as running:
        yield running


async def test_what_does_not_happen_is_named_and_what_happens_is_seen(mailbox: Inbox) -> None:
    """A mail that does not come, or a server that is away, ends in an error with the name of the step."""
    nobody = asyncpg.create_pool("postgresql://nobody@127.0.0.1:9/none")  # never connected: no row is asked for
    async with httpx.AsyncClient() as web:
        see = Observer(nobody, web, inbox_url=mailbox.url, slack_url="http://127.0.0.1:9", patience=0.3)
        with pytest.raises(NotSeenError, match=r"^The mail was not seen within 0.3 s\.$"):
            await see.mail("The mail", lambda _: True)
        with pytest.raises(NotSeenError, match=r"^The alert was not seen within 0.3 s \(ConnectError: .+\)\.$"):
            await see.slack_call("The alert", "chat.postMessage", lambda _: True)
        raw = b"From: a@acme.example\r\nTo: b@acme.example\r\nSubject: Seen\r\n\r\nHello\r\n"
        smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.smtp_port, start_tls=False)
        async with smtp:
            await smtp.sendmail("a@acme.example", ["b@acme.example"], raw)
        assert (await see.mail("The mail", lambda mail: mail["subject"] == "Seen"))["text"].strip() == "Hello"
