"""The Slack stand-in, used through the real slack-sdk."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import httpx
import pytest
from pytest_httpserver import HTTPServer
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient
from werkzeug import Request, Response

from activities.settings import ROOT
from starter.embedded.slack import Click, Failure, SlackServer, slack
from starter.embedded.slack.mrkdwn import EMOJI

BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}, "action_id": "acknowledge"}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def actions(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "block_id": "buttons", "elements": list(buttons)}


@pytest.fixture(scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SlackServer]:
    async with slack(tmp_path_factory.mktemp("slack") / "slack.db") as running:
        yield running


@pytest.fixture
def server(started: SlackServer) -> SlackServer:
    started.clear()
    return started


@pytest.fixture
async def client(server: SlackServer) -> AsyncWebClient:
    return AsyncWebClient(server.token, base_url=server.api_url, retry_handlers=[])


async def test_a_message_is_found_again_by_its_metadata(server: SlackServer, client: AsyncWebClient) -> None:
    """As a sender does that was killed while sending: history with metadata names the message, without it not."""
    user = (await client.users_lookupByEmail(email="Jane.Doe@techcorp.example"))["user"]
    channel = (await client.conversations_open(users=user["id"]))["channel"]["id"]
    posted = await client.chat_postMessage(
        channel=user["id"],
        text="Disconnected",
        blocks=[section("*Disconnected*")],
        metadata={"event_type": "relink", "event_payload": {"delivery_key": "k1"}},
    )
    assert posted["channel"] == channel
    oldest = str(float(posted["ts"]) - 1)
    full = await client.conversations_history(channel=channel, include_all_metadata=True, oldest=oldest, limit=5)
    plain = await client.conversations_history(channel=channel)
    assert [body["metadata"]["event_payload"] for body in full["messages"]] == [{"delivery_key": "k1"}]
    assert "metadata" not in plain["messages"][0]
    assert full["messages"][0]["ts"] == posted["ts"]


async def test_history_is_paged_newest_first_without_replies(client: AsyncWebClient) -> None:
    """Limits and cursors give every message once; replies are in their thread only."""
    channel = (await client.conversations_open(users="UJANE"))["channel"]["id"]
    stamps = [(await client.chat_postMessage(channel=channel, text=f"m{n}"))["ts"] for n in range(3)]
    await client.chat_postMessage(channel=channel, text="reply", thread_ts=stamps[0])
    first = await client.conversations_history(channel=channel, limit=2)
    rest = await client.conversations_history(
        channel=channel, limit=2, cursor=first["response_metadata"]["next_cursor"]
    )
    assert [body["text"] for body in first["messages"]] == ["m2", "m1"]
    assert [(body["text"], body["reply_count"]) for body in rest["messages"]] == [("m0", 1)]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    thread = await client.conversations_replies(channel=channel, ts=stamps[0])
    assert [body["text"] for body in thread["messages"]] == ["m0", "reply"]


async def test_an_update_edits_in_place(client: AsyncWebClient) -> None:
    """Same ts, new content, marked as edited; text alone removes the blocks; metadata stays."""
    metadata = {"event_type": "relink", "event_payload": {"delivery_key": "k"}}
    posted = await client.chat_postMessage(channel="#alerts", text="a", blocks=[section("a")], metadata=metadata)
    where = {"channel": posted["channel"], "ts": posted["ts"]}
    edited = await client.chat_update(**where, text="b", blocks=[section("b")])
    assert edited["message"]["edited"]
    assert edited["message"]["metadata"] == metadata
    plain = await client.chat_update(**where, text="c")
    assert "blocks" not in plain["message"]
    history = await client.conversations_history(channel=posted["channel"])
    assert [(body["ts"], body["text"]) for body in history["messages"]] == [(posted["ts"], "c")]


async def test_everything_survives_a_restart(folder: Path) -> None:
    """Users keep their ids, conversations theirs, messages their place, on the same port."""
    async with slack(folder / "slack.db") as first:
        client = AsyncWebClient(first.token, base_url=first.api_url, retry_handlers=[])
        posted = await client.chat_postMessage(channel="UJANE", text="kept")
    async with slack(folder / "slack.db", port=first.port) as second:
        client = AsyncWebClient(second.token, base_url=second.api_url, retry_handlers=[])
        channel = (await client.conversations_open(users="UJANE"))["channel"]["id"]
        history = await client.conversations_history(channel=channel)
    assert [body["ts"] for body in history["messages"]] == [posted["ts"]]


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("users.lookupByEmail", {"email": "noslack.bob@techcorp.example"}, "users_not_found"),
        ("users.lookupByEmail", {"email": "bob@gmail.com"}, "users_not_found"),
        ("users.info", {"user": "UGONE"}, "user_not_found"),
        ("conversations.open", {"users": "UGONE"}, "user_not_found"),
        ("chat.postMessage", {"channel": "C0NONE", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "#missing", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "UJANE"}, "no_text"),
        ("chat.postMessage", {"channel": "UJANE", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.update", {"channel": "C0NONE", "ts": "1.2", "text": "x"}, "channel_not_found"),
        ("views.open", {"trigger_id": "1.2.3", "view": "{}"}, "invalid_arguments"),
        ("chat.frobnicate", {}, "unknown_method"),
    ],
)
async def test_errors_are_those_of_slack(
    client: AsyncWebClient, method: str, arguments: dict[str, Any], error: str
) -> None:
    """Wrong calls get `ok: false` with Slack's own word for it."""
    with pytest.raises(SlackApiError) as raised:
        await client.api_call(method, json=arguments)
    assert raised.value.response["error"] == error


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([section("x")] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([section("x" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([section("")], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        (
            [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
            "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        ),
        (
            [actions(BUTTON | {"text": {"type": "plain_text", "text": "x" * 76}})],
            "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        ),
        (
            [actions(BUTTON | {"value": "x" * 2001})],
            "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
        ),
        ([actions(BUTTON, BUTTON)], "`action_id` must be unique [json-pointer:/blocks/0/elements]"),
        ([actions(), actions()], "`block_id` must be unique [json-pointer:/blocks]"),
    ],
)
async def test_blocks_beyond_a_limit_are_refused(
    client: AsyncWebClient, blocks: list[dict[str, Any]], problem: str
) -> None:
    """Slack refuses the whole message, naming the place; what is exactly at the limit passes."""
    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel="UJANE", text="x", blocks=blocks)
    assert raised.value.response["error"] == "invalid_blocks"
    assert problem in raised.value.response["errors"]
    at_the_limit = [section("x" * 3000), *[section("x")] * 48, actions(BUTTON | {"value": "x" * 2000})]
    assert (await client.chat_postMessage(channel="UJANE", text="x", blocks=at_the_limit))["ok"]


async def test_a_wrong_token_is_refused(server: SlackServer) -> None:
    """As with a revoked token: invalid_auth, and nothing is posted."""
    stranger = AsyncWebClient("xoxb-wrong", base_url=server.api_url, retry_handlers=[])
    with pytest.raises(SlackApiError, match="invalid_auth"):
        await stranger.chat_postMessage(channel="UJANE", text="x")
    assert [call["response"]["ok"] for call in server.calls("chat.postMessage")] == [False]


async def test_planned_failures(server: SlackServer, client: AsyncWebClient) -> None:
    """429 carries Retry-After, `drop` posts the message and loses the answer, then all is well again."""
    server.fail(Failure(method="chat.postMessage", http_status=429, retry_after=7))
    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel="UJANE", text="limited")
    assert raised.value.response.status_code == 429
    assert raised.value.response.headers["Retry-After"] == "7"
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as control:
        await control.post("/_failures", json={"method": "chat.postMessage", "error": "channel_not_found"})
    with pytest.raises(SlackApiError, match="channel_not_found"):
        await client.chat_postMessage(channel="UJANE", text="failed")
    server.fail(Failure(method="chat.postMessage", drop=True))
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="UJANE", text="dropped")
    await client.chat_postMessage(channel="UJANE", text="fine")
    channel = (await client.conversations_open(users="UJANE"))["channel"]["id"]
    history = await client.conversations_history(channel=channel)
    assert [body["text"] for body in history["messages"]] == ["fine", "dropped"]


async def test_a_click_reaches_the_app_signed(
    server: SlackServer, client: AsyncWebClient, httpserver: HTTPServer
) -> None:
    """The app gets a block_actions payload that slack-sdk verifies, and may use response_url and open a modal, which
    only the person who clicked sees."""
    received: list[tuple[bytes, dict[str, str]]] = []

    def app(request: Request) -> Response:
        received.append((request.get_data(), dict(request.headers)))
        return Response(status=200)

    httpserver.expect_request("/slack/interactions", method="POST").respond_with_handler(app)
    server.send_clicks_to(httpserver.url_for("/slack/interactions"))
    posted = await client.chat_postMessage(
        channel="UJANE", text="x", blocks=[actions(BUTTON | {"value": "incident-1"})]
    )
    outcome = await server.click(
        Click(channel=posted["channel"], ts=posted["ts"], action_id="acknowledge", user="UJANE")
    )
    assert outcome.status == 200
    body, headers = received[0]
    verifier = SignatureVerifier(server.signing_secret)
    assert verifier.is_valid_request(body, headers)
    assert not verifier.is_valid_request(body + b"&forged=1", headers)
    payload = json.loads(parse_qs(body.decode())["payload"][0])
    assert payload["type"] == "block_actions"
    assert payload["user"]["id"] == "UJANE"
    assert payload["container"]["message_ts"] == payload["message"]["ts"] == posted["ts"]
    assert payload["actions"][0]["value"] == "incident-1"
    assert payload["actions"][0]["block_id"] == "buttons"
    await _answer_in_the_thread_of_a_click(client, payload, posted["channel"])
    await _submit_a_modal(server, client, payload, received)


async def _answer_in_the_thread_of_a_click(client: AsyncWebClient, payload: dict[str, Any], channel: str) -> None:
    async with httpx.AsyncClient(timeout=120) as app:
        answer = await app.post(payload["response_url"], json={"replace_original": True, "text": "Acknowledged"})
    assert answer.status_code == 200
    history = await client.conversations_history(channel=channel)
    assert [body["text"] for body in history["messages"]] == ["Acknowledged"]


async def _submit_a_modal(
    server: SlackServer,
    client: AsyncWebClient,
    payload: dict[str, Any],
    received: list[tuple[bytes, dict[str, str]]],
) -> None:
    view = {
        "type": "modal",
        "callback_id": "resolve",
        "private_metadata": "incident-1",
        "title": {"type": "plain_text", "text": "Resolve"},
        "submit": {"type": "plain_text", "text": "Resolve"},
        "blocks": [
            {
                "type": "input",
                "block_id": "note",
                "label": {"type": "plain_text", "text": "Note"},
                "element": {"type": "plain_text_input", "action_id": "text"},
            }
        ],
    }
    opened = await client.views_open(trigger_id=payload["trigger_id"], view=view)
    with pytest.raises(SlackApiError, match="invalid_trigger_id"):  # good for one view only
        await client.views_open(trigger_id=payload["trigger_id"], view=view)
    form = {"note/text": "called <them>", "back": f"/archives/{payload['channel']['id']}"}
    public = (await client.chat_postMessage(channel="#alerts", text="x"))["channel"]
    await client.chat_postMessage(channel="UJOHN", text="x")
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as browser:
        shown = await browser.get(form["back"])
        assert "<dialog" in (await browser.get(f"/archives/{public}?as=UJANE")).text
        assert "<dialog" not in (await browser.get(f"/archives/{public}?as=UJOHN")).text
        assert f'action="/_views/{opened["view"]["id"]}"' in shown.text
        assert (await browser.post(f"/_views/{opened['view']['id']}", data=form)).status_code == 303
        assert "<dialog" not in (await browser.get(form["back"])).text
    submission = json.loads(parse_qs(received[1][0].decode())["payload"][0])
    assert submission["type"] == "view_submission"
    assert submission["view"]["private_metadata"] == "incident-1"
    assert submission["view"]["state"]["values"]["note"]["text"]["value"] == "called <them>"


async def test_dates_are_those_of_the_moment_of_reading(client: AsyncWebClient, server: SlackServer) -> None:
    """`<!date^…>` counts on, as in Slack; this page's zone is UTC."""
    then = int(time.time()) - 3 * 3600
    text = f"<!date^{then}^at {{time}} ({{ago}})|never> <!date^{then + 6 * 3600}^{{ago}}|never> <!date^x^{{ago}}|said>"
    posted = await client.chat_postMessage(channel="UJANE", text=text)
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as browser:
        html = (await browser.get(f"/archives/{posted['channel']}")).text
    assert re.search(r"at \d{1,2}:\d\d [AP]M UTC \(3 hours ago\) 2 hours from now said", html)


def test_the_page_knows_every_emoji_of_our_templates() -> None:
    templates = (ROOT / "templates" / "slack").rglob("*.mrkdwn")
    used = {name for path in templates for name in re.findall(r":([a-z_]+):", path.read_text(encoding="utf-8"))}
    assert "electric_plug" in used
    assert used - set(EMOJI) == set()


async def test_the_page_shows_messages_as_slack_does(server: SlackServer, client: AsyncWebClient) -> None:
    """Formatting, links, emoji, threads and edits are rendered; what customers wrote stays text."""
    text = "*bold* :electric_plug: <https://acme.example/a?b=1&amp;c=2|Open &lt;b&gt;> `a*b` snake_case_name"
    blocks = [section(text), section("&lt;script&gt;alert(1)&lt;/script&gt; <script>"), actions(BUTTON)]
    posted = await client.chat_postMessage(channel="UJANE", text="x", blocks=blocks)
    await client.chat_postMessage(channel=posted["channel"], text="in the thread", thread_ts=posted["ts"])
    await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="x", blocks=blocks)
    link = (await client.chat_getPermalink(channel=posted["channel"], message_ts=posted["ts"]))["permalink"]
    async with httpx.AsyncClient(follow_redirects=True, timeout=120) as browser:
        html = (await browser.get(link)).text
    assert "<b>bold</b> 🔌" in html
    assert 'href="https://acme.example/a?b=1&amp;c=2" target="_blank" rel="noreferrer">Open &lt;b&gt;</a>' in html
    assert "<code>a*b</code> snake_case_name" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &lt;script&gt;" in html
    assert "1 reply" in html
    assert "in the thread" in html
    assert "(edited)" in html
    assert 'name="action_id" value="acknowledge"' in html
