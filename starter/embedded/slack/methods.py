"""The methods of Slack's Web API that Relink uses, answering as https://docs.slack.dev/reference/methods says."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping

from starter.embedded.slack.shapes import (
    APP_ID,
    BOT_ID,
    BOT_USER_ID,
    TEAM_ID,
    Arguments,
    SlackError,
    content,
    metadata,
    new_message,
    profile,
    view_of,
    with_ids,
)
from starter.embedded.slack.store import Channel, Json, Store, User, micros

TRIGGER_SECONDS = 3  # how long Slack lets an app open a modal after a click
_LATEST = 2**62


class Methods:
    """The methods by name. `base_url` is where the pages of the stand-in are, once known."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._triggers: dict[str, tuple[str, float]] = {}
        self.base_url = ""
        self._methods: Mapping[str, Callable[[Arguments], Json]] = {
            "api.test": lambda arguments: {"args": arguments.values},
            "auth.test": self._auth_test,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.postMessage": self._post_message,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.open": self._open,
            "conversations.replies": self._replies,
            "users.info": self._user_info,
            "users.lookupByEmail": self._look_up,
            "views.open": self._view_open,
            "views.update": self._view_update,
        }

    def call(self, method: str, arguments: Arguments) -> Json:
        """Answers a call; never raises for what the caller did wrong."""
        known = self._methods.get(method)
        if known is None:
            return SlackError("unknown_method").answer
        try:
            return {"ok": True, **known(arguments)}
        except SlackError as error:
            return error.answer

    def new_trigger(self, user_id: str) -> str:
        """A trigger id: with it the app may open one modal for that person within three seconds."""
        trigger = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[trigger] = (user_id, time.monotonic() + TRIGGER_SECONDS)
        return trigger

    def _auth_test(self, _: Arguments) -> Json:
        return {
            "url": f"{self.base_url}/",
            "team": "Relink (local)",
            "team_id": TEAM_ID,
            "user": "relink",
            "user_id": BOT_USER_ID,
            "bot_id": BOT_ID,
            "is_enterprise_install": False,
        }

    def _look_up(self, arguments: Arguments) -> Json:
        user = self._store.user_by_email(arguments.text("email"))
        if user is None:
            raise SlackError("users_not_found")
        return {"user": profile(user)}

    def _user_info(self, arguments: Arguments) -> Json:
        return {"user": profile(self._user(arguments.text("user")))}

    def _open(self, arguments: Arguments) -> Json:
        names = [name for name in arguments.text("users").split(",") if name]
        if len(names) != 1:
            raise SlackError("not_enough_users" if not names else "method_not_supported_for_channel_type")
        channel = self._store.direct_channel(self._user(names[0]))
        full = {"is_im": True, "user": channel.user_id} if arguments.flag("return_im") else {}
        return {"channel": {"id": channel.id, **full}}

    def _history(self, arguments: Arguments) -> Json:
        channel = self._channel(arguments.text("channel"))
        limit = max(1, min(arguments.number("limit", 100), 999))
        shift = 1 if arguments.flag("inclusive") else 0
        latest = micros(arguments.text("latest")) + shift if arguments.text("latest") else _LATEST
        found = self._store.history(
            channel.id,
            oldest=micros(arguments.text("oldest")) - shift,
            latest=min(latest, micros(arguments.text("cursor")) or _LATEST),
            limit=limit + 1,
        )
        return self._page(found, limit, arguments)

    def _replies(self, arguments: Arguments) -> Json:
        channel = self._channel(arguments.text("channel"))
        parent = self._store.message(channel.id, arguments.text("ts"))
        if parent is None:
            raise SlackError("thread_not_found")
        return self._page([parent, *self._store.replies(channel.id, parent["ts"])], 1000, arguments)

    def _page(self, found: list[Json], limit: int, arguments: Arguments) -> Json:
        shown = found[:limit]
        if not arguments.flag("include_all_metadata"):
            shown = [{name: value for name, value in body.items() if name != "metadata"} for body in shown]
        more = len(found) > limit
        cursor = {"response_metadata": {"next_cursor": shown[-1]["ts"]}} if more else {}
        return {"messages": shown, "has_more": more, **cursor}

    def _post_message(self, arguments: Arguments) -> Json:
        channel = self._destination(arguments.text("channel"))
        body = new_message(arguments)
        parent = arguments.text("thread_ts")
        # A reply to what is gone (or never was) becomes a message of its own, silently, as at Slack.
        if parent and self._store.message(channel.id, parent):
            body["thread_ts"] = parent
        stored = self._store.add_message(channel.id, body)
        return {"channel": channel.id, "ts": stored["ts"], "message": stored}

    def _post_ephemeral(self, arguments: Arguments) -> Json:
        channel = self._destination(arguments.text("channel"))
        user = self._user(arguments.text("user"))
        body = self._store.add_message(channel.id, new_message(arguments), ephemeral_to=user.id)
        return {"message_ts": body["ts"]}

    def _update(self, arguments: Arguments) -> Json:
        channel = self._channel(arguments.text("channel"))
        before = self._store.message(channel.id, arguments.text("ts"))
        if before is None:
            raise SlackError("message_not_found")
        after = before | content(arguments) | metadata(arguments)
        if "text" in arguments.values and "blocks" not in arguments.values:
            after.pop("blocks", None)  # "if text is provided and blocks are not, the blocks will be removed"
        after["edited"] = {"user": BOT_USER_ID, "ts": f"{time.time():.6f}"}
        self._store.replace_message(channel.id, before["ts"], after)
        return {"channel": channel.id, "ts": before["ts"], "text": after["text"], "message": after}

    def _delete(self, arguments: Arguments) -> Json:
        channel = self._channel(arguments.text("channel"))
        ts = arguments.text("ts")
        if self._store.message(channel.id, ts) is None:
            raise SlackError("message_not_found")
        self._store.delete_message(channel.id, ts)
        return {"channel": channel.id, "ts": ts}

    def _permalink(self, arguments: Arguments) -> Json:
        channel = self._channel(arguments.text("channel"))
        ts = arguments.text("message_ts")
        if self._store.message(channel.id, ts) is None:
            raise SlackError("message_not_found")
        link = f"{self.base_url}/archives/{channel.id}/p{ts.replace('.', '')}"
        return {"channel": channel.id, "permalink": link}

    def _view_open(self, arguments: Arguments) -> Json:
        view = view_of(arguments)
        user_id, expires_at = self._triggers.pop(arguments.text("trigger_id"), ("", 0.0))
        if not user_id:
            raise SlackError("invalid_trigger_id")
        if time.monotonic() > expires_at:
            raise SlackError("expired_trigger_id")
        return {"view": self._save_view(user_id, view, f"V{secrets.token_hex(5).upper()}")}

    def _view_update(self, arguments: Arguments) -> Json:
        view = view_of(arguments)
        opened = self._store.view(arguments.text("view_id"))
        if opened is None:
            raise SlackError("not_found")
        return {"view": self._save_view(opened[0], view, opened[1]["id"])}

    def _save_view(self, user_id: str, view: Json, view_id: str) -> Json:
        identity = {"id": view_id, "root_view_id": view_id, "hash": f"{time.time():.0f}.{secrets.token_hex(4)}"}
        owner = {"team_id": TEAM_ID, "app_id": APP_ID, "bot_id": BOT_ID, "state": {"values": {}}}
        stored = {"private_metadata": "", "callback_id": "", **view, **identity, **owner}
        stored["blocks"] = with_ids(stored["blocks"])
        self._store.save_view(user_id, stored)
        return stored

    def _user(self, user_id: str) -> User:
        user = self._store.user(user_id)
        if user is None:
            raise SlackError("user_not_found")
        return user

    def _channel(self, channel_id: str) -> Channel:
        channel = self._store.channel(channel_id)
        if channel is None:
            raise SlackError("channel_not_found")
        return channel

    def _destination(self, name: str) -> Channel:
        """Where chat.postMessage writes to: a conversation by its id, a user, or `#channel`."""
        if re.fullmatch(r"[UW][A-Z0-9]+", name):
            user = self._store.user(name)
            found = self._store.direct_channel(user) if user else None
        elif re.fullmatch(r"[CDG][A-Z0-9]+", name):
            found = self._store.channel(name)
        else:
            found = self._store.named_channel(name)
        if found is None:
            raise SlackError("channel_not_found")
        return found
