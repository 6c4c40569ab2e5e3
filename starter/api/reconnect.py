"""The customer's page: what happened, what to do, one button. Looking changes nothing, so mail scanners do no harm."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from activities.db.incidents import UnknownIncidentError
from activities.links import BadTokenError, ExpiredTokenError, Purpose, Token
from activities.views import IncidentView, Person
from starter.api.html import FORMS_ANYWHERE, html, pressed
from starter.api.resources import Resources, Use
from workflows.contracts import Resolution, Status

router = APIRouter(tags=["Reconnect"], default_response_class=HTMLResponse)

State = Literal["ready", "by_hand", "no_self_serve", "fixed"]
_GONE = {Resolution.REMOVED, Resolution.NO_LONGER_USED}
_NOT_VALID: dict[int | str, dict[str, Any]] = {
    410: {"description": "Expired or altered: a neutral page that offers a fresh mail"}
}
_ON: dict[int | str, dict[str, Any]] = {
    303: {"description": "On to the product's own reconnect flow, with `return_url`"}
}


@dataclass(frozen=True)
class _Visit:
    """A good link, and what it is about."""

    token: Token
    view: IncidentView

    @property
    def state(self) -> State:
        if self.view.status != Status.OPEN.value:
            return "fixed"
        if not self.view.can_reconnect:
            return "no_self_serve"
        return "ready" if self.view.reconnect_url else "by_hand"

    @property
    def contact(self) -> Person:
        return next((c for c in self.view.contacts if c.id == self.token.person), Person())


@router.get("/r/{token}", summary="The customer's reconnect page", responses=_NOT_VALID)
async def reconnect_page(token: str, use: Use) -> Response:
    """Notes once that it was fetched, perhaps by a mail scanner; nothing else."""
    visit = await _visit(use, Purpose.RECONNECT, token)
    if visit is None:
        return _not_valid(use)
    await use.actions.note_once(visit.view.incident_id, "page_fetched", visit.token.person)
    return _page(use, visit)


@router.post("/r/{token}", summary="The button on the reconnect page", responses=_ON | _NOT_VALID)
async def begin_reconnecting(request: Request, token: str, use: Use) -> Response:
    """Counts as opened, and leads on to the product's own flow. Without a `reconnect_url`: says that it is done."""
    button = await pressed(request)
    visit = await _visit(use, Purpose.RECONNECT, token)
    if visit is None:
        return await _fresh_mail(use, Purpose.RECONNECT, token, button)
    if visit.state not in {"ready", "by_hand"}:
        return _page(use, visit)
    await use.actions.page_opened(visit.view.incident_id, visit.token.person)
    if visit.view.reconnect_url is None or button == "reconnected":
        return await _reconnected(use, visit)
    back = use.links.returned(visit.view.incident_id, visit.token.person, datetime.now(UTC))
    return RedirectResponse(with_return_url(visit.view.reconnect_url, back), 303)


@router.get("/r/{token}/returned", summary="Where the product sends people back to", responses=_NOT_VALID)
async def returned_page(token: str, use: Use) -> Response:
    """Asks whether it is done; changes nothing."""
    visit = await _visit(use, Purpose.RETURN, token)
    if visit is None:
        return _not_valid(use)
    state = "fixed" if visit.state == "fixed" else "ask"
    return html(use.renderer.page("reconnect_returned.html", state=state, provider=visit.view.provider_name))


@router.post("/r/{token}/returned", summary="“I have reconnected it”", responses=_NOT_VALID)
async def say_reconnected(request: Request, token: str, use: Use) -> Response:
    """A hint: we look for ourselves, and nothing else resolves."""
    button = await pressed(request)
    visit = await _visit(use, Purpose.RETURN, token)
    if visit is None:
        return await _fresh_mail(use, Purpose.RETURN, token, button)
    return await _reconnected(use, visit)


async def _visit(use: Resources, purpose: Purpose, token: str) -> _Visit | None:
    """None for a link that is no good: altered, expired, or about something that is gone."""
    try:
        read = use.links.read(purpose, token, datetime.now(UTC))
        view = await use.views.load(read.subject)
    except (BadTokenError, ExpiredTokenError, UnknownIncidentError):
        return None
    return None if view.resolution in _GONE else _Visit(read, view)


def _page(use: Resources, visit: _Visit) -> HTMLResponse:
    facts = use.renderer.customer_facts(visit.view, now=datetime.now(UTC), contact=visit.contact)
    return html(use.renderer.page("reconnect.html", state=visit.state, **facts), policy=FORMS_ANYWHERE)


def _not_valid(use: Resources) -> HTMLResponse:
    return html(use.renderer.page("reconnect.html", state="invalid"), 410)


async def _reconnected(use: Resources, visit: _Visit) -> Response:
    state = "fixed" if visit.state == "fixed" else "thanks"
    if state == "thanks" and await use.actions.hint(visit.view.incident_id, "callback", visit.token.person):
        await use.bells.soon({visit.view.incident_id})
    return html(use.renderer.page("reconnect_returned.html", state=state, provider=visit.view.provider_name))


async def _fresh_mail(use: Resources, purpose: Purpose, token: str, button: str) -> Response:
    """The same answer for every link that is no good; a mail only to whom an expired one of ours was sent."""
    if button != "mail":
        return _not_valid(use)
    try:
        with suppress(BadTokenError):  # nobody learns the difference
            use.links.read(purpose, token, datetime.now(UTC))
    except ExpiredTokenError as error:
        ours = error.token
        if ours.person and await use.actions.send_fresh_link(ours.subject, ours.person):
            await use.bells.soon({ours.subject})
    return html(use.renderer.page("reconnect.html", state="mailed"))


def with_return_url(reconnect_url: str, back: str) -> str:
    """The product's address with `return_url` as a query parameter; its own parameters stay."""
    parts = urlsplit(reconnect_url)
    own = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "return_url"]
    return urlunsplit(parts._replace(query=urlencode([*own, ("return_url", back)])))
