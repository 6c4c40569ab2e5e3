"""`POST /codec/decode`: what Temporal keeps encrypted, decrypted for the eyes of whoever may read everything.

The codec server of Temporal's UI and command line (https://docs.temporal.io/codec-server): the UI's page asks from the
operator's browser, so its origin, and no other, may.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Security
from fastapi.security.base import SecurityBase
from google.protobuf.json_format import MessageToDict
from pydantic import Base64Bytes, BaseModel, Field
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection
from temporalio.api.common.v1 import Payload

from activities.codec import EncryptingCodec
from activities.db.keys import Scope
from activities.secrets import SecretsError
from starter.api.auth import KeyWith, authenticate, unauthorised
from starter.api.limits import body_of
from starter.api.openapi import takes
from starter.api.problems import Problem, answers
from starter.api.resources import Use, resources_of

router = APIRouter(prefix="/codec", tags=["Temporal"])


class ReadAll(SecurityBase):
    """A dependency: an API key with the scope `read`, or somebody of the staff who is signed in; of all customers."""

    def __init__(self) -> None:
        key = KeyWith(Scope.READ)
        self.scheme_name, self.model = key.scheme_name, key.model

    async def __call__(self, request: Request) -> None:
        if "authorization" in request.headers:
            only = (await authenticate(request, Scope.READ)).customer_id
        else:
            session = await resources_of(request).sessions.find(request.cookies)
            if session is None:
                raise unauthorised("send an API key with the scope 'read', or sign in on Relink's own pages")
            only = session.only
        if only is not None:
            raise Problem(404, "histories are of all customers; you may see one")


class PayloadBody(BaseModel):
    """As protobuf writes it in JSON: both parts in base64. What other versions add is left out."""

    metadata: dict[str, Base64Bytes] = Field({}, examples=[{"encoding": "YmluYXJ5L2VuY3J5cHRlZA=="}])
    data: Base64Bytes = b""


class PayloadsBody(BaseModel):
    """In the answer they have the order of the request; what was not encrypted is as it was."""

    payloads: list[PayloadBody]


@router.post(
    "/decode",
    dependencies=[Security(ReadAll(), scopes=[Scope.READ.value])],
    summary="Decrypt payloads of Temporal",
    response_model=PayloadsBody,
    responses=answers(401, 403, 404, 413, 415, 422, 429, 503),
    openapi_extra=takes(PayloadsBody),
)
async def decode(body: Annotated[PayloadsBody, body_of(PayloadsBody)], use: Use) -> object:
    """For `--codec-endpoint …/codec` of the `temporal` command line, with an API key, and for the codec setting of
    Temporal's UI, with the session of whoever is signed in on Relink's pages ("include cross-origin credentials").
    Histories are of all customers, so a key of one has nothing here."""
    return await decoded(use.codec, body)


async def decoded(codec: EncryptingCodec, body: PayloadsBody) -> dict[str, Any]:
    """The answer. Raises Problem (422) naming a key that is missing or wrong."""
    payloads = [Payload(metadata=payload.metadata, data=payload.data) for payload in body.payloads]
    try:
        return {"payloads": [MessageToDict(payload) for payload in await codec.decode(payloads)]}
    except SecretsError as error:
        raise Problem.at("payloads", str(error)) from None


class CodecCors:
    """Lets the page of Temporal's UI (RELINK_TEMPORAL_UI_URL) call the codec, with the operator's cookies; no other
    page, and nothing else of the API."""

    def __init__(self, app: ASGIApp, ui_url: str | None) -> None:
        self._app = app
        self._codec = for_page_of(ui_url, app)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        is_codec = scope["type"] == "http" and scope["path"].startswith(f"{router.prefix}/")
        await (self._codec if is_codec else self._app)(scope, receive, send)


def for_page_of(ui_url: str | None, app: ASGIApp) -> ASGIApp:
    """What the page of Temporal's UI may call from another origin."""
    parts = urlsplit(ui_url or "")
    return CORSMiddleware(
        app,
        allow_origins=[f"{parts.scheme}://{parts.netloc}"] if ui_url else [],
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "x-namespace"],
        allow_credentials=True,
    )
