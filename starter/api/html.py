"""Pages as responses: no scripts, nothing loaded from elsewhere, never stored, never named to the next site."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import Request
from starlette.responses import HTMLResponse

from activities.rendering import Renderer
from starter.api.limits import read_body

_POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
# A browser applies form-action to every redirect that follows a POST: to the product, and on to the provider's own
# login. Where those are is not ours to know, so only the scheme can be limited.
FORMS_ANYWHERE = "form-action 'self' https: http:"
_FORM = 1000  # bytes; ours have one short field
_FORMS_HERE = "form-action 'self'"


def html(content: str, status: int = 200, *, forms: str = _FORMS_HERE) -> HTMLResponse:
    """A page with the headers that go with it."""
    headers = {
        "Content-Security-Policy": f"{_POLICY}; {forms}",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(content, status, headers=headers)


def message(renderer: Renderer, title: str, text: str, status: int) -> HTMLResponse:
    """One neutral sentence as a page."""
    return html(renderer.page("message.html", title=title, text=text), status)


def is_page(path: str) -> bool:
    """Whether people, not programs, look at this address."""
    return path.startswith(("/r/", "/integrations/"))


async def pressed(request: Request) -> str:
    """The button of a form: its `do`, or an empty text. Raises Problem (413)."""
    form = parse_qs((await read_body(request))[:_FORM].decode(errors="replace"))
    return form.get("do", [""])[0]
