"""Slack: sends what the ledger intends, at most one visible message each, and keeps the CSM's message up to date."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from activities.db.ledger import ALERT, ENGINEERING, ESCALATION, NOTE, Claim, Ledger
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.db.views import ViewLoader, person_for
from activities.links import Links
from activities.rendering import Renderer
from activities.views import IncidentView, Person, SlackMessage
from workflows.contracts import Told
from workflows.domain.policy import Policy

GIVE_UP_AFTER = timedelta(minutes=10)  # then the same news goes by email
_BACKOFF = (2, 5, 10, 20, 40, 60)  # seconds between attempts at one message

# https://docs.slack.dev/reference/methods/chat.postMessage#errors: these pass by themselves.
_PASSING = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_LATER = timedelta(minutes=1)  # until a look for doubles that Slack did not take is tried again
_IS_USER = re.compile(r"[UW][A-Z0-9]{2,}")
_UNREACHABLE = (aiohttp.ClientError, OSError, TimeoutError, asyncio.TimeoutError)


class NoSlackUserError(Exception):
    """Nobody in this workspace has that address."""


class NotNowError(Exception):
    """Slack does not take it now; `retry_after` is what it asked for, if anything."""

    def __init__(self, retry_after: timedelta | None) -> None:
        super().__init__("not now")
        self.retry_after = retry_after


class SlackSender:
    """`client` is None where no bot token is set: then everybody is told by email."""

    def __init__(
        self,
        client: AsyncWebClient | None,
        pool: Pool,
        ledger: Ledger,
        views: ViewLoader,
        render: Renderer,
        links: Links,
    ) -> None:
        self._client, self._pool, self._ledger = client, pool, ledger
        self._views, self._render, self._links = views, render, links

    @property
    def is_configured(self) -> bool:
        return self._client is not None

    async def send(self, claim: Claim, now: datetime) -> Told:
        """Sends one claimed message. FAILED means that Slack will not take it: tell the person another way."""
        if self._client is None:
            return await self._ledger.settle(claim, Told.FAILED, now, error="no Slack bot token is set")
        try:
            channel, thread, message = await self._compose(self._client, claim, now)
            # An earlier attempt may have posted it and lost the answer, or died.
            posted = None
            if claim.attempts > 1:
                posted = next(
                    iter(await self._copies(self._client, claim.key, claim.created_at, channel, thread)), None
                )
            if posted is None:
                if not await self._ledger.hand_over(claim):
                    return Told.PENDING  # this attempt took too long, and another one has the message now
                posted = await self._post(self._client, claim, channel, thread, message)
        except NoAnchorError as error:
            return await self._ledger.suppress(claim, str(error))
        except NoSlackUserError as error:
            return await self._ledger.settle(claim, Told.FAILED, now, error=str(error))
        except SlackApiError as error:
            return await self._refused(claim, now, error.response)
        except _UNREACHABLE as error:
            return await self._later(claim, now, f"Slack is unreachable: {type(error).__name__}", None)
        return await self._ledger.settle(claim, Told.SENT, now, external_id=f"{channel}:{posted}")

    async def refresh(self, incident: UUID, now: datetime) -> None:
        """Edits the CSM's message so that it says how things stand. Harmless when repeated.

        Raises NotNowError if Slack does not take it now. What will never be taken (the message was deleted, the channel
        archived) is let go.
        """
        anchor = await self._anchor(incident)
        if self._client is None or anchor is None or anchor["status"] != "sent":
            return
        view = await self._views.load(incident)
        await self.edit(anchor["delivery_key"], anchor["external_id"], self._alert(view, now, view.csm or Person()))

    async def edit(self, key: str, where: str, message: SlackMessage) -> None:
        """Lets a message that was sent, at `where` (`channel:ts`), say this instead. As `refresh`."""
        if self._client is None:
            return
        channel, ts = where.split(":")
        try:
            await self._client.chat_update(
                channel=channel, ts=ts, text=message.text, blocks=list(message.blocks), metadata=_metadata(key)
            )
        except SlackApiError as error:
            if _passes(error.response):
                raise NotNowError(_retry_after(error.response)) from None
        except _UNREACHABLE:
            raise NotNowError(None) from None

    async def _compose(
        self, client: AsyncWebClient, claim: Claim, now: datetime
    ) -> tuple[str, str | None, SlackMessage]:
        if claim.wording is not None and claim.wording.slack is not None:
            return await self._channel(client, claim.recipient), None, claim.wording.slack
        view, policy = await self._views.load_with_policy(claim.incident_id)
        person = person_for(claim.role, view, policy, claim.person_id) or Person(slack=claim.recipient)
        if claim.template == NOTE:
            anchor = await self._anchor(claim.incident_id, claim.details.get("below"))
            if anchor is None or anchor["status"] != "sent":
                raise NoAnchorError("there is no Slack message to answer to")
            channel, ts = anchor["external_id"].split(":")
            details = _with_names(claim.details, view, policy)
            note = self._render.csm_note(view, kind=claim.details["kind"], details=details, now=now, reader=person)
            return channel, ts, note
        channel = await self._channel(client, claim.recipient)
        return channel, None, self._message(claim, view, now, person)

    def _message(self, claim: Claim, view: IncidentView, now: datetime, reader: Person) -> SlackMessage:
        status_url = self._links.status(view.integration_health_id, now)
        match claim.template:
            case t if t == ALERT:
                return self._alert(view, now, reader)
            case t if t == ESCALATION:
                return self._render.escalation(view, role=claim.role, now=now, reader=reader, status_url=status_url)
            case t if t == ENGINEERING:
                return self._render.engineering_page(view, now=now, reader=reader, status_url=status_url)
        raise AssertionError(f"no Slack message for {claim.template}")

    def _alert(self, view: IncidentView, now: datetime, reader: Person) -> SlackMessage:
        status_url = self._links.status(view.integration_health_id, now)
        return self._render.csm_alert(view, now=now, reader=reader, status_url=status_url)

    async def _channel(self, client: AsyncWebClient, recipient: str) -> str:
        if "@" in recipient:
            recipient = await self._user_id(client, recipient)
        if not _IS_USER.fullmatch(recipient):
            return recipient
        opened = await client.conversations_open(users=recipient)
        return str(opened["channel"]["id"])

    async def _user_id(self, client: AsyncWebClient, email: str) -> str:
        try:
            found = await client.users_lookupByEmail(email=email)
        except SlackApiError as error:
            if _code(error.response) == "users_not_found":
                raise NoSlackUserError("no Slack user has this address") from None
            raise
        return str(found["user"]["id"])

    async def _post(
        self, client: AsyncWebClient, claim: Claim, channel: str, thread: str | None, message: SlackMessage
    ) -> str:
        posted = await client.chat_postMessage(
            channel=channel,
            thread_ts=thread,
            text=message.text,
            blocks=list(message.blocks),
            metadata=_metadata(claim.key),
            unfurl_links=False,
            unfurl_media=False,
        )
        return str(posted["ts"])

    async def take_back_late(self, incident: UUID | None, now: datetime) -> None:
        """Deletes what an earlier attempt's request made of a message after all, once another one stands for it; of an
        incident's messages, or (None) of those that belong to none.

        Two can exist only if a request was still on its way when its sender was given up and looked for.
        """
        for row in await self._ledger.late(incident, now):
            again = None
            try:
                if self._client is not None and row["external_id"]:
                    await self._take_back(self._client, row)
            except SlackApiError as error:
                again = _LATER if _passes(error.response) else None
            except _UNREACHABLE:
                again = _LATER
            await self._ledger.looked_again(row["delivery_key"], now, again_after=again)

    async def _take_back(self, client: AsyncWebClient, row: asyncpg.Record) -> None:
        channel, stands = row["external_id"].split(":")
        thread = None
        if row["template"] == NOTE and (anchor := await self._anchor(row["incident_id"], row["details"].get("below"))):
            thread = anchor["external_id"].split(":")[1]
        for ts in await self._copies(client, row["delivery_key"], row["created_at"], channel, thread):
            if ts != stands:
                await client.chat_delete(channel=channel, ts=ts)

    async def _copies(
        self, client: AsyncWebClient, key: str, since: datetime, channel: str, thread: str | None
    ) -> list[str]:
        """The messages with this delivery key."""
        oldest = str((since - timedelta(minutes=1)).timestamp())
        found: list[str] = []
        cursor = None
        while True:
            options: dict[str, Any] = {
                "channel": channel, "oldest": oldest, "limit": 200, "include_all_metadata": True, "cursor": cursor,
            }  # fmt: skip
            page = await (
                client.conversations_replies(ts=thread, **options)
                if thread
                else client.conversations_history(**options)
            )
            for message in page["messages"]:
                payload = message.get("metadata", {}).get("event_payload", {})
                if payload.get("delivery_key") == key:
                    found.append(str(message["ts"]))
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return found

    async def _refused(self, claim: Claim, now: datetime, response: AsyncSlackResponse) -> Told:
        if _passes(response):
            return await self._later(claim, now, _code(response), _retry_after(response))
        return await self._ledger.settle(claim, Told.FAILED, now, error=_code(response))

    async def _later(self, claim: Claim, now: datetime, error: str, retry_after: timedelta | None) -> Told:
        if now - claim.created_at > GIVE_UP_AFTER:
            return await self._ledger.settle(claim, Told.FAILED, now, error=error)
        backoff = timedelta(seconds=_BACKOFF[min(claim.attempts, len(_BACKOFF)) - 1])
        return await self._ledger.retry_later(claim, now, retry_after or backoff, error)

    async def _anchor(self, incident: UUID, below: str | None = None) -> asyncpg.Record | None:
        """The message that a reply stands below: the named one, else the CSM's alert."""
        if below is not None:
            return await self._pool.fetchrow(queries("deliveries")["by_key"], below)
        return await self._pool.fetchrow(queries("deliveries")["anchor"], incident)


class NoAnchorError(Exception):
    """A reply has no message to stand below."""


def _code(response: AsyncSlackResponse) -> str:
    """Slack's error code; a proxy in between may have answered with no JSON at all."""
    error = response.data.get("error") if isinstance(response.data, dict) else None
    return str(error or f"HTTP {response.status_code}")


def _passes(response: AsyncSlackResponse) -> bool:
    return _code(response) in _PASSING or response.status_code == 429 or response.status_code >= 500


def _retry_after(response: AsyncSlackResponse) -> timedelta | None:
    seconds = {name.lower(): value for name, value in response.headers.items()}.get("retry-after", "")
    return timedelta(seconds=int(seconds)) if str(seconds).isdigit() else None


def _with_names(details: dict[str, Any], view: IncidentView, policy: Policy) -> dict[str, Any]:
    """A note's row holds ids and roles only; here they become the names that its reader knows."""
    people = [*view.contacts, *filter(None, (view.csm, view.csm_manager))]
    names = {str(person.id): person.name or person.email for person in people}
    named = {key: value for key, value in details.items() if key not in {*_NAMED.values(), "kind", "below"}}
    named |= {key: names.get(str(details[of])) for key, of in _NAMED.items() if details.get(of)}
    named |= {key: datetime.fromisoformat(details[key]) for key in _TIMES if details.get(key)}
    if details["kind"] == "escalated":
        told = person_for(details["role"], view, policy)
        named["to"] = told and told.name
    return named


_NAMED = {"name": "person", "next_name": "next_person", "by": "by_person"}
_TIMES = ("until", "next_at")


def _metadata(delivery_key: str) -> dict[str, Any]:
    return {"event_type": "relink_delivery", "event_payload": {"delivery_key": delivery_key}}
