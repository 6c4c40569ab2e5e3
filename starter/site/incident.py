"""One incident: what happened, what was decided and by which rule, what comes next, and what a person can do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from fastapi import Request
from pydantic import TypeAdapter
from starlette.responses import HTMLResponse, Response

from activities import phrases
from activities.calls import USUAL
from activities.views import Person
from starter.api.actions import ACTIONS, act
from starter.api.incidents import incident_in_full
from starter.api.limits import validated
from starter.api.problems import Problem, problem_for
from starter.api.resources import Resources, Use
from starter.site.access import OperatorsButton, Viewer
from starter.site.pages import redirect, show, site_router
from starter.site.sessions import Session
from starter.site.words import NEXT, ROLES, WHO_FIXES, Words
from workflows.contracts import Situation
from workflows.domain.durations import how_long

router = site_router()
_SNOOZES = MappingProxyType({"1h": "an hour", "4h": "4 hours", "24h": "a day", "3d": "3 days", "7d": "a week"})
_TIMES = ("time_1", "time_2", "time_3")
_DONE = MappingProxyType(
    {
        "acknowledge": "Acknowledged: escalation waits for you.",
        "snooze": "Snoozed: nobody is escalated to or reminded before that.",
        "fixed": "Noted. A monitor, if there is one, looks at once; when it has held, this closes by itself.",
        "resolve": "Closed. It raises no new alert until it has worked again.",
        "send-fix-instructions": "The fix instructions are on their way.",
        "schedule-tech-call": "The offer of a call is on its way.",
        "nothing": "Nothing was changed: that was done already, a moment ago.",
    }
)


@router.get("/incidents/{incident}")
async def incident_page(
    request: Request, incident: UUID, session: Viewer, use: Use, done: str = "", refresh: str = "on"
) -> HTMLResponse:
    return await _page(request, incident, session, use, said=_DONE.get(done), refresh=refresh)


@router.post("/incidents/{incident}/{action}")
async def press(request: Request, incident: UUID, action: str, button: OperatorsButton, use: Use) -> Response:
    """What Slack's buttons do, by the signed-in person; whatever is wrong is said above the forms."""
    session = button.session
    if action not in ACTIONS:
        raise Problem(404, "there is no such button")
    try:
        wanted = validated(TypeAdapter(ACTIONS[action]), _body(button.fields, session))
        changed = await act(use, incident, wanted, session.only)
    except Exception as error:
        problem = problem_for(error)
        if problem is None or problem.status_code not in {409, 422}:
            raise
        return await _page(request, incident, session, use, refused=_sentence(problem), status=problem.status_code)
    done = "fixed" if button.fields.get("reason") == "fixed" else action
    return redirect(use, f"/incidents/{incident}?done={done if changed else 'nothing'}")


def _body(fields: Mapping[str, str], session: Session) -> dict[str, Any]:
    """A form as the API's body: times of a form are UTC, an empty field is none."""
    given = {name: value.strip() for name, value in fields.items() if value.strip() and name != "form_token"}
    body: dict[str, Any] = {"by": session.name}
    body |= {name: given[name] for name in ("for", "reason", "note", "contact_id", "minutes") if name in given}
    if "email" in given:  # somebody new counts before somebody known
        body.pop("contact_id", None)
        body["contact"] = {name: given[name] for name in ("email", "name") if name in given}
    if times := [f"{given[name]}:00Z" for name in _TIMES if name in given]:
        body["times"] = times
    return body


def _sentence(problem: Problem) -> str:
    message = problem.errors[0].message if problem.errors else str(problem.detail)
    return f"{message[:1].upper()}{message[1:]}. Nothing was changed."


async def _page(
    request: Request,
    incident: UUID,
    session: Session,
    use: Resources,
    *,
    said: str | None = None,
    refused: str | None = None,
    refresh: str = "on",
    status: int = 200,
) -> HTMLResponse:
    found = await incident_in_full(use, incident, session.only)
    view, adjustments, situation, names = await asyncio.gather(
        use.views.load(incident),
        use.reader.adjustments(incident),
        use.incidents.situation(incident),
        use.reader.names_of(found["customer"]["id"]),
    )
    facts = use.renderer.facts(view, now=datetime.now(UTC), reader=Person())
    words = Words(names, lambda at: phrases.moment_with_zone(at, UTC) if at else None)
    return show(
        request,
        "incident.html",
        session,
        status,
        incident=found,
        facts=facts,
        view=view,
        who_fixes=WHO_FIXES.get(view.who_fixes, "Nobody knows yet who fixes it"),
        next_action=_next(found["next_action"], situation),
        timeline=words.timeline(found["timeline"], found["deliveries"]),
        deliveries=words.deliveries(found["deliveries"]),
        funnel=words.funnel(found["deliveries"], found, found["timeline"]),
        adjustments=adjustments,
        contacts=[(c.id, phrases.introduced(c)) for c in view.contacts if c.email],
        snoozes=_SNOOZES,
        lengths=[15, USUAL, 45, 60],
        soonest=f"{datetime.now(UTC) + timedelta(minutes=5):%Y-%m-%dT%H:%M}",
        said=said,
        refused=refused,
        refresh=refresh,
    )


def _next(due: Mapping[str, Any] | None, situation: Situation) -> dict[str, object] | None:
    if due is None:
        return None
    step = situation.ladder[situation.escalation_step] if situation.escalation_step < len(situation.ladder) else None
    to = ROLES.get(step.to, step.to) if step else "the next one"
    left = due["at"] - datetime.now(UTC)
    return {
        "what": NEXT.get(due["kind"], due["kind"].replace("_", " ").capitalize()).format(to=to),
        "at": due["at"],
        "in": f"in {how_long(left)}" if left > timedelta() else "now",
    }
