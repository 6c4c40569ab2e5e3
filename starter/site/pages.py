"""What every page of the site is made with: its router, its frame, and errors that read as pages."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse

from activities import phrases
from starter.api.html import SITE, html
from starter.api.problems import Problem, problem_for
from starter.api.resources import Resources, resources_of
from starter.site.sessions import Session
from starter.site.tables import changed


@dataclass(frozen=True)
class Section:
    """A place in the navigation."""

    label: str
    path: str
    of_all: bool = False  # across customers: nothing for somebody who may see one


SECTIONS = (
    Section("Fleet", "/fleet"),
    Section("Customers", "/customers"),
    Section("Providers", "/providers", of_all=True),
    Section("Success", "/success"),
)
HOME = SECTIONS[0].path


class SignedOutError(Exception):
    """Nobody is signed in, and this page is for staff."""


def site_router() -> APIRouter:
    """A router of pages: not in the API's description, and its errors are pages too."""
    return APIRouter(route_class=_PageRoute, default_response_class=HTMLResponse, include_in_schema=False)


class _PageRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except SignedOutError:
                return to_sign_in(request)
            except Exception as error:
                problem = problem_for(error)
                if problem is None or problem.status_code >= 500:
                    raise  # Armour answers it, and logs what nobody expected
                return await _problem_page(request, problem)

        return handle_page


def show(request: Request, template: str, session: Session | None, status: int = 200, **context: Any) -> HTMLResponse:
    """A page of templates/pages/site/, in the frame that `session` sees."""
    use = resources_of(request)
    path = request.url.path
    sections = [s for s in SECTIONS if session and not (s.of_all and session.only)]
    frame = {
        "base": use.base_path,
        "asset": lambda name: f"{use.base_path}/static/{use.assets.address(name)}",
        "sections": [(s.label, use.base_path + s.path, path.startswith(s.path)) for s in sections],
        "session": session,
        "form_token": session and use.sessions.form_token(session),
        "here": path + (f"?{request.url.query}" if request.url.query else ""),
        "link": partial(changed, request, use.base_path),
        "when": when,
        "now": datetime.now(UTC),
    }
    return html(use.renderer.page(f"site/{template}", **frame | context), status, policy=SITE)


def when(at: datetime) -> Markup:
    """A time, in UTC; with scripts it is shown in the reader's own zone."""
    return Markup('<time datetime="{}">{}</time>').format(at.astimezone(UTC).isoformat(), phrases.moment(at, UTC))


def say(request: Request, title: str, text: str, status: int, session: Session | None = None) -> HTMLResponse:
    """One neutral sentence as a page of the site."""
    return show(request, "message.html", session, status, title=title, text=text)


def redirect(use: Resources, path: str) -> RedirectResponse:
    """On to another page of ours, by GET."""
    return RedirectResponse(use.base_path + path, 303)


def to_sign_in(request: Request) -> Response:
    """To the sign-in page, and back here after it. A script's request can't follow there: it is told to."""
    use = resources_of(request)
    query = f"?{request.url.query}" if request.url.query else ""
    wanted = request.url.path + query if request.method == "GET" else HOME
    address = f"/sign-in?next={quote(wanted)}"
    if "HX-Request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": use.base_path + address})
    return redirect(use, address)


def safe_next(path: str) -> str:
    """Where to go after signing in: a page of ours, whatever a link may have asked for."""
    is_plain = path.isprintable() and "\\" not in path  # browsers drop some characters, and take \ for /
    return path if is_plain and path.startswith("/") and not path.startswith("//") else HOME


_TITLES = {403: "This is not for you", 404: "There is nothing here", 409: "That can't be done now"}


async def _problem_page(request: Request, problem: Problem) -> HTMLResponse:
    session = await resources_of(request).sessions.find(request.cookies)
    detail = str(problem.detail)
    title = _TITLES.get(problem.status_code, "That can't be shown")
    return say(request, title, f"{detail[:1].upper()}{detail[1:]}.", problem.status_code, session)
