"""What a person can do about an incident."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from activities.calls import LONGEST, MOST_TIMES, SHORTEST, USUAL, Proposal
from activities.customers import ContactWrite, Line
from activities.db.actions import MOST_SNOOZED, Actions, Actor, Recipient
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

    @abstractmethod
    async def do(self, actions: Actions, incident: UUID, by: Actor) -> bool:
        """Does it; whether that changed anything. Raises UnknownIncidentError, ActionRefusedError."""


class AcknowledgeWrite(ActionWrite):
    async def do(self, actions: Actions, incident: UUID, by: Actor) -> bool:
        return await actions.acknowledge(incident, by)


class SnoozeWrite(ActionWrite):
    """Until a time, or for a while; at most 30 days."""

    until: Moment | None = Field(None, examples=["2026-01-30T09:00:00-05:00"])
    for_: Annotated[Duration, Field(gt=timedelta(), le=MOST_SNOOZED)] | None = Field(None, alias="for", examples=["4h"])

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.until is None) == (self.for_ is None):
            raise PydanticCustomError("field", "give exactly one of until and for", {"field": "until"})
        return self

    async def do(self, actions: Actions, incident: UUID, by: Actor) -> bool:
        assert self.until or self.for_ is not None  # one of both was given
        until = self.until or datetime.now(UTC) + (self.for_ or timedelta())
        return await actions.snooze(incident, by, until)


class Reason(StrEnum):
    FIXED = "fixed"
    NO_LONGER_USED = "no_longer_used"
    FALSE_ALARM = "false_alarm"


class ResolveWrite(ActionWrite):
    """`fixed` starts a check, and only that resolves; the others close at once."""

    reason: Reason
    note: Annotated[str, StringConstraints(max_length=2000), AfterValidator(storable)] | None = None

    async def do(self, actions: Actions, incident: UUID, by: Actor) -> bool:
        if self.reason is Reason.FIXED:
            return await actions.report_fixed(incident, by)
        return await actions.close(incident, by, Resolution(self.reason), self.note)


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

    async def do(self, actions: Actions, incident: UUID, by: Actor) -> bool:
        return await actions.send_fix_instructions(incident, by, self.to)


class CallWrite(MailWrite):
    """The times to choose from: one becomes an invitation, several a list; none: the mail asks for times that suit."""

    times: Annotated[tuple[Moment, ...], Field(max_length=MOST_TIMES, json_schema_extra={"minItems": 1})] | None = (
        Field(None, examples=[["2026-01-30T15:00:00Z"]])
    )
    minutes: Annotated[int, Field(ge=SHORTEST, le=LONGEST, description="How long the call takes.")] = USUAL

    async def do(self, actions: Actions, incident: UUID, by: Actor) -> bool:
        proposal = None if self.times is None else Proposal(self.times, self.minutes)
        return await actions.schedule_tech_call(incident, by, self.to, proposal)


ACTIONS: Mapping[str, type[ActionWrite]] = MappingProxyType(
    {
        "acknowledge": AcknowledgeWrite,
        "snooze": SnoozeWrite,
        "resolve": ResolveWrite,
        "send-fix-instructions": MailWrite,
        "schedule-tech-call": CallWrite,
    }
)
ACTION_BODIES: list[type[BaseModel]] = list(ACTIONS.values())


async def act(use: Resources, incident: UUID, wanted: ActionWrite, only: UUID | None) -> bool:
    """What a person decides, as somebody who sees only the customer `only`; whether it changed anything.

    Raises UnknownIncidentError, ActionRefusedError.
    """
    changed = await wanted.do(use.actions, incident, Actor(wanted.by, only=only))
    if changed:
        await use.bells.soon({incident})
    return changed


def _action(summary: str, body: type[BaseModel]) -> dict[str, Any]:
    return {
        "status_code": 202,
        "summary": summary,
        "response_model": IncidentInFull,
        "responses": answers(401, 403, 404, 409, 413, 415, 422, 429, 503),
        "openapi_extra": takes(body),
    }


async def _acted(use: Resources, incident: UUID, wanted: ActionWrite, key: ApiKey) -> dict[str, Any]:
    await act(use, incident, wanted, key.customer_id)
    return await incident_in_full(use, incident, key.customer_id)


@router.post("/acknowledge", **_action("Somebody is on it", AcknowledgeWrite))
async def acknowledge(
    incident: UUID, key: OperateKey, body: Annotated[AcknowledgeWrite, body_of(AcknowledgeWrite)], use: Use
) -> object:
    """Escalation pauses for the policy's `ack_timeout`. The first acknowledgement counts; a second changes nothing."""
    return await _acted(use, incident, body, key)


@router.post("/snooze", **_action("Not now", SnoozeWrite))
async def snooze(
    incident: UUID, key: OperateKey, body: Annotated[SnoozeWrite, body_of(SnoozeWrite)], use: Use
) -> object:
    """Nobody is escalated to or reminded before that time; then the CSM hears of it again. A later one replaces it."""
    return await _acted(use, incident, body, key)


@router.post("/resolve", **_action("Fixed, no longer used, or a false alarm", ResolveWrite))
async def resolve(
    incident: UUID, key: OperateKey, body: Annotated[ResolveWrite, body_of(ResolveWrite)], use: Use
) -> object:
    """`fixed` is checked first: only evidence, or your word where there is no monitor, resolves. The others close the
    incident now, and the integration opens no new one until it has worked again."""
    return await _acted(use, incident, body, key)


@router.post("/send-fix-instructions", **_action("Mail the fix to a technical contact", MailWrite))
async def send_fix_instructions(
    incident: UUID, key: OperateKey, body: Annotated[MailWrite, body_of(MailWrite)], use: Use
) -> object:
    """Sends it again if it was sent before; twice within a minute is once."""
    return await _acted(use, incident, body, key)


@router.post("/schedule-tech-call", **_action("Offer a technical contact a call", CallWrite))
async def schedule_tech_call(
    incident: UUID, key: OperateKey, body: Annotated[CallWrite, body_of(CallWrite)], use: Use
) -> object:
    """By mail: at the times proposed (one comes as an invitation to accept), with the policy's `booking_url`, or
    asking for times that suit."""
    return await _acted(use, incident, body, key)
