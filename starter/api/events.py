"""`POST /v1/events`: the hot route. Plainer than the others: no model between the rows and the answer."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from pydantic_core import to_json

from activities.db.events import EventRefusedError
from activities.events import Event
from starter.api.auth import EventsKey
from starter.api.limits import read_json, validated
from starter.api.models import EventsAnswer
from starter.api.openapi import takes
from starter.api.problems import Problem, answers, refused
from starter.api.resources import Use

MOST_EVENTS = 1000
_OURS = "relink."

router = APIRouter(tags=["Events"])
_CRM = {"customer_external_id": "techcorp", "integration_type": "salesforce", "integration_id": "crm-sync"}
_EXAMPLES = {
    "A token was refused": {
        **_CRM,
        "event_id": "evt_1",
        "event_type": "auth_failure",
        "occurred_at": "2026-01-29T10:45:00Z",
        "error": {"code": "invalid_grant", "message": "expired access/refresh token", "http_status": 400},
    },
    "A sync worked": {**_CRM, "event_id": "evt_2", "event_type": "sync_succeeded"},
    "Two at once": [
        {**_CRM, "event_type": "webhook_failed", "endpoint": "orders", "error": {"http_status": 503}},
        {**_CRM, "event_type": "integration_status_changed", "new_status": "disconnected"},
    ],
}
_ONE = TypeAdapter(Event)
_MANY = TypeAdapter(list[Event])


@router.post(
    "/v1/events",
    status_code=202,
    summary="Report what happened to an integration",
    response_model=EventsAnswer,
    responses=answers(401, 403, 404, 409, 413, 415, 422, 429, 503),
    openapi_extra=takes(Event, many=True, examples=_EXAMPLES),
)
async def post_events(request: Request, key: EventsKey, use: Use) -> Response:
    """One event, or an array of up to 1,000: all of them are taken, or none.

    An event is taken once for each (`source`, `event_id`): sent again it is answered as before, with
    `outcome: "duplicate"`. 202 means that it is stored and judged; the response to it follows by itself.
    """
    value = await read_json(request)
    if isinstance(value, list) and len(value) > MOST_EVENTS:
        raise Problem(413, f"{len(value)} events; send at most {MOST_EVENTS:,} at once")
    is_array = isinstance(value, list)
    events = validated(_MANY, value) if is_array else [validated(_ONE, value)]
    for index, event in enumerate(events):
        if event.source.startswith(_OURS):
            field = f"[{index}].source" if is_array else "source"
            raise Problem.at(field, f"sources that begin with {_OURS!r} are Relink's own; choose another")
    try:
        outcomes, incidents = await use.events.take(events, only_customer=key.customer_id)
    except EventRefusedError as error:
        raise refused(error, is_array=is_array) from None
    await use.bells.soon(incidents)
    duplicates = sum(outcome.outcome == "duplicate" for outcome in outcomes)
    answer = {"accepted": len(outcomes) - duplicates, "duplicates": duplicates, "results": outcomes}
    return Response(to_json(answer), 202, media_type="application/json")
