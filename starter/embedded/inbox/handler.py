"""What the inbox answers over SMTP, including the failures that a test asked for."""

from __future__ import annotations

import asyncio
from typing import Literal

from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import BaseModel, ConfigDict, Field

from starter.embedded.inbox.mailbox import Mailbox
from starter.embedded.plan import Plan


class Failure(BaseModel):
    """A failure of the next `times` commands of a stage.

    With `code`, the stage answers that code and `text`. Without, the connection is cut: at `data` after the
    mail was stored, which is how a sender loses the reply to a mail that did arrive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Literal["rcpt", "data"]
    code: int | None = Field(default=None, ge=400, le=599)
    text: str = Field(default="as asked by a test", pattern=r"^[ -~]*$")
    times: int = Field(default=1, ge=1)


class Handler:
    """Receives mails for everyone; aiosmtpd calls it."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self.failures: Plan[Failure] = Plan()

    async def handle_RCPT(  # noqa: N802 (the name that aiosmtpd looks for)
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if failure := self._next("rcpt"):
            return _fail(server, failure)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        failure = self._next("data")
        if failure and failure.code:
            return _fail(server, failure)
        content = envelope.original_content or b""
        mail = await asyncio.to_thread(self._mailbox.add, envelope.mail_from or "", list(envelope.rcpt_tos), content)
        if failure:
            return _fail(server, failure)
        return f"250 OK: kept as {mail.id}"

    def _next(self, stage: str) -> Failure | None:
        return self.failures.take(lambda failure: failure.stage == stage)


def _fail(server: SMTP, failure: Failure) -> str:
    if failure.code is None and isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
    return f"{failure.code or 421} {failure.text}"
