"""What a page asks for before anything else: somebody who may see it, and for a button, that it was really pressed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request

from starter.api.limits import read_body, refuse_unstorable
from starter.api.problems import Problem
from starter.api.resources import resources_of
from starter.site.pages import SignedOutError
from starter.site.sessions import Session

_MOST_FIELDS = 50


@dataclass(frozen=True)
class Pressed:
    """A button that a signed-in person pressed on a page of ours, and what they entered beside it."""

    session: Session
    fields: Mapping[str, str]


async def whoever(request: Request) -> Session | None:
    """Who is signed in, if anybody is."""
    return await resources_of(request).sessions.find(request.cookies)


async def viewer(request: Request) -> Session:
    """Whoever is signed in. Raises SignedOutError."""
    session = await whoever(request)
    if session is None:
        raise SignedOutError
    return session


async def viewer_of_all(session: Annotated[Session, Depends(viewer)]) -> Session:
    """Raises Problem (404) for somebody who may see only one customer."""
    if session.only is not None:
        raise Problem(404, "this page is of all customers; you may see one")
    return session


async def pressed(request: Request, session: Annotated[Session, Depends(viewer)]) -> Pressed:
    """Raises Problem (403) if the form is not from a page of ours that this session saw."""
    refuse_other_sites(request)
    fields = await form_of(request)
    if not resources_of(request).sessions.is_form_token(session, fields.get("form_token", "")):
        raise Problem(403, "this form is not from a page that you saw; open the page again and press once more")
    return Pressed(session, fields)


async def operated(pressed: Annotated[Pressed, Depends(pressed)]) -> Pressed:
    """Raises Problem (403) for a viewer."""
    if not pressed.session.is_operator:
        raise Problem(403, "only operators can do this; you may look at everything")
    return pressed


def refuse_other_sites(request: Request) -> None:
    """Raises Problem (403) for what another site made this browser send. A browser says so itself."""
    origin = request.headers.get("origin")  # absent: no browser, and so nobody who was made to
    ours = {request.headers.get("host"), urlsplit(str(resources_of(request).settings.public_url)).netloc}
    is_ours = origin is None or urlsplit(origin).netloc in ours
    if not is_ours or request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Problem(403, "another site sent you here; open the page itself")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; of several with one name, the last. Raises Problem (413, 422)."""
    body = (await read_body(request)).decode(errors="replace")
    try:
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise Problem(422, "this form has more fields than any of ours") from None
    refuse_unstorable(fields, [])
    return fields


Viewer: TypeAlias = Annotated[Session, Depends(viewer)]
ViewerOfAll: TypeAlias = Annotated[Session, Depends(viewer_of_all)]
Whoever: TypeAlias = Annotated[Session | None, Depends(whoever)]
Button: TypeAlias = Annotated[Pressed, Depends(pressed)]
OperatorsButton: TypeAlias = Annotated[Pressed, Depends(operated)]
