"""Slack's buttons and dialogs, by requests signed as Slack signs them, against the Slack stand-in's Web API."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest

from activities.db.ledger import CUSTOMER, TECH_CALL
from activities.db.pool import create_pool
from starter.api.slack_buttons import snooze_end
from starter.embedded.slack import Failure, SlackServer, slack
from tests.api.conftest import Api, with_settings

SECRET = "slack-signing-secret"
CHANNEL = "D0DANA"


@pytest.fixture(scope="module")
async def stand_in(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SlackServer]:
    async with slack(
        tmp_path_factory.mktemp("slack") / "slack.db", token="xoxb-test", signing_secret=SECRET
    ) as running:
        yield running


class Slack:
    """Somebody in front of Slack; `answers` are what they alone get to see."""

    def __init__(self, api: Api, server: SlackServer, user: str, channel: str) -> None:
        self.api, self.server, self.user, self.channel = api, server, user, channel

    async def send(self, payload: dict[str, Any], **headers: str) -> httpx.Response:
        body = urlencode({"payload": json.dumps(payload)}).encode()
        async with self.api.anonymous() as http:
            return await http.post("/slack/interactions", content=body, headers=signed(body) | headers)

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
        for _ in range(200):
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


@pytest.fixture
async def dana(apart: Api, stand_in: SlackServer) -> AsyncIterator[Slack]:
    """The CSM, in her direct channel with us."""
    stand_in.clear()
    user = stand_in.store.user_by_email("dana@acme.example")
    assert user is not None
    await apart.customer(
        csm={
            "name": "Dana Kim",
            "email": "dana@acme.example",
            "slack_user_id": user.id,
            "timezone": "America/New_York",
            "manager": {"name": "Max Boss", "email": "max@acme.example"},
        }
    )
    channel = stand_in.store.direct_channel(user).id
    api = with_settings(apart, slack_api_url=stand_in.api_url, slack_signing_secret=SECRET)
    async with api.http:
        yield Slack(api, stand_in, user.id, channel)


async def mails(slack: Slack, incident: str, template: str = CUSTOMER) -> list[str]:
    query = "select recipient from deliveries where incident_id = $1 and template = $2 order by created_at"
    return [row["recipient"] for row in await slack.api.pool.fetch(query, incident, template)]


async def test_acknowledge_is_the_same_as_in_the_api(dana: Slack) -> None:
    incident = await dana.api.incident()
    response = await dana.click("acknowledge", incident)
    assert (response.status_code, response.text) == (200, "")
    shown = await dana.api.show(incident)
    assert shown["acknowledged_by"] == "Dana Kim"
    assert shown["timeline"][-1]["actor"].startswith("person:")
    assert (await dana.api.doorbells(incident))[-1] == "acknowledged"
    for _ in range(100):
        if dana.api.rung(incident) == 2:
            break
        await asyncio.sleep(0.01)
    assert dana.api.rung(incident) == 2
    assert dana.server.calls("chat.postEphemeral") == []


async def test_a_second_click_is_answered_kindly_and_changes_nothing(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("acknowledge", incident)
    before = await dana.api.timeline(incident)
    await dana.click("acknowledge", incident)
    assert await dana.told() == "You have acknowledged this already, just now. Nothing was changed."
    max_ = dana.server.store.user_by_email("max@acme.example")
    assert max_ is not None
    dana.server.clear()
    await dana.click("acknowledge", incident, user=max_.id)
    assert await dana.told() == "Dana Kim has acknowledged this already, just now. Nothing was changed."
    assert await dana.api.timeline(incident) == before


async def test_two_people_at_once(dana: Slack) -> None:
    """The first wins; the other is told who that was."""
    incident = await dana.api.incident()
    max_ = dana.server.store.user_by_email("max@acme.example")
    assert max_ is not None
    answers = await asyncio.gather(
        dana.click("acknowledge", incident), dana.click("acknowledge", incident, user=max_.id)
    )
    assert {a.status_code for a in answers} == {200}
    assert "acknowledged this already" in await dana.told()
    assert (await dana.api.timeline(incident)).count("acknowledged") == 1


async def test_people_who_may_not_are_told_who_may(dana: Slack) -> None:
    incident = await dana.api.incident()
    stranger = dana.server.store.user_by_email("stranger@acme.example")
    assert stranger is not None
    before = await dana.api.timeline(incident)
    for action in ("acknowledge", "send_fix_instructions", "schedule_tech_call", "close"):
        dana.server.clear()
        assert (await dana.click(action, incident, user=stranger.id)).status_code == 200
        assert "Only Dana Kim (CSM), Max Boss (the CSM's manager), CS leadership" in await dana.told()
        assert dana.server.calls("views.open") == []
    await dana.click("snooze", f"{incident}:1h", user=stranger.id, select=True)
    assert await dana.api.timeline(incident) == before


async def test_somebody_known_by_address_only_may(dana: Slack) -> None:
    """The manager has no Slack id on file: Slack is asked for their address, and the timeline knows who it was."""
    incident = await dana.api.incident()
    max_ = dana.server.store.user_by_email("max@acme.example")
    assert max_ is not None
    await dana.click("acknowledge", incident, user=max_.id)
    shown = await dana.api.show(incident)
    assert shown["acknowledged_by"] == "Max Boss"
    people = (await dana.api.http.get(f"/v1/customers/{dana.api.name}")).json()
    assert shown["timeline"][-1]["actor"] == f"person:{people['csm']['manager']['id']}"


async def test_leadership_of_the_policy_may(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.api.pool.execute(
        "update incidents set policy = jsonb_set(policy, '{people,cs_leadership}', $2) where id = $1",
        incident,
        {"slack": "", "email": "vp@acme.example"},
    )
    boss = dana.server.store.user_by_email("vp@acme.example")
    assert boss is not None
    await dana.click("acknowledge", incident, user=boss.id)
    assert (await dana.api.show(incident))["acknowledged_by"] == "vp@acme.example"


@pytest.mark.parametrize("action", ["acknowledge", "send_fix_instructions", "schedule_tech_call", "close"])
async def test_old_messages_of_closed_incidents(dana: Slack, action: str) -> None:
    incident = await dana.api.incident()
    await dana.api.act(incident, "resolve", reason="false_alarm")
    assert (await dana.click(action, incident)).status_code == 200
    assert "over already" in await dana.told()


async def test_an_incident_that_is_not_known_any_more(dana: Slack) -> None:
    assert (await dana.click("acknowledge", str(uuid4()))).status_code == 200
    assert "does not know this incident" in await dana.told()


async def test_snooze_by_menu(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("snooze", f"{incident}:4h", select=True)
    until = datetime.fromisoformat((await dana.api.show(incident))["snoozed_until"])
    assert timedelta(hours=3, minutes=59) < until - datetime.now(UTC) <= timedelta(hours=4)
    assert (await dana.told()).startswith("Snoozed until ")


def test_tomorrow_is_nine_in_the_morning_where_that_person_lives() -> None:
    now = datetime(2026, 1, 30, 3, 0, tzinfo=UTC)  # still the 29th in New York
    assert snooze_end("tomorrow", "America/New_York", now) == datetime(2026, 1, 30, 14, 0, tzinfo=UTC)
    assert snooze_end("tomorrow", None, now) == datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
    assert snooze_end("1h", "America/New_York", now) == now + timedelta(hours=1)
    spring = datetime(2026, 3, 7, 20, 0, tzinfo=UTC)  # the clocks change in that night
    assert snooze_end("tomorrow", "America/New_York", spring) == datetime(2026, 3, 8, 13, 0, tzinfo=UTC)


async def test_the_status_button_is_a_link_and_only_acknowledged(dana: Slack) -> None:
    for action in ("view_integration_status", "something_new"):
        assert (await dana.click(action, str(uuid4()))).status_code == 200


def texts(view: dict[str, Any]) -> str:
    return json.dumps(view, ensure_ascii=False)


async def test_send_fix_instructions_first_says_what_was_sent(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("send_fix_instructions", incident)
    first = dana.opened()
    assert "Nothing was sent to the customer yet." in texts(first)
    assert (first["submit"]["text"], first["callback_id"]) == ("Send", "send_fix_instructions")
    bob = next(b for b in first["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]
    assert bob["text"]["text"] == "Bob Smith (IT Admin)"
    response = await dana.submit({"contact": chosen(bob["value"]), "email": None, "name": None})
    assert (response.status_code, response.text) == (200, "")
    assert await dana.told() == "The fix instructions are on their way."
    assert await mails(dana, incident) == ["bob@techcorp.example"]
    await dana.api.pool.execute(
        "update deliveries set status = 'sent', sent_at = now() - interval '20 minutes',"
        " created_at = now() - interval '20 minutes' where incident_id = $1 and channel = 'email'",
        incident,
    )
    await dana.click("send_fix_instructions", incident)
    again = dana.opened()
    assert "Sent to Bob Smith 20 minutes ago, not opened yet." in texts(again)
    assert again["submit"]["text"] == "Send again"
    await dana.api.pool.execute("update deliveries set opened_at = now() where incident_id = $1", incident)
    await dana.click("send_fix_instructions", incident)
    assert "Sent to Bob Smith 20 minutes ago, opened just now." in texts(dana.opened())


async def test_a_dialog_that_is_sent_twice_mails_once(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("send_fix_instructions", incident)
    option = next(b for b in dana.opened()["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]
    for _ in range(2):
        assert (await dana.submit({"contact": chosen(option["value"])})).text == ""
    assert await mails(dana, incident) == ["bob@techcorp.example"]


async def test_a_contact_is_added_in_the_dialog(dana: Slack) -> None:
    """The CSM's message of a customer without a contact offers it (issue 3)."""
    incident = await dana.api.incident()
    await dana.api.customer(technical_contacts=[], csm={"name": "Dana", "slack_user_id": dana.user})
    await dana.click("add_technical_contact", incident)
    assert "no technical contact" in texts(dana.opened())
    wrong = await dana.submit({"email": "not an address", "name": "Ida"})
    assert wrong.json()["response_action"] == "errors"
    assert list(wrong.json()["errors"]) == ["email"]
    nothing = await dana.submit({"email": None, "name": None})
    assert list(nothing.json()["errors"]) == ["email"]
    assert await mails(dana, incident) == []
    assert (await dana.submit({"email": "ida@techcorp.example", "name": "Ida"})).text == ""
    assert await mails(dana, incident) == ["ida@techcorp.example"]
    contacts = (await dana.api.http.get(f"/v1/customers/{dana.api.name}")).json()["technical_contacts"]
    assert [(c["name"], c["email"]) for c in contacts] == [("Ida", "ida@techcorp.example")]


async def test_a_call_is_offered_after_a_question(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("schedule_tech_call", incident)
    assert await mails(dana, incident, TECH_CALL) == []
    option = next(b for b in dana.opened()["blocks"] if b.get("block_id") == "contact")["element"]["options"][0]
    await dana.submit({"contact": chosen(option["value"])})
    assert await mails(dana, incident, TECH_CALL) == ["bob@techcorp.example"]


async def test_closing_is_asked_for_first(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("close", incident)
    assert (await dana.api.show(incident))["status"] == "open"
    radio = next(b for b in dana.opened()["blocks"] if b.get("block_id") == "reason")["element"]
    assert radio["initial_option"]["value"] == "no_longer_used"
    assert (await dana.submit({"reason": chosen("no_longer_used")})).text == ""
    shown = await dana.api.show(incident)
    assert (shown["status"], shown["resolution"]) == ("closed", "no_longer_used")
    late = await dana.submit({"reason": chosen("false_alarm")})
    assert late.json()["response_action"] == "update"
    assert "over already" in texts(late.json()["view"])


async def test_a_stranger_cannot_send_a_dialog(dana: Slack) -> None:
    incident = await dana.api.incident()
    await dana.click("close", incident)
    stranger = dana.server.store.user_by_email("stranger@acme.example")
    assert stranger is not None
    answer = (await dana.submit({"reason": chosen("false_alarm")}, user=stranger.id)).json()
    assert "Only Dana Kim (CSM)" in texts(answer["view"])
    assert (await dana.api.show(incident))["status"] == "open"


async def test_hostile_names_stay_text(dana: Slack) -> None:
    hostile = "<!channel> *bold* <https://evil.example|click>"
    await dana.api.customer(name=hostile, csm={"name": hostile, "slack_user_id": dana.user})
    await dana.api.integration(display_name=hostile)
    incident = await dana.api.incident()
    await dana.click("close", incident)
    assert "<!channel>" not in texts(dana.opened())
    assert "<https" not in texts(dana.opened())


async def test_answered_within_three_seconds_with_the_database_away(dana: Slack) -> None:
    """Kindly, by an ephemeral message, and nothing was changed."""
    incident = str(uuid4())
    with_hole = "postgresql://nobody@127.0.0.1:9/none"
    async with create_pool(with_hole) as pool:
        away = with_settings(replace(dana.api, pool=pool), slack_api_url=dana.server.api_url)
        slack = Slack(away, dana.server, dana.user, dana.channel)
        for action in ("acknowledge", "send_fix_instructions"):
            dana.server.clear()
            begun = time.monotonic()
            assert (await slack.click(action, incident)).status_code == 200
            assert time.monotonic() - begun < 2.8
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


async def test_answered_within_three_seconds_with_a_stuck_database(dana: Slack) -> None:
    """A lock that somebody holds for ever: given up in time, and rolled back."""
    incident = await dana.api.incident()
    async with dana.api.pool.acquire() as connection, connection.transaction():
        await connection.execute("select from incidents where id = $1 for update", incident)
        begun = time.monotonic()
        assert (await dana.click("acknowledge", incident)).status_code == 200
        assert time.monotonic() - begun < 2.8
        assert "Nothing was changed" in await dana.told()
    assert (await dana.api.show(incident))["acknowledged_at"] is None


async def test_a_slow_slack_does_not_make_us_late(dana: Slack) -> None:
    """Asking Slack who somebody is, and opening dialogs, are given up in time."""
    incident = await dana.api.incident()
    dana.server.fail(Failure(method="users.info", delay=5))
    begun = time.monotonic()
    await dana.click("acknowledge", incident, user="U0NOBODY")
    assert time.monotonic() - begun < 2.8
    assert "did not tell us in time" in await dana.told()
    dana.server.clear()
    dana.server.fail(Failure(method="views.open", delay=5))
    begun = time.monotonic()
    await dana.click("close", incident)
    assert time.monotonic() - begun < 2.8
    assert "did not let us open" in await dana.told()
    dana.server.clear()
    dana.server.fail(Failure(method="views.open", error="expired_trigger_id"))
    await dana.click("close", incident)
    assert "did not let us open" in await dana.told()


async def test_only_what_slack_signed_is_taken(dana: Slack) -> None:
    """The corpus: bit flips, age, missing headers, other bodies."""
    incident = await dana.api.incident()
    payload = {
        "type": "block_actions",
        "user": {"id": dana.user},
        "team": {"id": "T1"},
        "channel": {"id": dana.channel},
        "trigger_id": "1.1.x",
        "actions": [{"type": "button", "action_id": "acknowledge", "block_id": "b", "value": incident}],
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
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
        (body, signed(body, at=time.time() + 301)),
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
            broken = urlencode({"payload": json.dumps(payload).replace(incident, value)}).encode()
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
