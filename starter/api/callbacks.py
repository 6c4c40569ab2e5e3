"""`POST /v1/callbacks/reconnected`: the product's server says that a customer has reconnected."""

from __future__ import annotations

import base64
import hmac
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security.base import SecurityBase
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from activities.db.events import EventRefusedError
from activities.db.keys import Scope
from activities.events import Event, IntegrationType, Moment, Name, not_ahead
from activities.settings import Settings
from starter.api.auth import authenticate, unauthorised
from starter.api.limits import parse_json, read_body, refuse_unstorable, validated
from starter.api.models import CallbackAnswer
from starter.api.openapi import takes
from starter.api.problems import answers, refused
from starter.api.resources import Use, resources_of

router = APIRouter(tags=["Callbacks"])
_PURPOSE = b"relink/webhook-secret/"
_SIGNER = UUID(int=0)  # all who sign are one sender to the throttle
_EVENT = TypeAdapter(Event)


class ReconnectedWrite(BaseModel):
    """Which integration was reconnected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    customer_external_id: Name = Field(examples=["techcorp"])
    integration_type: IntegrationType = Field(examples=["salesforce"])
    integration_id: Name | None = Field(None, examples=["crm-sync"])
    event_id: Name | None = Field(None, description="Makes it idempotent; absent: the `webhook-id` header, if signed.")
    occurred_at: Annotated[Moment, AfterValidator(not_ahead)] | None = Field(None, description="Absent means now.")


_BODY = TypeAdapter(ReconnectedWrite)


def webhook_secret(settings: Settings) -> str:
    """The secret with which this installation's callbacks may be signed (https://www.standardwebhooks.com):
    `whsec_…`, derived from RELINK_SECRET_KEY, so that it changes when that does; while the old key is one of
    RELINK_OLD_SECRET_KEYS, so is the old secret good."""
    return _webhook_secrets(settings)[0]


def _webhook_secrets(settings: Settings) -> list[str]:
    derived = (hmac.digest(key.encode(), _PURPOSE, "sha256") for key in settings.secret_keys)
    return ["whsec_" + base64.b64encode(secret).decode() for secret in derived]


class _KeyOrSignature(SecurityBase):
    """A dependency: the customer that the sender is limited to. A key with the scope `callbacks`, or a signature."""

    def __init__(self) -> None:
        self.scheme_name = "webhookSignature"
        self.model = APIKey(
            **{"in": APIKeyIn.header},
            name="webhook-signature",
            description="Standard Webhooks; the secret: `relink keys webhook-secret`.",
        )

    async def __call__(self, request: Request) -> UUID | None:
        if "webhook-signature" in request.headers and "authorization" not in request.headers:
            await _verify(request)
            return None
        return (await authenticate(request, Scope.CALLBACKS)).customer_id


async def _verify(request: Request) -> None:
    body = await read_body(request)
    request.state.signed_body = body
    use = resources_of(request)
    if not any(_is_signed(body, dict(request.headers), secret) for secret in _webhook_secrets(use.settings)):
        raise unauthorised(
            "the signature is not ours, or over 5 minutes old; see https://www.standardwebhooks.com. "
            "The secret: `relink keys webhook-secret`"
        )
    use.throttle.take(_SIGNER, use.policy.current.limits.per_key_per_second)


def _is_signed(body: bytes, headers: dict[str, str], secret: str) -> bool:
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError, OverflowError, TypeError):
        return False  # the library raises the latter three for headers that are no signature at all
    return True


@router.post(
    "/v1/callbacks/reconnected",
    status_code=202,
    summary="A customer has reconnected an integration",
    response_model=CallbackAnswer,
    responses=answers(401, 403, 404, 409, 413, 415, 422, 429, 503),
    openapi_extra=takes(ReconnectedWrite) | {"security": [{"apiKey": [Scope.CALLBACKS.value]}]},
)
async def post_reconnected(
    request: Request, only: Annotated[UUID | None, Depends(_KeyOrSignature())], use: Use
) -> object:
    """A hint that starts a check at once; by itself it resolves nothing. Sent again with the same `event_id`, it is
    answered as before and changes nothing. An integration that is not known is a 422: unlike an event, a callback never
    registers one.

    Authorised by a key with the scope `callbacks`, or by a Standard Webhooks signature.
    """
    body = request.state.signed_body if hasattr(request.state, "signed_body") else await read_body(request)
    value = parse_json(request, body)
    refuse_unstorable(value, [])
    event = _event(validated(_BODY, value), request.headers.get("webhook-id"))
    try:
        (outcome,), incidents = await use.events.take([event], only_customer=only, registers=False)
    except EventRefusedError as error:
        raise refused(error, is_array=False) from None
    if outcome.incident is not None and outcome.outcome == "accepted":
        await use.actions.hint(outcome.incident, "callback")
        incidents |= {outcome.incident}
    await use.bells.soon(incidents)
    return {"integration": outcome.integration, "incident": outcome.incident}


def _event(said: ReconnectedWrite, webhook_id: str | None) -> Event:
    sent = said.model_dump(exclude_none=True)
    fixed = {"source": "relink.callback", "event_type": "reconnected", "event_id": said.event_id or webhook_id}
    return validated(_EVENT, {**sent, **fixed})
