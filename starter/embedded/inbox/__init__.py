"""An SMTP server that delivers nothing: it keeps every mail on disk and shows it on a local page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiosmtpd.smtp import SMTP

from starter.embedded import ports
from starter.embedded.inbox.handler import Failure, Handler
from starter.embedded.inbox.mailbox import Mail, Mailbox
from starter.embedded.inbox.pages import pages
from starter.embedded.web import serving

__all__ = ["Failure", "Inbox", "Mail", "inbox"]

MAX_BYTES = 33_554_432  # what most servers accept


@dataclass(frozen=True)
class Inbox:
    """A running inbox."""

    smtp_port: int
    http_port: int
    mailbox: Mailbox
    handler: Handler

    @property
    def smtp_url(self) -> str:
        """What RELINK_SMTP_URL wants."""
        return f"smtp://{ports.HOST}:{self.smtp_port}?tls=none"

    @property
    def url(self) -> str:
        """The page; `/api/messages` below it lists the mails as JSON."""
        return f"http://{ports.HOST}:{self.http_port}"

    def messages(self) -> list[Mail]:
        """Every mail received, oldest first."""
        return self.mailbox.all()

    def fail(self, failure: Failure) -> None:
        """Makes the next deliveries fail as described."""
        self.handler.failures.add(failure, failure.times)

    def clear(self) -> None:
        """Forgets every mail and every planned failure."""
        self.mailbox.clear()
        self.handler.failures.clear()


@contextlib.asynccontextmanager
async def inbox(folder: Path, *, smtp_port: int = 0, http_port: int = 0) -> AsyncIterator[Inbox]:
    """Receives mails into the folder while the block runs; ports of 0 take any free one.

    A mail is on disk before its sender reads 250. Raises OSError if a port is taken.
    """
    mailbox = Mailbox(folder)
    handler = Handler(mailbox)
    loop = asyncio.get_running_loop()

    def connected() -> SMTP:
        return SMTP(
            handler,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname="inbox.localhost",
            ident="Relink inbox",
            loop=loop,
        )

    smtp = await loop.create_server(connected, ports.HOST, smtp_port)
    try:
        async with serving(pages(mailbox, handler), http_port) as chosen:
            chosen_smtp = int(smtp.sockets[0].getsockname()[1])
            yield Inbox(smtp_port=chosen_smtp, http_port=chosen, mailbox=mailbox, handler=handler)
    finally:
        smtp.close()
        await smtp.wait_closed()
