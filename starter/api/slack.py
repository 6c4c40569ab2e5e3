"""`POST /slack/interactions`: Slack's buttons and dialogs, by slack-bolt."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Request, Response
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from starter.api import slack_modals as modals
from starter.api.limits import read_body
from starter.api.problems import Problem, answers
from starter.api.resources import Resources
from starter.api.slack_buttons import Act, Buttons, Case, Click, Entered, RefusedError, WrongEntryError

router = APIRouter(tags=["Slack"])
Submit: TypeAlias = Callable[[Case, Entered], Awaitable[str | None]]


@router.post(
    "/slack/interactions",
    summary="Buttons and dialogs in Slack",
    responses=answers(401, 404, 413, 422),
)
async def post_interaction(request: Request) -> Response:
    """Called by Slack: the app's Interactivity request URL. Answered within three seconds, whatever is away."""
    app: AsyncApp | None = request.app.state.slack
    if app is None:
        raise Problem(404, "Slack is not set up here: set RELINK_SLACK_BOT_TOKEN and RELINK_SLACK_SIGNING_SECRET")
    body = await read_body(request)
    if not _is_signed(request.app.state.slack_verifier, body, dict(request.headers)):
        raise Problem(401, "Slack's signature is missing, wrong, or over 5 minutes old")
    try:
        answer = await app.async_dispatch(to_async_bolt_request(request, body))
    except (ValueError, KeyError, TypeError, AttributeError):  # signed by Slack, and yet nothing that we know
        raise Problem(422, "this is no interaction that we know") from None
    if answer.status >= 400:
        raise Problem(422, "this is no interaction that we know")
    return to_starlette_response(answer)


def _is_signed(verifier: SignatureVerifier, body: bytes, headers: dict[str, str]) -> bool:
    try:
        return verifier.is_valid_request(body, headers)
    except (ValueError, TypeError):  # a timestamp that is no number, a body or a signature that is no text
        return False


def add_slack(state: Any, resources: Resources) -> None:
    """Puts the Slack app (None if it is not set up) into an application's state."""
    token, secret = resources.settings.slack_bot_token, resources.settings.slack_signing_secret
    state.slack = state.slack_buttons = None
    if token is None or secret is None:
        return
    bot, signing = token.get_secret_value(), secret.get_secret_value()
    client = AsyncWebClient(bot, base_url=resources.settings.slack_api_url, timeout=10, retry_handlers=[])
    state.slack_verifier = SignatureVerifier(signing)
    state.slack_buttons = Buttons(resources, client)
    state.slack = _app(state.slack_buttons, bot, signing)


def _app(buttons: Buttons, token: str, signing_secret: str) -> AsyncApp:
    async def authorize() -> AuthorizeResult:  # without it, bolt would ask Slack for our own name first
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=token, bot_id="", bot_user_id="")

    app = AsyncApp(
        signing_secret=signing_secret, authorize=authorize, client=AsyncWebClient(), process_before_response=True
    )
    clicks: dict[str, Act] = {
        "acknowledge": buttons.acknowledge,
        "snooze": buttons.snooze,
        "send_fix_instructions": buttons.ask_what_to_send,
        "add_technical_contact": buttons.ask_what_to_send,
        "schedule_tech_call": buttons.ask_whom_to_call,
        "close": buttons.ask_whether_to_close,
    }
    for name, act in clicks.items():
        app.action(name)(_on_click(buttons, act))
    app.action(re.compile(".*"))(_only_acknowledge)  # links, and buttons of other versions
    submits: dict[str, Submit] = {
        "send_fix_instructions": buttons.send,
        "schedule_tech_call": buttons.offer_call,
        "close": buttons.close,
    }
    for name, submit in submits.items():
        app.view(name)(_on_submit(buttons, submit))
    return app


async def _only_acknowledge(ack: AsyncAck) -> None:
    await ack()


def _on_click(buttons: Buttons, act: Act) -> Any:
    async def listener(ack: AsyncAck, body: dict[str, Any], action: dict[str, Any]) -> None:
        chosen = action.get("selected_option") or action
        incident, _, choice = str(chosen.get("value", "")).partition(":")
        click = Click(
            user=body["user"]["id"],
            incident=UUID(incident),
            channel=(body.get("channel") or {}).get("id", ""),
            choice=choice,
            trigger=body.get("trigger_id", ""),
            response_url=body.get("response_url", ""),
        )
        try:
            said = await buttons.take(click, act)
        except RefusedError as refused:
            said = str(refused)
        await ack()
        if said:
            buttons.say(click, said)

    return listener


def _on_submit(buttons: Buttons, submit: Submit) -> Any:
    async def listener(ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        origin, entered = modals.Origin.load(view["private_metadata"]), modals.submitted(view)
        click = Click(user=body["user"]["id"], incident=origin.incident, channel=origin.channel)
        try:
            said = await buttons.take(click, lambda case: submit(case, entered))
        except WrongEntryError as wrong:
            await ack(response_action="errors", errors={wrong.block: str(wrong)})
        except RefusedError as refused:
            await ack(response_action="update", view=modals.message_modal(str(refused)))
        else:
            await ack()
            buttons.say(click, said or "Done.")

    return listener
