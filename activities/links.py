"""Signed links: to a customer's reconnect page, to an integration's status page, and back from the product's own flow.

A token is readable by nobody's trust: it names ids and an end, and an HMAC-SHA256 over both with a key of its purpose.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote
from uuid import UUID

_MAC = 16
_NOBODY = UUID(int=0)


class Purpose(StrEnum):
    """What a token is good for; one made for another purpose is refused."""

    RECONNECT = "reconnect"
    RETURN = "return"
    STATUS = "status"


LIFETIMES = {
    Purpose.RECONNECT: timedelta(days=30),  # outlives the sessions of every provider that we know
    Purpose.RETURN: timedelta(days=1),
    Purpose.STATUS: timedelta(days=30),
}


class BadTokenError(Exception):
    """The token was not made by us, was altered, or is for something else."""


class ExpiredTokenError(Exception):
    """The token was ours, and its time is over; `token` says what it was for."""

    def __init__(self, token: Token) -> None:
        super().__init__("expired")
        self.token = token


@dataclass(frozen=True)
class Token:
    """`subject` is an incident (reconnect, return) or an integration (status); `person` is whom the link went to."""

    subject: UUID
    person: UUID | None
    expires_at: datetime


class Links:
    """Makes and reads links under RELINK_PUBLIC_URL. Nothing of a link is stored: the signature is all there is."""

    def __init__(self, public_url: str, secret_keys: Sequence[str]) -> None:
        """The first key signs; links that the others signed are still good (RELINK_OLD_SECRET_KEYS)."""
        self._base = public_url.rstrip("/")
        self._secrets = [key.encode() for key in secret_keys]

    def reconnect(self, incident: UUID, person: UUID | None, now: datetime) -> str:
        """The customer's page about one incident, for one recipient."""
        return f"{self._base}/r/{self.sign(Purpose.RECONNECT, incident, person, now)}"

    def returned(self, incident: UUID, person: UUID | None, now: datetime) -> str:
        """Where the product's own reconnect flow sends the customer back to."""
        return f"{self._base}/r/{self.sign(Purpose.RETURN, incident, person, now)}/returned"

    def status(self, integration: UUID, now: datetime) -> str:
        """The status page of one integration, for staff who got the link in Slack."""
        return f"{self._base}/integrations/{integration}?token={self.sign(Purpose.STATUS, integration, None, now)}"

    def fleet(self, csm: str | None) -> str:
        """Staff's page of what is down, for whoever signs in: of the customers of the CSM with this address (or Slack
        id), or of all."""
        return f"{self._base}/fleet" + (f"?csm={quote(csm.lower(), safe='')}" if csm else "")

    def provider(self, integration_type: str) -> str:
        """The page of one provider, for staff who sign in there."""
        return f"{self._base}/providers/{quote(integration_type, safe='')}"

    def sign(self, purpose: Purpose, subject: UUID, person: UUID | None, now: datetime) -> str:
        """A URL-safe token that ends after the purpose's lifetime."""
        ends = int((now + LIFETIMES[purpose]).timestamp())
        body = subject.bytes + (person or _NOBODY).bytes + ends.to_bytes(5, "big")
        return base64.urlsafe_b64encode(body + _mac(self._secrets[0], purpose, body)).decode().rstrip("=")

    def read(self, purpose: Purpose, token: str, now: datetime) -> Token:
        """What a token says. Raises BadTokenError or ExpiredTokenError."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadTokenError from None
        body, mac = raw[:-_MAC], raw[-_MAC:]
        # Base64 has several spellings of the last byte; only ours is good.
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token or len(body) != 37:
            raise BadTokenError
        if not any(hmac.compare_digest(mac, _mac(secret, purpose, body)) for secret in self._secrets):
            raise BadTokenError
        person = UUID(bytes=body[16:32])
        ends = datetime.fromtimestamp(int.from_bytes(body[32:], "big"), UTC)
        found = Token(UUID(bytes=body[:16]), None if person == _NOBODY else person, ends)
        if ends <= now:
            raise ExpiredTokenError(found)
        return found


def _mac(secret: bytes, purpose: Purpose, body: bytes) -> bytes:
    return hmac.digest(secret, f"relink/{purpose}/".encode() + body, hashlib.sha256)[:_MAC]
