"""Mails on disk: one `.eml` file each, numbered in the order of arrival."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")


@dataclass(frozen=True)
class Mail:
    """One mail as received; `recipients` are those of the envelope, in the order that they were named."""

    id: str
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message.get("Subject", ""))

    @property
    def text(self) -> str:
        """The plain text, or nothing if it has none."""
        return _content(self.message, "plain")

    @property
    def html(self) -> str:
        """The HTML, or nothing if it has none."""
        return _content(self.message, "html")

    @property
    def links(self) -> list[str]:
        """Every address in the plain text, in order."""
        return LINK.findall(self.text)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that the sender wrote."""
        return [(name, str(value)) for name, value in self.message.items() if name not in _ENVELOPE]

    def as_dict(self) -> dict[str, object]:
        """What `/api/messages` lists."""
        return {
            "id": self.id,
            "received_at": self.received_at.isoformat().replace("+00:00", "Z"),
            "envelope_from": self.sender,
            "recipients": list(self.recipients),
            "subject": self.subject,
            "from": str(self.message.get("From", "")),
            "to": str(self.message.get("To", "")),
            "message_id": str(self.message.get("Message-ID", "")),
            "headers": self.headers,
            "text": self.text,
            "html": self.html,
            "links": self.links,
        }


class Mailbox:
    """The mails of one folder. What `add` returned survives `kill -9` and a power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for interrupted in folder.glob("*.tmp"):
            interrupted.unlink()
        self._last = max((int(path.stem) for path in folder.glob("*.eml")), default=0)

    def add(self, sender: str, recipients: list[str], content: bytes) -> Mail:
        """Stores a mail; returns once it is on disk."""
        self._last += 1
        path = self._folder / f"{self._last:06}.eml"
        envelope = [
            f"X-Inbox-Received-At: {datetime.now(UTC).isoformat()}",
            f"X-Inbox-From: {sender}",
            *(f"X-Inbox-To: {recipient}" for recipient in recipients),
        ]
        _write_durably(path, "".join(f"{line}\r\n" for line in envelope).encode() + content)
        return _read(path)

    def all(self) -> list[Mail]:
        """Every mail, oldest first."""
        return [_read(path) for path in sorted(self._folder.glob("*.eml"))]

    def get(self, mail_id: str) -> Mail | None:
        """One mail, or None if there is none of that id."""
        path = self._folder / f"{mail_id}.eml"
        return _read(path) if mail_id.isdigit() and path.exists() else None

    def clear(self) -> None:
        """Deletes every mail."""
        for path in self._folder.glob("*.eml"):
            path.unlink()


_ENVELOPE = ("X-Inbox-Received-At", "X-Inbox-From", "X-Inbox-To")


def _content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except LookupError:  # an encoding that Python does not know
        return part.get_payload(decode=True).decode("utf-8", "replace")  # type: ignore[union-attr]


def _read(path: Path) -> Mail:
    message = message_from_bytes(path.read_bytes(), EmailMessage, policy=policy.default)
    received_at, sender = (str(message.get(name, "")) for name in _ENVELOPE[:2])
    return Mail(
        id=path.stem,
        received_at=datetime.fromisoformat(received_at),
        sender=sender,
        recipients=tuple(str(recipient) for recipient in message.get_all("X-Inbox-To", [])),
        message=message,
    )


def _write_durably(path: Path, content: bytes) -> None:
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
