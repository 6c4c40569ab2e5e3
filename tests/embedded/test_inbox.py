"""The inbox keeps every mail, shows it without running what is in it, and fails when told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from starter.embedded.inbox import Failure, Inbox, inbox


@pytest.fixture(scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Inbox]:
    async with inbox(tmp_path_factory.mktemp("inbox")) as running:
        yield running


@pytest.fixture
def server(started: Inbox) -> Inbox:
    started.clear()
    return started


def _mail(text: str = "Hello", html: str = "<p>Hello</p>") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Acme <integrations@acme.example>"
    mail["To"] = "Bøb <bob@techcorp.example>"
    mail["Subject"] = "Ünïcode & <b>"
    mail["Message-ID"] = "<key@acme.example>"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    return mail


async def _send(server: Inbox, mail: EmailMessage) -> None:
    await aiosmtplib.send(mail, hostname="127.0.0.1", port=server.smtp_port, start_tls=False)


async def test_a_mail_is_listed_with_its_parts(server: Inbox) -> None:
    """The JSON listing has what a test asks about: envelope, headers, both bodies, links."""
    await _send(server, _mail("Fix it: https://acme.example/r/a.b-c?x=1&y=2.\nBye"))
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        (mail,) = (await client.get("/api/messages")).json()["messages"]
    assert mail["recipients"] == ["bob@techcorp.example"]
    assert mail["envelope_from"] == "integrations@acme.example"
    assert mail["subject"] == "Ünïcode & <b>"
    assert mail["message_id"] == "<key@acme.example>"
    assert mail["links"] == ["https://acme.example/r/a.b-c?x=1&y=2"]
    assert mail["html"].strip() == "<p>Hello</p>"


async def test_mails_survive_a_restart(folder: Path) -> None:
    """A second inbox on the folder shows the mails of the first and goes on counting."""
    async with inbox(folder / "inbox") as first:
        await _send(first, _mail("first"))
    async with inbox(folder / "inbox") as second:
        await _send(second, _mail("second"))
        assert [mail.text.strip() for mail in second.messages()] == ["first", "second"]
        assert [mail.id for mail in second.messages()] == ["000001", "000002"]


async def test_the_page_escapes_and_isolates_what_is_in_a_mail(server: Inbox) -> None:
    """Text is escaped with its links clickable; HTML stands in a sandboxed frame; scripts are forbidden."""
    await _send(server, _mail("<script>a()</script> https://acme.example/?q=<i>", "<script>b()</script>"))
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        listing = await client.get("/")
        shown = await client.get(f"/mails/{server.messages()[0].id}")
        missing = await client.get("/mails/..%2f000001")
    assert "Ünïcode &amp; &lt;b&gt;" in listing.text
    assert "<script>a()" not in shown.text
    assert "<script>b()" not in shown.text
    assert '<a href="https://acme.example/?q=" target="_blank"' in shown.text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert missing.status_code == 404


async def test_planned_failures_happen_once_each(server: Inbox) -> None:
    """451 at DATA and 550 at RCPT store nothing; a lost reply to DATA stores the mail; then all is well again."""
    server.fail(Failure(stage="rcpt", code=550))
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await _send(server, _mail())
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        planned = await client.post("/api/failures", json={"stage": "data", "code": 451})
        refused = await client.post("/api/failures", json={"stage": "data", "code": 200})
    assert (planned.status_code, refused.status_code) == (204, 422)
    with pytest.raises(aiosmtplib.SMTPDataError, match="451"):
        await _send(server, _mail())
    assert server.messages() == []
    server.fail(Failure(stage="data"))
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await _send(server, _mail("arrived"))
    await _send(server, _mail("again"))
    assert [mail.text.strip() for mail in server.messages()] == ["arrived", "again"]
