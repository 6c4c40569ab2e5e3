"""Events as producers send them, and what each observes (contract: Event, What an event does)."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from activities.blanking import blanked
from workflows.domain.diagnosis import Catalogue, Category, ConnectionState, Diagnosis, Failure, Surface, diagnose
from workflows.domain.status import Effect, HealthStatus, Observation, Weight

GONE_WITHOUT_CAUSE = "disconnected_without_cause"  # our own code; the generic playbook has its words
CLOCK_LEEWAY = timedelta(minutes=5)
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _written_out(value: object) -> object:
    if not isinstance(value, datetime) and not (isinstance(value, str) and value[4:5] == "-"):
        raise ValueError("give an RFC 3339 time with an offset, for example 2026-01-29T10:45:00Z")
    return value


def not_ahead(at: datetime) -> datetime:
    """Raises ValueError for a time that no sender's clock should show."""
    if at > datetime.now(UTC) + CLOCK_LEEWAY:
        raise ValueError("more than 5 minutes in the future; check the sender's clock")
    if at < _OLDEST:
        raise ValueError("before 1970; check the sender's clock")
    return at


# RFC 3339 with an offset; a number would carry none.
Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Text = Annotated[str, AfterValidator(_without_nul)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_nul)]
IntegrationType = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_without_nul)]


class EventType(StrEnum):
    AUTH_FAILURE = "auth_failure"
    WEBHOOK_FAILED = "webhook_failed"
    SYNC_ERROR = "sync_error"
    SYNC_SUCCEEDED = "sync_succeeded"
    RECONNECTED = "reconnected"
    INTEGRATION_STATUS_CHANGED = "integration_status_changed"
    CUSTOMER_REPORTED = "customer_reported"


FAILURES = {EventType.AUTH_FAILURE, EventType.WEBHOOK_FAILED, EventType.SYNC_ERROR}


class EventError(BaseModel):
    """What went wrong, as the provider said it. Everything is optional; more of it makes a better diagnosis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Annotated[str, StringConstraints(max_length=500), AfterValidator(_without_nul)] | None = Field(
        None, examples=["invalid_grant"]
    )
    message: Text | None = Field(None, examples=["expired access/refresh token"])
    http_status: Annotated[int, Field(ge=100, le=599)] | None = Field(None, examples=[400])
    surface: Surface | None = None
    body: Text | None = Field(None, description="The response body, as received.")


def _at(field: str, message: str) -> PydanticCustomError:
    """An error of a whole object that is about one of its fields; the API names it."""
    return PydanticCustomError("field", message, {"field": field})


class Event(BaseModel):
    """Something that happened to a customer's integration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: Name | None = Field(None, description="Makes the event idempotent; assigned if absent.")
    source: Name = Field("api", description="Who says so; event_id is unique within it.")
    customer_id: UUID | None = Field(None, description="Relink's id of the customer; or give customer_external_id.")
    customer_external_id: Name | None = Field(None, examples=["techcorp"])
    integration_type: IntegrationType = Field(examples=["salesforce"])
    integration_id: Name | None = Field(None, examples=["crm-sync"])
    event_type: EventType
    occurred_at: Annotated[Moment, AfterValidator(not_ahead)] | None = Field(
        None, description="With an offset, at most 5 minutes ahead; absent means now."
    )
    new_status: HealthStatus | None = Field(None, description="For integration_status_changed, and only for that.")
    endpoint: Name | None = None
    error: EventError | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.customer_id is None) == (self.customer_external_id is None):
            raise _at("customer_external_id", "give exactly one of customer_id and customer_external_id")
        is_change = self.event_type is EventType.INTEGRATION_STATUS_CHANGED
        if is_change != (self.new_status is not None):
            raise _at("new_status", "belongs to integration_status_changed, and that needs it")
        return self

    @property
    def fingerprint(self) -> bytes:
        """The same for two bodies that mean the same: canonical JSON after validation, hashed."""
        content = self.model_dump(mode="json", exclude={"event_id", "source"})
        if self.occurred_at:
            content["occurred_at"] = self.occurred_at.astimezone(UTC).isoformat()
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()

    @property
    def is_failure(self) -> bool:
        return self.event_type in FAILURES or self.new_status in {
            HealthStatus.DISCONNECTED,
            HealthStatus.DEGRADED,
        }

    @property
    def failure(self) -> Failure:
        """What the classifier is to look at."""
        error = self.error or EventError(code=None, message=None, http_status=None, body=None)
        surface = error.surface
        if surface is None and self.event_type is EventType.WEBHOOK_FAILED:
            surface = Surface.WEBHOOK
        return Failure(
            provider=self.integration_type,
            surface=surface,
            http_status=error.http_status,
            error_code=error.code,
            error_description=error.message,
            body=error.body,
        )

    @property
    def stored_error(self) -> dict[str, Any] | None:
        """`error` for the event's row: credentials in it are blanked, long texts are cut."""
        if self.error is None:
            return None
        content = self.error.model_dump(mode="json", exclude_none=True)
        return {k: blanked(v) if isinstance(v, str) else v for k, v in content.items()}

    def observe(self, diagnosis: Diagnosis, received_at: datetime) -> Observation:
        """What this event says about the integration, judged by the diagnosis of its error."""
        effect, weight = self._judge(diagnosis)
        return Observation(self.occurred_at or received_at, effect, weight)

    def _judge(self, diagnosis: Diagnosis) -> tuple[Effect, Weight]:
        match self.event_type, self.new_status:
            case (EventType.INTEGRATION_STATUS_CHANGED, HealthStatus.DISCONNECTED):
                return Effect.FAILURE, Weight.TERMINAL
            case (EventType.INTEGRATION_STATUS_CHANGED, HealthStatus.DEGRADED):
                return Effect.FAILURE, Weight.LIMPING
            case (EventType.SYNC_SUCCEEDED, _) | (EventType.INTEGRATION_STATUS_CHANGED, _):
                return Effect.SUCCESS, Weight.RETRYABLE
            case (EventType.RECONNECTED, _):
                return Effect.HINT, Weight.RETRYABLE
            case (EventType.CUSTOMER_REPORTED, _):
                return Effect.NOTE, Weight.RETRYABLE
        return self._judge_failure(diagnosis)

    def _judge_failure(self, diagnosis: Diagnosis) -> tuple[Effect, Weight]:
        is_auth = self.event_type is EventType.AUTH_FAILURE
        if self.error is None:
            return Effect.FAILURE, Weight.TERMINAL if is_auth else Weight.RETRYABLE
        if diagnosis.category is Category.RATE_LIMITED:
            return Effect.RATE_LIMIT, Weight.RETRYABLE
        if diagnosis.connection_state is ConnectionState.DISCONNECTED:
            return Effect.FAILURE, Weight.TERMINAL
        if is_auth and diagnosis.category is Category.UNKNOWN:
            return (
                Effect.FAILURE,
                Weight.TERMINAL,
            )  # its sender knows that it was the authentication; we know no better
        return Effect.FAILURE, Weight.RETRYABLE


def diagnosis_of(event: Event, catalogue: Catalogue) -> Diagnosis:
    """What an event's error means. Where its sender only says that the connection is gone, no cause is made up: what
    its owner can do is reconnect it."""
    found = diagnose(event.failure, catalogue)
    says_gone = event.event_type is EventType.AUTH_FAILURE or event.new_status is HealthStatus.DISCONNECTED
    if says_gone and found.category is Category.UNKNOWN:
        return diagnose(event.failure.model_copy(update={"error_code": GONE_WITHOUT_CAUSE}), catalogue)
    return found
