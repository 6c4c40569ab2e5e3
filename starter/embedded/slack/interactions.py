"""What Slack sends to an app when somebody clicks or submits: signed, form-encoded, answered within three seconds."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
from slack_sdk.signature import SignatureVerifier

from starter.embedded.slack.methods import Methods
from starter.embedded.slack.shapes import APP_ID, TEAM_DOMAIN, TEAM_ID, Arguments
from starter.embedded.slack.store import Channel, Json, Store, User

PATIENCE = 3.0  # seconds; beyond, Slack shows a warning to whoever clicked


@dataclass(frozen=True)
class Outcome:
    """How the app took it: `problem` is what the person who clicked gets to read."""

    status: int | None
    answer: Json = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Click:
    """A click on a button, or a choice from a menu if `selected` is given."""

    channel: str
    ts: str
    action_id: str
    user: str
    selected: str | None = None


class Interactions:
    """Sends what people do to `url`; without one, clicks lead nowhere and say so."""

    def __init__(self, store: Store, methods: Methods, signing_secret: str, url: str | None) -> None:
        self._store = store
        self._methods = methods
        self._signer = SignatureVerifier(signing_secret)
        self.url = url

    async def click(self, click: Click) -> Outcome:
        """A person clicks on an element of a message."""
        channel, user = self._store.channel(click.channel), self._store.user(click.user)
        message = self._store.message(click.channel, click.ts)
        found = _element(message, click.action_id) if message else None
        if channel is None or user is None or message is None or found is None:
            return Outcome(None, problem="There is no such button any more.")
        block_id, element = found
        return await self._send(
            {
                "type": "block_actions",
                **self._common(user),
                "container": _container(channel, message),
                "channel": {"id": channel.id, "name": channel.name or "directmessage"},
                "message": message,
                "state": {"values": {}},
                "response_url": self._response_url(channel, message, user),
                "actions": [_action(element, block_id, click.selected)],
            }
        )

    async def submit(self, view_id: str, values: Json) -> Outcome:
        """The person who sees the modal submits it; it closes unless the app answers with errors or a new view."""
        opened = self._store.view(view_id)
        user = self._store.user(opened[0]) if opened else None
        if opened is None or user is None:
            return Outcome(None, problem="This dialog is closed already.")
        view = opened[1] | {"state": {"values": values}}
        submission = {"type": "view_submission", **self._common(user), "view": view, "response_urls": []}
        outcome = await self._send(submission)
        if outcome.problem:
            return outcome
        if outcome.answer.get("response_action") == "errors":
            return Outcome(outcome.status, outcome.answer, " ".join(outcome.answer["errors"].values()))
        self._store.close_view(view_id)
        if outcome.answer.get("response_action") in ("update", "push"):
            trigger = self._methods.new_trigger(user.id)
            arguments = Arguments({"trigger_id": trigger, "view": outcome.answer["view"]})
            self._methods.call("views.open", arguments)
        return outcome

    def respond(self, token: str, body: Json) -> Json:
        """What an app sends to a response URL: replaces, deletes, or answers visibly to one person or to all."""
        target = self._store.use_response_url(token)
        if target is None:
            return {"ok": False, "error": "expired_url"}
        arguments = body | {"channel": target["channel"], "ts": target["ts"], "user": target["user_id"]}
        if body.get("delete_original"):
            self._store.delete_message(target["channel"], target["ts"])
            return {"ok": True}
        method = "chat.postEphemeral"
        if body.get("replace_original"):
            method = "chat.update"
        elif body.get("response_type") == "in_channel":
            method = "chat.postMessage"
        return self._methods.call(method, Arguments(arguments))

    def _common(self, user: User) -> Json:
        return {
            "user": {
                "id": user.id,
                "username": user.email.partition("@")[0],
                "name": user.email.partition("@")[0],
                "team_id": TEAM_ID,
            },
            "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
            "api_app_id": APP_ID,
            "token": "verification-tokens-are-deprecated",
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": self._methods.new_trigger(user.id),
        }

    def _response_url(self, channel: Channel, message: Json, user: User) -> str:
        token = secrets.token_urlsafe(24)
        self._store.add_response_url(token, channel.id, message["ts"], user.id)
        return f"{self._methods.base_url}/_response/{token}"

    async def _send(self, payload: Json) -> Outcome:
        if self.url is None:
            return Outcome(None, problem="The stand-in was started without the address of the app.")
        body = urlencode({"payload": json.dumps(payload)})
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": self._signer.generate_signature(timestamp=timestamp, body=body) or "",
        }
        try:
            async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
                response = await client.post(self.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return Outcome(None, problem=f"The app did not answer in time ({type(error).__name__}).")
        if response.status_code != 200:
            return Outcome(response.status_code, problem=f"The app answered with {response.status_code}.")
        return Outcome(200, _json_object(response))


def _json_object(response: httpx.Response) -> Json:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _container(channel: Channel, message: Json) -> Json:
    thread = {"thread_ts": message["thread_ts"]} if "thread_ts" in message else {}
    place = {"type": "message", "message_ts": message["ts"], "channel_id": channel.id}
    return {**place, "is_ephemeral": False, **thread}


def _element(message: Json, action_id: str) -> tuple[str, Json] | None:
    for block in message.get("blocks", []):
        for element in [*block.get("elements", []), block.get("accessory", {})]:
            if element.get("action_id") == action_id:
                return block["block_id"], element
    return None


def _action(element: Json, block_id: str, selected: str | None) -> Json:
    known = ("type", "action_id", "text", "value", "style", "placeholder", "url")
    action = {name: element[name] for name in known if name in element}
    for option in element.get("options", []):
        if option["value"] == selected:
            action["selected_option"] = option
    return action | {"block_id": block_id, "action_ts": f"{time.time():.6f}"}
