"""Who is signed in: a signed cookie, good for twelve hours, or until it is signed out."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.responses import Response

from activities.db.spent import SpentTokens
from starter.site.staff import Role, Staff

LIFETIME = timedelta(hours=12)
LINK_LIFETIME = timedelta(minutes=15)
_LINK = "sign-in"


class Signer:
    """Signs what a browser or a link keeps for us. What was signed for another purpose is refused."""

    def __init__(self, secret_key: str, purpose: str) -> None:
        how = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._serializer = URLSafeSerializer(secret_key, salt=f"relink/{purpose}", signer_kwargs=how)

    def sign(self, value: Mapping[str, object]) -> str:
        return self._serializer.dumps(value)

    def read(self, text: str | None) -> dict[str, Any] | None:
        """What was signed; None if it was not by us."""
        try:
            found: dict[str, Any] = self._serializer.loads(text or "")
        except BadSignature:
            return None
        return found


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in, or who holds a link to sign in with (`ends_at` is then the link's).

    `listed`: an identity provider vouches for `name`, an address, and the role is what the settings' lists say now.
    `only`: the one customer that this person may see; everything else is not there for them.
    """

    id: UUID
    name: str
    role: Role
    ends_at: datetime
    listed: bool = False
    only: UUID | None = None

    @classmethod
    def begin(
        cls, name: str, role: Role, *, lasts: timedelta = LIFETIME, listed: bool = False, only: UUID | None = None
    ) -> Session:
        """A new one, from now on."""
        return cls(uuid4(), name, role, datetime.now(UTC) + lasts, listed, only)

    @property
    def is_operator(self) -> bool:
        return self.role is Role.OPERATOR

    def dump(self) -> dict[str, object]:
        ids = {"id": self.id.hex, "only": self.only and self.only.hex}
        return {**ids, "name": self.name, "role": self.role, "ends": self.ends_at.timestamp(), "listed": self.listed}

    @classmethod
    def load(cls, said: Mapping[str, Any]) -> Session:
        only, ends_at = said["only"], datetime.fromtimestamp(said["ends"], UTC)
        return cls(
            UUID(said["id"]), said["name"], Role(said["role"]), ends_at, said["listed"], UUID(only) if only else None
        )


def sign_in_link(public_url: str, secret_key: str, name: str, role: Role) -> str:
    """An address that signs somebody in once, within fifteen minutes."""
    token = Signer(secret_key, _LINK).sign(Session.begin(name, role, lasts=LINK_LIFETIME).dump())
    return f"{public_url.rstrip('/')}/sign-in/link/{token}"


class Sessions:
    """Makes, reads and ends sessions. `public_url` says whether the cookie is for https alone."""

    def __init__(self, secret_key: str, public_url: str, staff: Staff, spent: SpentTokens) -> None:
        self._cookies, self._links = Signer(secret_key, "session"), Signer(secret_key, _LINK)
        self.journeys = Signer(secret_key, "signing-in")  # of those who are at the provider just now
        self._form_key = hmac.digest(secret_key.encode(), b"relink/form", hashlib.sha256)
        self.staff, self._spent = staff, spent
        self.secure = public_url.startswith("https:")
        # The prefix makes browsers refuse one that a neighbouring host or plain http tries to set.
        self.cookie_name = "__Host-relink_session" if self.secure else "relink_session"

    def start(self, response: Response, session: Session) -> None:
        """The browser that gets this response is signed in."""
        left = session.ends_at - datetime.now(UTC)
        response.set_cookie(
            self.cookie_name,
            self._cookies.sign(session.dump()),
            max_age=int(left.total_seconds()),
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    async def find(self, cookies: Mapping[str, str]) -> Session | None:
        """Whose request this is; None if nobody is signed in, or not any more."""
        said = self._cookies.read(cookies.get(self.cookie_name))
        session = self._valid(said)
        if session is None or await self._spent.is_spent(session.id):
            return None
        if not session.listed:
            return session
        role = self.staff.role_of(session.name)
        return replace(session, role=role) if role else None

    async def end(self, response: Response, session: Session) -> None:
        """Signed out, everywhere: a copy of the cookie is worth nothing from now on."""
        await self._spent.spend(session.id, session.ends_at)
        response.delete_cookie(self.cookie_name, secure=self.secure, httponly=True, samesite="lax")

    async def read_link(self, token: str) -> Session | None:
        """What a token is good for; None if it is not good any more, or never was."""
        link = self._valid(self._links.read(token))
        return None if link is None or await self._spent.is_spent(link.id) else link

    async def follow_link(self, token: str) -> Session | None:
        """The session that a token opens, once."""
        link = self._valid(self._links.read(token))
        if link is None or not await self._spent.spend(link.id, link.ends_at):
            return None
        return Session.begin(link.name, link.role)

    def form_token(self, session: Session) -> str:
        """Proves that a form came from a page of ours that this session saw."""
        return hmac.digest(self._form_key, session.id.bytes, hashlib.sha256).hex()

    def is_form_token(self, session: Session, token: str) -> bool:
        return hmac.compare_digest(self.form_token(session).encode(), token.encode())

    @staticmethod
    def _valid(said: Mapping[str, Any] | None) -> Session | None:
        try:
            session = Session.load(said) if said else None
        except (KeyError, ValueError, TypeError):  # signed by a version of ours that wrote it otherwise
            return None
        return session if session and session.ends_at > datetime.now(UTC) else None
