"""What a person can do about an incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from activities.calls import LONGEST, MOST_TIMES, SHORTEST, USUAL, Proposal
from activities.customers import ContactWrite, Line
from activities.db.actions import MOST_SNOOZED, Actor, Recipient
from activities.db.keys import ApiKey
from activities.events import Moment
from starter.api.auth import OperateKey
from starter.api.incidents import incident_in_full
from starter.api.limits import body_of
from starter.api.models import IncidentInFull
from starter.api.openapi import takes
from starter.api.paths import storable
from starter.api.problems import answers
from starter.api.resources import Resources, Use
from workflows.contracts import Resolution
from workflows.domain.durations import Duration

router = APIRouter(prefix="/v1/incidents/{incident}", tags=["Actions"])


class ActionWrite(BaseModel):
    """Who does it: the email, Slack id or name of one of the customer's people, or whatever you call yourself."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    by: Line = Field(examples=["dana@acme.example"])

    def actor(self, key: ApiKey) -> Actor:
        """Who acts, seeing what their key may see."""
        return Actor(self.by, only=key.customer_id)


class SnoozeWrite(ActionWrite):
    """Until a time, or for a while; at most 30 days."""

    until: Moment | None = Field(None, examples=["2026-01-30T09:00:00-05:00"])
    for_: Annotated[Duration, Field(gt=timedelta(), le=MOST_SNOOZED)] | None = Field(None, alias="for", examples=["4h"])

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.until is None) == (self.for_ is None):
            raise PydanticCustomError("field", "give exactly one of until and for", {"field": "until"})
        return self

    def end(self, now: datetime) -> datetime:
        """When it ends, if it begins now."""
        assert self.until or self.for_ is not None  # one of both was given
        return self.until or now + (self.for_ or timedelta())


class Reason(StrEnum):
    FIXED = "fixed"
    NO_LONGER_USED = "no_longer_used"
    FALSE_ALARM = "false_alarm"


class ResolveWrite(ActionWrite):
    """`fixed` starts a check, and only that resolves; the others close at once."""

    reason: Reason
    note: Annotated[str, StringConstraints(max_length=2000), AfterValidator(storable)] | None = None


class MailWrite(ActionWrite):
    """To whom: a contact by id, one to be added, or (neither) the first with an address."""

    contact_id: UUID | None = Field(None, description="`id` of one of the customer's technical_contacts.")
    contact: ContactWrite | None = Field(None, description="Added to the customer's technical contacts.")

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.contact_id and self.contact:
            raise PydanticCustomError("field", "give contact_id or contact, not both", {"field": "contact_id"})
        return self

    @property
    def to(self) -> Recipient:
        return self.contact_id or self.contact


class CallWrite(MailWrite):
    """The times to choose from: one becomes an invitation, several a list; none: the mail asks for times that suit."""

    times: Annotated[tuple[Moment, ...], Field(max_length=MOST_TIMES, json_schema_extra={"minItems": 1})] | None = (
        Field(None, examples=[["2026-01-30T15:00:00Z"]])
    )
    minutes: Annotated[int, Field(ge=SHORTEST, le=LONGEST, description="How long the call takes.")] = USUAL

    @property
    def proposal(self) -> Proposal | None:
        return None if self.times is None else Proposal(self.times, self.minutes)


ACTION_BODIES: list[type[BaseModel]] = [ActionWrite, SnoozeWrite, ResolveWrite, MailWrite, CallWrite]


def _action(summary: str, body: type[BaseModel]) -> dict[str, Any]:
    return {
        "status_code": 202,
        "summary": summary,
        "response_model": IncidentInFull,
        "responses": answers(401, 403, 404, 409, 413, 415, 422, 429, 503),
        "openapi_extra": takes(body),
    }


async def _done(use: Resources, incident: UUID, only: UUID | None, *, changed: bool) -> dict[str, Any]:
    if changed:
        await use.bells.soon({incident})
    return await incident_in_full(use, incident, only)


@router.post("/acknowledge", **_action("Somebody is on it", ActionWrite))
async def acknowledge(
    incident: UUID, key: OperateKey, body: Annotated[ActionWrite, body_of(ActionWrite)], use: Use
) -> object:
    """Escalation pauses for the policy's `ack_timeout`. The first acknowledgement counts; a second changes nothing."""
    changed = await use.actions.acknowledge(incident, body.actor(key))
    return await _done(use, incident, key.customer_id, changed=changed)


@router.post("/snooze", **_action("Not now", SnoozeWrite))
async def snooze(
    incident: UUID, key: OperateKey, body: Annotated[SnoozeWrite, body_of(SnoozeWrite)], use: Use
) -> object:
    """Nobody is escalated to or reminded before that time; then the CSM hears of it again. A later one replaces it."""
    until = body.end(datetime.now(UTC))
    changed = await use.actions.snooze(incident, body.actor(key), until)
    return await _done(use, incident, key.customer_id, changed=changed)


@router.post("/resolve", **_action("Fixed, no longer used, or a false alarm", ResolveWrite))
async def resolve(
    incident: UUID, key: OperateKey, body: Annotated[ResolveWrite, body_of(ResolveWrite)], use: Use
) -> object:
    """`fixed` is checked first: only evidence, or your word where there is no monitor, resolves. The others close the
    incident now, and the integration opens no new one until it has worked again."""
    if body.reason is Reason.FIXED:
        changed = await use.actions.report_fixed(incident, body.actor(key))
    else:
        ending = Resolution(body.reason)
        changed = await use.actions.close(incident, body.actor(key), ending, body.note)
    return await _done(use, incident, key.customer_id, changed=changed)


@router.post("/send-fix-instructions", **_action("Mail the fix to a technical contact", MailWrite))
async def send_fix_instructions(
    incident: UUID, key: OperateKey, body: Annotated[MailWrite, body_of(MailWrite)], use: Use
) -> object:
    """Sends it again if it was sent before; twice within a minute is once."""
    changed = await use.actions.send_fix_instructions(incident, body.actor(key), body.to)
    return await _done(use, incident, key.customer_id, changed=changed)


@router.post("/schedule-tech-call", **_action("Offer a technical contact a call", CallWrite))
async def schedule_tech_call(
    incident: UUID, key: OperateKey, body: Annotated[CallWrite, body_of(CallWrite)], use: Use
) -> object:
    """By mail: at the times proposed (one comes as an invitation to accept), with the policy's `booking_url`, or
    asking for times that suit."""
    changed = await use.actions.schedule_tech_call(incident, body.actor(key), body.to, body.proposal)
    return await _done(use, incident, key.customer_id, changed=changed)
