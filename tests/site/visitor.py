"""Somebody with a browser in front of the pages."""

from __future__ import annotations

import re
from uuid import UUID

import httpx
import lxml.html

from starter.site.sessions import Session
from starter.site.staff import Role
from tests.api.calling import Api, client_of


class Visitor:
    """`session` is what the cookie says; None: signed out."""

    def __init__(self, api: Api, session: Session | None = None) -> None:
        self.api, self.session = api, session
        self.http = client_of(api.app)
        if session is not None:
            sessions = api.resources.sessions
            self.http.cookies.set(sessions.cookie_name, sessions._cookies.sign(session.dump()))

    @classmethod
    def viewer(cls, api: Api, *, only: UUID | None = None) -> Visitor:
        return cls(api, Session.begin("vera@vendor.example", Role.VIEWER, only=only))

    @classmethod
    def operator(cls, api: Api) -> Visitor:
        return cls(api, Session.begin("dana@acme.example", Role.OPERATOR))

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def press(self, path: str, **fields: str) -> httpx.Response:
        """Sends a form of a page that this session saw."""
        token = self.api.resources.sessions.form_token(self.session) if self.session else ""
        return await self.http.post(path, data={"form_token": token} | fields)


def text_of(page: httpx.Response) -> str:
    """What a page says, without its markup."""
    words = " ".join(lxml.html.document_fromstring(page.text).body.itertext())
    return re.sub(r"\s+", " ", words)
