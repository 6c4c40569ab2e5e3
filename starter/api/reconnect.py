"""The customer's page: what happened, what to do, one button. Looking changes nothing, so mail scanners do no harm."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from activities.db.incidents import UnknownIncidentError
from activities.links import BadTokenError, ExpiredTokenError, Purpose, Token
from activities.views import IncidentView, Person
from starter.api.html import FORMS_ANYWHERE, html, pressed
from starter.api.resources import Resources, Use
from workflows.contracts import Resolution, Status

router = APIRouter(tags=["Reconnect"], default_response_class=HTMLResponse)

State = Literal["ready", "by_hand", "no_self_serve", "fixed", "closed"]
_WITHOUT_A_REPAIR = {Resolution.REMOVED, Resolution.NO_LONGER_USED, Resolution.FALSE_ALARM}
_NOT_VALID: dict[int | str, dict[str, Any]] = {
    410: {"description": "Expired or altered: a neutral page that offers a fresh mail. Removed: a page that says so"}
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
        if self.view.resolution in _WITHOUT_A_REPAIR:
            return "closed"
        if self.view.status != Status.OPEN.value:
            return "fixed"
        if not self.view.can_reconnect:
            return "no_self_serve"
        return "ready" if self.view.reconnect_url else "by_hand"

    @property
    def is_removed(self) -> bool:
        return self.view.resolution == Resolution.REMOVED

    @property
    def contact(self) -> Person:
        return next((c for c in self.view.contacts if c.id == self.token.person), Person())


@router.get("/r/{token}", summary="The customer's reconnect page", responses=_NOT_VALID)
async def reconnect_page(token: str, use: Use) -> Response:
    """Notes once that it was fetched, perhaps by a mail scanner; nothing else."""
    visit = await _visit(use, Purpose.RECONNECT, token)
    if visit is None:
        return _not_valid(use)
    await use.actions.page_fetched(visit.view.incident_id, visit.token.person)
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
    if await use.actions.page_opened(visit.view.incident_id, visit.token.person):
        await use.bells.soon({visit.view.incident_id})
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
    return _returned(use, visit, otherwise="ask")


@router.post("/r/{token}/returned", summary="“I have reconnected it”", responses=_NOT_VALID)
async def say_reconnected(request: Request, token: str, use: Use) -> Response:
    """A hint: we look for ourselves, and nothing else resolves."""
    button = await pressed(request)
    visit = await _visit(use, Purpose.RETURN, token)
    if visit is None:
        return await _fresh_mail(use, Purpose.RETURN, token, button)
    return await _reconnected(use, visit)


async def _visit(use: Resources, purpose: Purpose, token: str) -> _Visit | None:
    """None for a link that is no good: altered, expired, about something that never was, or of somebody who is gone."""
    try:
        read = use.links.read(purpose, token, datetime.now(UTC))
        view = await _as_it_is_now(use, read.subject)
    except (BadTokenError, ExpiredTokenError, UnknownIncidentError):
        return None
    is_theirs = read.person is None or any(contact.id == read.person for contact in view.contacts)
    return _Visit(read, view) if is_theirs else None


async def _as_it_is_now(use: Resources, incident: UUID) -> IncidentView:
    """The incident of a link; or, if that is over and the same integration is down again, the one that is open now."""
    view = await use.views.load(incident)
    if view.closed_at is None:
        return view
    now_open = (await use.reader.integration(view.integration_health_id))["open_incident"]
    return await use.views.load(now_open) if now_open else view


def _page(use: Resources, visit: _Visit) -> HTMLResponse:
    facts = use.renderer.customer_facts(visit.view, now=datetime.now(UTC), contact=visit.contact)
    page = use.renderer.page("reconnect.html", state=visit.state, **facts)
    return html(page, 410 if visit.is_removed else 200, policy=FORMS_ANYWHERE)


def _returned(use: Resources, visit: _Visit, *, otherwise: str) -> HTMLResponse:
    """The page behind `return_url`; if it is over already it says so."""
    if visit.state == "closed":
        return _page(use, visit)
    state = "fixed" if visit.state == "fixed" else otherwise
    return html(use.renderer.page("reconnect_returned.html", state=state, provider=visit.view.provider_name))


def _not_valid(use: Resources) -> HTMLResponse:
    return html(use.renderer.page("reconnect.html", state="invalid"), 410)


async def _reconnected(use: Resources, visit: _Visit) -> Response:
    is_over = visit.state in {"fixed", "closed"}
    if not is_over and await use.actions.hint(visit.view.incident_id, "callback", visit.token.person):
        await use.bells.soon({visit.view.incident_id})
    return _returned(use, visit, otherwise="thanks")


async def _fresh_mail(use: Resources, purpose: Purpose, token: str, button: str) -> Response:
    """The same answer for every link that is no good; a mail only to whom an expired one of ours was sent."""
    if button != "mail":
        return _not_valid(use)
    try:
        with suppress(BadTokenError):  # nobody learns the difference
            use.links.read(purpose, token, datetime.now(UTC))
    except ExpiredTokenError as error:
        with suppress(UnknownIncidentError):
            incident = (await _as_it_is_now(use, error.token.subject)).incident_id
            person = error.token.person
            if person and await use.actions.send_fresh_link(incident, person):
                await use.bells.soon({incident})
    return html(use.renderer.page("reconnect.html", state="mailed"))


def with_return_url(reconnect_url: str, back: str) -> str:
    """The product's address with `return_url` as a query parameter; its own parameters stay."""
    parts = urlsplit(reconnect_url)
    own = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "return_url"]
    return urlunsplit(parts._replace(query=urlencode([*own, ("return_url", back)])))
