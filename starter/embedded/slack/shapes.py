"""Slack's objects and the arguments of its calls, read and written as Slack does."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from starter.embedded.slack import blocks
from starter.embedded.slack.store import Json, User

TEAM_ID = "T0RELINK00"
APP_ID = "A0RELINK00"
BOT_ID = "B0RELINK00"
BOT_USER_ID = "U0RELINK00"
TEAM_DOMAIN = "relink-local"
SCOPES = "chat:write,im:write,im:history,channels:history,users:read,users:read.email"


class SlackError(Exception):
    """An answer of `ok: false`."""

    def __init__(self, error: str, problems: list[str] | None = None) -> None:
        super().__init__(error)
        self.answer: Json = {"ok": False, "error": error}
        if problems:
            messages = [f"[ERROR] {problem}" for problem in problems]
            self.answer |= {"errors": problems, "response_metadata": {"messages": messages}}


class Arguments:
    """The arguments of one call, whether sent as JSON, as a form or in the query."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def text(self, name: str) -> str:
        """A text, empty if absent."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else str(value)

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.values.get(name, default))
        except (TypeError, ValueError):
            raise SlackError("invalid_arguments", [f"invalid number [json-pointer:/{name}]"]) from None

    def flag(self, name: str) -> bool:
        return str(self.values.get(name, "")).lower() in ("1", "true")

    def structure(self, name: str, error: str) -> Any:
        """A JSON value, which a form carries as text; None if absent. Raises SlackError if it is not JSON."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise SlackError(error) from None


def profile(user: User) -> Json:
    """A user as users.info shows one."""
    return {
        "id": user.id,
        "team_id": TEAM_ID,
        "name": user.email.partition("@")[0],
        "real_name": user.real_name,
        "tz": "Etc/UTC",
        "deleted": False,
        "is_bot": False,
        "profile": {
            "email": user.email,
            "real_name": user.real_name,
            "display_name": user.real_name,
            "team": TEAM_ID,
        },
    }


def with_ids(parts: list[Json]) -> list[Json]:
    """The blocks with an id each, as Slack gives to those without, and to their elements likewise."""
    named: list[Json] = []
    for part in parts:
        block = {"block_id": secrets.token_urlsafe(4), **part}
        if isinstance(block.get("elements"), list) and block["type"] == "actions":
            block["elements"] = [{"action_id": secrets.token_urlsafe(4), **element} for element in block["elements"]]
        named.append(block)
    return named


def new_message(arguments: Arguments) -> Json:
    """A message from the app. Raises SlackError if it has neither text nor blocks, or what it has is refused."""
    body = content(arguments)
    if not body.get("text") and not body.get("blocks"):
        raise SlackError("no_text")
    author = {"type": "message", "user": BOT_USER_ID, "bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID}
    return {**author, "text": "", **body, **metadata(arguments)}


def content(arguments: Arguments) -> Json:
    """The text and the blocks of a message, as far as given. Raises SlackError beyond Slack's limits."""
    body: Json = {}
    if "text" in arguments.values:
        body["text"] = arguments.text("text")
        if len(body["text"]) > blocks.MAX_TEXT:
            raise SlackError("msg_too_long")
    found = arguments.structure("blocks", "invalid_blocks_format")
    if found is not None:
        if problems := blocks.problems_of_message(found):
            raise SlackError("invalid_blocks", problems)
        body["blocks"] = with_ids(found)
    return body


def metadata(arguments: Arguments) -> Json:
    """The metadata of a message, if given. Raises SlackError unless it has a type and an object as payload."""
    found = arguments.structure("metadata", "invalid_metadata_format")
    if found is None:
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("event_payload", {}), dict):
        raise SlackError("invalid_metadata_format")
    if found and not found.get("event_type"):
        raise SlackError("invalid_metadata_schema")
    return {"metadata": found}


def view_of(arguments: Arguments) -> Json:
    """The modal of a call. Raises SlackError beyond Slack's limits."""
    view = arguments.structure("view", "invalid_arguments")
    if problems := blocks.problems_of_view(view):
        raise SlackError("invalid_arguments", problems)
    return dict(view)
