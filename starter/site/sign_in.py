"""Signing in and out: at the company's identity provider, or by a link that `relink sign-in` printed."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import HTMLResponse

from starter.api.resources import Use
from starter.site.access import Button, Whoever, refuse_other_sites
from starter.site.pages import HOME, redirect, safe_next, say, show, site_router

router = site_router()
Next = Annotated[str, Query(alias="next", max_length=2000)]


@router.get("/")
async def home(use: Use) -> Response:
    return redirect(use, HOME)


@router.get("/sign-in")
async def sign_in(request: Request, use: Use, session: Whoever, wanted: Next = HOME) -> Response:
    """The ways in. Whoever is in already goes on."""
    if session is not None:
        return redirect(use, safe_next(wanted))
    return show(request, "sign_in.html", None, next=safe_next(wanted), has_provider=False, failed="")


@router.get("/sign-in/link/{token}")
async def look_at_link(request: Request, use: Use, token: str) -> HTMLResponse:
    """Asks once more, because programs that look at links before people do would use it up."""
    link = await use.sessions.read_link(token)
    if link is None:
        return _used(request)
    return show(request, "sign_in_link.html", None, name=link.name, role=link.role)


@router.post("/sign-in/link/{token}")
async def follow_link(request: Request, use: Use, token: str) -> Response:
    """Signs in, once."""
    refuse_other_sites(request)
    session = await use.sessions.follow_link(token)
    if session is None:
        return _used(request)
    response = redirect(use, HOME)
    use.sessions.start(response, session)
    return response


@router.post("/sign-out")
async def sign_out(use: Use, button: Button) -> Response:
    """The session is over, wherever its cookie may have been copied to."""
    response = redirect(use, "/sign-in")
    await use.sessions.end(response, button.session)
    return response


def _used(request: Request) -> HTMLResponse:
    text = "Each works once, within 15 minutes. Ask for another: relink sign-in prints it."
    return say(request, "This link does not work any more", text, 403)
