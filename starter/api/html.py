"""Pages as responses: nothing loaded from elsewhere, never stored, never named to the next site."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import HTMLResponse
from starlette.types import Scope

from activities.rendering import Renderer
from starter.api.limits import read_body


@dataclass(frozen=True)
class Policy:
    """What a browser may do with a page. `referrer`: of our own pages' addresses, those of customers carry tokens."""

    content: str
    referrer: str = "no-referrer"


_NOTHING = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
_FORMS_HERE = "form-action 'self'"
CUSTOMERS = Policy(f"{_NOTHING}; {_FORMS_HERE}")
# A browser applies form-action to every redirect that follows a POST: to the product, and on to the provider's own
# login. Where those are is not ours to know, so only the scheme can be limited.
FORMS_ANYWHERE = Policy(f"{_NOTHING}; form-action 'self' https: http:")
# Staff's pages refresh themselves with our own scripts; with their referrer, browsers name the origin of their forms.
SITE = Policy(f"{_NOTHING}; script-src 'self'; connect-src 'self'; {_FORMS_HERE}", "same-origin")
# FastAPI's pages of the API's description have a script in their text, and a worker that it makes.
DOCS = Policy(
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    f"worker-src blob:; base-uri 'none'; frame-ancestors 'none'; {_FORMS_HERE}"
)
DATA = Policy("default-src 'none'; frame-ancestors 'none'")
_FORM = 1000  # bytes; ours have one short field


def html(content: str, status: int = 200, *, policy: Policy = CUSTOMERS) -> HTMLResponse:
    """A page with the headers that go with it."""
    headers = {
        "Content-Security-Policy": policy.content,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
        "Referrer-Policy": policy.referrer,
        "Cache-Control": "no-store",
    }
    return HTMLResponse(content, status, headers=headers)


def message(renderer: Renderer, title: str, text: str, status: int) -> HTMLResponse:
    """One neutral sentence as a page."""
    return html(renderer.page("message.html", title=title, text=text), status)


def is_page(scope: Scope) -> bool:
    """Whether people, not programs, look at this address: what was asked for is a route of pages."""
    return getattr(scope.get("route"), "response_class", None) is HTMLResponse


async def pressed(request: Request) -> str:
    """The button of a form: its `do`, or an empty text. Raises Problem (413)."""
    form = parse_qs((await read_body(request))[:_FORM].decode(errors="replace"))
    return form.get("do", [""])[0]
