"""Signing in and out: at the company's identity provider, or by a link that `relink sign-in` printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from starter.api.problems import Problem
from starter.api.resources import Resources, Use
from starter.site.access import Button, Whoever, refuse_other_sites
from starter.site.pages import HOME, redirect, safe_next, say, show, site_router
from starter.site.provider import Provider, SignInError
from starter.site.sessions import Session

router = site_router()
_JOURNEY = "relink_signing_in"  # the cookie of somebody on their way to the provider and back
_JOURNEY_LASTS = timedelta(minutes=10)
Next = Annotated[str, Query(alias="next", max_length=2000)]


@router.get("/")
async def home(use: Use) -> Response:
    return redirect(use, HOME)


@router.get("/sign-in")
async def sign_in(request: Request, use: Use, session: Whoever, wanted: Next = HOME) -> Response:
    """The ways in. Whoever is in already goes on."""
    if session is not None:
        return redirect(use, safe_next(wanted))
    return _ways_in(request, use, safe_next(wanted))


@router.get("/sign-in/provider")
async def leave_for_provider(request: Request, use: Use, wanted: Next = HOME) -> Response:
    try:
        journey = await _provider(use).begin()
    except SignInError as error:
        return _ways_in(request, use, safe_next(wanted), str(error), error.status)
    response = RedirectResponse(journey.address, 303)
    ends_at = datetime.now(UTC) + _JOURNEY_LASTS
    remembered = {**journey.remembered, "next": safe_next(wanted), "ends": ends_at.timestamp()}
    response.set_cookie(
        _JOURNEY,
        use.sessions.journeys.sign(remembered),
        max_age=int(_JOURNEY_LASTS.total_seconds()),
        path=f"{use.base_path}/sign-in",
        secure=use.sessions.secure,
        httponly=True,
        samesite="lax",
    )
    return response


@router.get("/sign-in/return")
async def return_from_provider(request: Request, use: Use) -> Response:
    """Where the provider sends people back to: RELINK_PUBLIC_URL/sign-in/return is to be registered there."""
    remembered = use.sessions.journeys.read(request.cookies.get(_JOURNEY))
    if remembered is None or remembered["ends"] < datetime.now(UTC).timestamp():
        return _ways_in(request, use, HOME, "That took more than ten minutes, or began in another browser.", 403)
    wanted = safe_next(remembered["next"])
    try:
        address = await _provider(use).address_of(request.query_params, remembered)
    except SignInError as error:
        return _ways_in(request, use, wanted, str(error), error.status)
    role = use.sessions.staff.role_of(address)
    if role is None:
        text = f"{address} is not on the lists of those who may see these pages. Ask whoever runs this to add you."
        return say(request, "You are not on the list", text, 403)
    response = redirect(use, wanted)
    response.delete_cookie(_JOURNEY, path=f"{use.base_path}/sign-in")
    use.sessions.start(response, Session.begin(address, role, listed=True))
    return response


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


def _ways_in(request: Request, use: Resources, wanted: str, failed: str = "", status: int = 200) -> HTMLResponse:
    has_provider = use.provider is not None
    return show(request, "sign_in.html", None, status, next=wanted, has_provider=has_provider, failed=failed)


def _provider(use: Resources) -> Provider:
    if use.provider is None:
        raise Problem(404, "no identity provider is set up here")
    return use.provider


def _used(request: Request) -> HTMLResponse:
    text = "Each works once, within 15 minutes. Ask for another: relink sign-in prints it."
    return say(request, "This link does not work any more", text, 403)
