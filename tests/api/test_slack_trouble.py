"""Slack's requests when something is away or slow, and forged ones."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from activities.db.pool import create_pool
from starter.api import slack_buttons
from starter.embedded.slack import Failure
from tests.api.calling import Api, with_settings
from tests.api.slack_person import Slack, chosen, signed, texts


def test_we_take_less_time_than_slack_gives() -> None:
    """Three seconds for everything (https://docs.slack.dev/interactivity/handling-user-interaction)."""
    assert slack_buttons._LOOK_UP + slack_buttons._DIALOG < slack_buttons.PATIENCE < 3


async def test_answered_with_the_database_away(dana: Slack) -> None:
    """Kindly, by an ephemeral message, and nothing was changed."""
    incident = str(uuid4())
    with_hole = "postgresql://nobody@127.0.0.1:9/none"
    async with create_pool(with_hole) as pool:
        away = with_settings(replace(dana.api, pool=pool), slack_api_url=dana.server.api_url)
        slack = Slack(away, dana.server, dana.user, dana.channel)
        for action in ("acknowledge", "send_fix_instructions"):
            dana.server.clear()
            assert (await slack.click(action, incident)).status_code == 200
            assert "can't reach its database" in await slack.told()
        submitted = await slack.send(
            {
                "type": "view_submission",
                "user": {"id": dana.user},
                "team": {"id": "T1"},
                "view": {
                    "type": "modal",
                    "callback_id": "close",
                    "private_metadata": json.dumps([incident, dana.channel]),
                    "state": {"values": {"reason": {"reason": chosen("false_alarm")}}},
                },
            }
        )
        assert "can't reach its database" in texts(submitted.json()["view"])
        await away.http.aclose()


async def test_answered_with_a_stuck_database(dana: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that somebody holds for ever: given up in time, and rolled back."""
    monkeypatch.setattr(slack_buttons, "PATIENCE", 0.5)
    incident = await dana.api.incident()
    async with dana.api.pool.acquire() as connection, connection.transaction():
        await connection.execute("select from incidents where id = $1 for update", incident)
        assert (await dana.click("acknowledge", incident)).status_code == 200
        assert "Nothing was changed" in await dana.told()
    assert (await dana.api.show(incident))["acknowledged_at"] is None


async def test_a_slow_slack_does_not_make_us_late(dana: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking Slack who somebody is, and opening dialogs, are given up in time."""
    for limit in ("_LOOK_UP", "_DIALOG"):
        monkeypatch.setattr(slack_buttons, limit, 0.5)
    incident = await dana.api.incident()
    dana.server.fail(Failure(method="users.info", delay=5))
    await dana.click("acknowledge", incident, user="U0NOBODY")
    assert "did not tell us in time" in await dana.told()
    dana.server.clear()
    dana.server.fail(Failure(method="views.open", delay=5))
    await dana.click("close", incident)
    assert "did not let us open" in await dana.told()
    dana.server.clear()
    monkeypatch.setattr(slack_buttons, "_DIALOG", 60)
    dana.server.fail(Failure(method="views.open", error="expired_trigger_id"))
    await dana.click("close", incident)
    assert "did not let us open" in await dana.told()


async def test_only_what_slack_signed_is_taken(dana: Slack) -> None:
    """The corpus: bit flips, age, missing headers, other bodies."""
    incident = await dana.api.incident()
    body = dana.body_of_click("acknowledge", incident)
    good = signed(body)
    signature, stamp = good["x-slack-signature"], good["x-slack-request-timestamp"]
    hexes = signature[3:]
    flipped = [f"v0={hexes[:i]}{'1' if hexes[i] == '0' else '0'}{hexes[i + 1 :]}" for i in (0, 31, 63)]
    stamps = ["", "now", "nan", "1e10", str(int(stamp) + 1)]
    forged: list[tuple[bytes, dict[str, Any]]] = [
        *((body, good | {"x-slack-signature": text}) for text in (*flipped, "", "v0=", hexes, f"v1={hexes}")),
        (body, good | {"x-slack-signature": signature.upper()}),
        (body, good | {"x-slack-signature": "v0=é".encode()}),
        *((body, good | {"x-slack-request-timestamp": text}) for text in stamps),
        *((body, {k: v for k, v in good.items() if k != gone}) for gone in good if gone.startswith("x-")),
        (body, signed(body, at=time.time() - 301)),
        (body, signed(body, at=time.time() + 360)),
        (body, signed(body, secret="another secret")),
        (body + b"&x=1", good),
        (body.replace(b"acknowledge", b"acknowledgf"), good),
        (b"", good),
        (b"\xff", good),
        (b"payload=not json", good),
    ]
    async with dana.api.anonymous() as http:
        for content, headers in forged:
            response = await http.post("/slack/interactions", content=content, headers=headers)
            assert response.status_code == 401, headers
            assert response.headers["content-type"] == "application/problem+json"
        assert (await dana.api.show(incident))["acknowledged_at"] is None
        for content in (
            b"\xff",
            b"payload=not+json",
            b"payload=%7B%7D",
            b"hello=1",
            b"payload=%5B1%5D",
            b"payload=null",
        ):
            response = await http.post("/slack/interactions", content=content, headers=signed(content))
            assert response.status_code in {401, 422}, content
        for value in ("not-a-uuid", ""):
            broken = dana.body_of_click("acknowledge", value)
            response = await http.post("/slack/interactions", content=broken, headers=signed(broken))
            assert response.status_code == 422
        huge = await http.post("/slack/interactions", content=b"x" * (1024 * 1024 + 1), headers=good)
        assert huge.status_code == 413


async def test_where_slack_is_not_set_up_it_says_so(apart: Api) -> None:
    bare = with_settings(apart, slack_bot_token=None)
    async with bare.anonymous() as http:
        response = await http.post("/slack/interactions", content=b"payload=x", headers=signed(b"payload=x"))
    assert response.status_code == 404
    assert "RELINK_SLACK_BOT_TOKEN" in response.json()["detail"]
