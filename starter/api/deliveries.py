"""What becomes of a mail after its server took it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from activities.bounces import NotSentError, UnknownDeliveryError
from activities.customers import Line
from starter.api.auth import CallbacksKey
from starter.api.limits import body_of
from starter.api.models import BounceAnswer
from starter.api.openapi import takes
from starter.api.paths import storable
from starter.api.problems import Problem, answers
from starter.api.resources import Use

router = APIRouter(prefix="/v1/deliveries", tags=["Callbacks"])


class BouncedWrite(BaseModel):
    """Why it came back, in the words of whoever sent it back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Line = Field(examples=["550 5.1.1 The email account that you tried to reach does not exist"])


DeliveryKey = Annotated[
    str,
    AfterValidator(storable),
    Path(min_length=1, max_length=500, description="The mail's header `X-Relink-Delivery`; an incident lists it too."),
]


@router.post(
    "/{delivery_key:path}/bounced",
    status_code=202,
    summary="A mail that was sent came back",
    response_model=BounceAnswer,
    responses=answers(401, 403, 404, 409, 413, 415, 422, 429, 503),
    openapi_extra=takes(BouncedWrite),
)
async def post_bounced(
    delivery_key: DeliveryKey, key: CallbacksKey, body: Annotated[BouncedWrite, body_of(BouncedWrite)], use: Use
) -> object:
    """For a mail provider's webhook: the delivery is marked as failed, the next technical contact is mailed, and the
    CSM is told, as if the server had refused it on the spot. Reported again, it changes nothing."""
    try:
        incident = await use.bounces.report(delivery_key, body.reason, key.customer_id)
    except UnknownDeliveryError:
        raise Problem(404, "there is no such delivery") from None
    except NotSentError as error:
        raise Problem(409, str(error)) from None
    if incident is not None:
        await use.bells.soon({incident})
    return {"delivery_key": delivery_key, "status": "failed", "incident": incident}
