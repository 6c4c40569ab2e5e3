"""The pages of the inbox, and the same as JSON for tests and the demo."""

from __future__ import annotations

import re

from markupsafe import Markup, escape
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from starter.embedded.inbox.handler import Failure, Handler
from starter.embedded.inbox.mailbox import LINK, Mailbox
from starter.embedded.web import page


def pages(mailbox: Mailbox, handler: Handler) -> Starlette:
    """`/` lists the mails, `/mails/{id}` shows one; the rest is for programs.

    `GET /api/messages` gives `{"messages": […]}`, oldest first, and `DELETE` empties the inbox.
    `POST /api/failures` takes a Failure, `DELETE` forgets them all.
    """

    async def list_mails(request: Request) -> Response:
        return page(request, "inbox.html", mails=mailbox.all()[::-1], title="Inbox")

    async def show_mail(request: Request) -> Response:
        mail = mailbox.get(request.path_params["id"])
        if mail is None:
            return page(request, "inbox.html", 404, mails=mailbox.all()[::-1], title="Inbox")
        return page(request, "mail.html", mail=mail, text=linked(mail.text), title=mail.subject)

    async def messages(request: Request) -> Response:
        if request.method == "DELETE":
            mailbox.clear()
            return Response(status_code=204)
        return JSONResponse({"messages": [mail.as_dict() for mail in mailbox.all()]})

    async def failures(request: Request) -> Response:
        if request.method == "DELETE":
            handler.failures.clear()
            return Response(status_code=204)
        try:
            failure = Failure.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"errors": error.errors(include_url=False)}, 422)
        handler.failures.add(failure, failure.times)
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/", list_mails),
            Route("/mails/{id}", show_mail),
            Route("/api/messages", messages, methods=["GET", "DELETE"]),
            Route("/api/failures", failures, methods=["POST", "DELETE"]),
        ]
    )


def linked(text: str) -> Markup:
    """The text as HTML with its addresses as links."""
    parts: list[Markup] = []
    end = 0
    for match in re.finditer(LINK, text):
        parts.append(escape(text[end : match.start()]))
        parts.append(Markup('<a href="{0}" target="_blank" rel="noreferrer">{0}</a>').format(match[0]))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
