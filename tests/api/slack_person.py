"""Somebody in front of Slack, whose clicks reach the API signed as Slack signs them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import httpx

from activities.db.ledger import CUSTOMER
from starter.embedded.slack import SlackServer
from tests.api.calling import Api

SECRET = "slack-signing-secret"


class Slack:
    """Somebody in front of Slack; `answers` are what they alone get to see."""

    def __init__(self, api: Api, server: SlackServer, user: str, channel: str) -> None:
        self.api, self.server, self.user, self.channel = api, server, user, channel

    async def send(self, payload: dict[str, Any], **headers: str) -> httpx.Response:
        body = urlencode({"payload": json.dumps(payload)}).encode()
        async with self.api.anonymous() as http:
            return await http.post("/slack/interactions", content=body, headers=signed(body) | headers)

    def body_of_click(self, action: str, value: str) -> bytes:
        """What Slack sends for a button, for tests that sign it themselves."""
        payload = {
            "type": "block_actions",
            "user": {"id": self.user},
            "team": {"id": "T1"},
            "channel": {"id": self.channel},
            "trigger_id": "1.1.x",
            "actions": [{"type": "button", "action_id": action, "block_id": "b", "value": value}],
        }
        return urlencode({"payload": json.dumps(payload)}).encode()

    async def click(self, action: str, value: str, *, user: str | None = None, select: bool = False) -> httpx.Response:
        element: dict[str, Any] = {"type": "button", "action_id": action, "block_id": "b", "value": value}
        if select:
            option = {"value": value, "text": {"type": "plain_text", "text": "x"}}
            element = {"type": "static_select", "action_id": action, "block_id": "b", "selected_option": option}
        who = user or self.user
        return await self.send(
            {
                "type": "block_actions",
                "user": {"id": who, "team_id": "T1"},
                "team": {"id": "T1"},
                "container": {"type": "message", "channel_id": self.channel, "message_ts": "1.1"},
                "channel": {"id": self.channel, "name": "directmessage"},
                "trigger_id": self.server.interactions._methods.new_trigger(who),
                "actions": [element],
            }
        )

    async def submit(self, values: dict[str, Any], *, user: str | None = None) -> httpx.Response:
        """Sends the dialog that was opened last."""
        view = self.opened()
        state = {
            block: {"element": entry if isinstance(entry, dict) else {"value": entry}}
            for block, entry in values.items()
        }
        return await self.send(
            {
                "type": "view_submission",
                "user": {"id": user or self.user, "team_id": "T1"},
                "team": {"id": "T1"},
                "view": view | {"id": "V1", "state": {"values": state}},
                "response_urls": [],
            }
        )

    def opened(self) -> dict[str, Any]:
        view = self.server.calls("views.open")[-1]["arguments"]["view"]
        return dict(json.loads(view) if isinstance(view, str) else view)

    async def told(self) -> str:
        """What the person was told last, as soon as there is something."""
        for _ in range(12_000):
            calls = self.server.calls("chat.postEphemeral")
            if calls:
                assert calls[-1]["arguments"]["user"]
                return str(calls[-1]["arguments"]["text"])
            await asyncio.sleep(0.01)
        raise AssertionError("nothing was said")


def chosen(value: str) -> dict[str, Any]:
    return {"type": "static_select", "selected_option": {"value": value}}


def signed(body: bytes, *, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """As https://docs.slack.dev/authentication/verifying-requests-from-slack says, written independently."""
    stamp = str(int(at if at is not None else time.time()))
    mac = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={mac}",
    }


async def mails(slack: Slack, incident: str, template: str = CUSTOMER) -> list[str]:
    query = "select recipient from deliveries where incident_id = $1 and template = $2 order by created_at"
    return [row["recipient"] for row in await slack.api.pool.fetch(query, incident, template)]


def texts(view: dict[str, Any]) -> str:
    return json.dumps(view, ensure_ascii=False)
