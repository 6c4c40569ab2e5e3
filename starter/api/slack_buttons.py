"""What the Slack buttons do: the same as the API. The fact is committed before Slack gets its answer; what there is to
say comes as a message that only the person who clicked can see."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import aiohttp
import structlog
from pydantic import ValidationError
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from activities import phrases
from activities.calls import USUAL, Proposal
from activities.customers import ContactWrite
from activities.db.actions import ActionRefusedError, Actor, Recipient
from activities.db.incidents import UnknownIncidentError
from activities.db.pool import UNAVAILABLE
from activities.views import IncidentView
from starter.api import slack_modals as modals
from starter.api.resources import Resources
from starter.api.slack_people import called, find, is_leadership, staff, who_may
from workflows.contracts import Resolution

PATIENCE = 2.0  # seconds for the work; Slack gives three for everything
_LOOK_UP = 0.8  # seconds of them for asking Slack who somebody is
_DIALOG = 1.0  # seconds of them for opening a dialog
_AWAY = "Relink can't reach its database right now. Nothing was changed; please try again in a minute."
_GONE = "Relink does not know this incident any more."
_SLACK_ERRORS = (SlackApiError, aiohttp.ClientError, OSError, TimeoutError)
_MORNING = 9  # o'clock, when a snooze until tomorrow ends
_log = structlog.get_logger()


@dataclass(frozen=True)
class Click:
    """Somebody pressed a button, or sent a dialog."""

    user: str
    incident: UUID
    channel: str
    choice: str = ""
    trigger: str = ""
    response_url: str = ""

    @property
    def origin(self) -> modals.Origin:
        return modals.Origin(self.incident, self.channel)


@dataclass(frozen=True)
class Case:
    """A click of somebody who may, and what it is about."""

    click: Click
    view: IncidentView
    actor: Actor
    timezone: str | None
    books: bool = False  # the policy names a page where a call can be booked


class WrongEntryError(Exception):
    """A field of a dialog has to be entered differently."""

    def __init__(self, block: str, message: str) -> None:
        super().__init__(message)
        self.block = block


class RefusedError(Exception):
    """Somebody is to be told kindly that this can't be done."""


Act: TypeAlias = Callable[[Case], Awaitable[str | None]]
Entered: TypeAlias = Mapping[str, str | None]


class Buttons:
    """Each act returns what there is to say to the person, or None."""

    def __init__(self, resources: Resources, client: AsyncWebClient) -> None:
        self._use, self._client = resources, client
        self._running: set[asyncio.Task[None]] = set()

    async def take(self, click: Click, act: Act) -> str | None:
        """Does it within the time that Slack gives. Raises RefusedError with what to say instead."""
        try:
            return await asyncio.wait_for(self._take(click, act), PATIENCE)
        except UnknownIncidentError:
            raise RefusedError(_GONE) from None
        except ActionRefusedError as error:
            raise RefusedError(_sentence(error.message)) from None
        except (TimeoutError, *UNAVAILABLE):
            raise RefusedError(_AWAY) from None

    def say(self, click: Click, text: str) -> None:
        """Tells only the person who clicked; not worth waiting for."""
        self._later(self._say(click, text))

    async def acknowledge(self, case: Case) -> str | None:
        """The first one counts; the second is told who that was."""
        if await self._use.actions.acknowledge(case.click.incident, case.actor):
            self._ring(case)
            return None
        view = await self._use.views.load(case.click.incident)
        when = phrases.ago(view.acknowledged_at or datetime.now(UTC), datetime.now(UTC))
        who = "You have" if view.acknowledged_by == case.actor.name else f"{called(view.acknowledged_by, view)} has"
        return f"{who} acknowledged this already, {when}. Nothing was changed."

    async def snooze(self, case: Case) -> str:
        """For 1 hour, 4 hours, or until tomorrow morning where that person lives. Of two for the same time the first
        counts."""
        until = snooze_end(case.click.choice, case.timezone, datetime.now(UTC))
        told = phrases.moment_with_zone(until, phrases.zone(case.timezone))
        if not await self._use.actions.snooze(case.click.incident, case.actor, until):
            return f"It is snoozed until {told} already. Nothing was changed."
        self._ring(case)
        return f"Snoozed until {told}."

    async def ask_what_to_send(self, case: Case) -> None:
        """Opens the dialog of Send Fix Instructions."""
        await self._open(case, modals.send_modal(case.click.origin, case.view, datetime.now(UTC)))

    async def ask_whom_to_call(self, case: Case) -> None:
        """Opens the dialog of Schedule Tech Call."""
        await self._open(case, modals.call_modal(case.click.origin, case.view, books=case.books))

    async def ask_whether_to_close(self, case: Case) -> None:
        """Opens the dialog of Close."""
        await self._open(case, modals.close_modal(case.click.origin, case.view))

    async def send(self, case: Case, entered: Entered) -> str:
        """The dialog of Send Fix Instructions was sent."""
        if not await self._use.actions.send_fix_instructions(case.click.incident, case.actor, recipient(entered)):
            return "They were sent a moment ago already, so nothing more was sent."
        self._ring(case)
        return "The fix instructions are on their way."

    async def offer_call(self, case: Case, entered: Entered) -> str:
        """The dialog of Schedule Tech Call was sent."""
        to, when = recipient(entered), proposal(entered, datetime.now(UTC))
        if not await self._use.actions.schedule_tech_call(case.click.incident, case.actor, to, when):
            return "A call was offered a moment ago already, so nothing more was sent."
        self._ring(case)
        return "The offer of a call is on its way."

    async def close(self, case: Case, entered: Entered) -> str:
        """The dialog of Close was sent."""
        await self._use.actions.close(case.click.incident, case.actor, Resolution(entered.get(modals.REASON) or ""))
        self._ring(case)
        return "Closed. It raises no new alert until it has worked again."

    def _ring(self, case: Case) -> None:
        self._later(self._use.bells.soon({case.click.incident}))

    async def _take(self, click: Click, act: Act) -> str | None:
        view, policy = await self._use.views.load_with_policy(click.incident)
        people = staff(view)
        person, email = find(click.user, None, people), None
        if person is None and not is_leadership(click.user, None, click.channel, policy):
            email = await self._email_of(click.user)
            person = find(click.user, email, people)
            if person is None and not is_leadership(click.user, email, click.channel, policy):
                raise RefusedError(f"Only {who_may(view)} can do this. Nothing was changed.")
        if view.status in {"closed", "cancelled"}:
            raise RefusedError("This incident is over already; there is nothing left to do here.")
        name = (person and (person.name or person.email)) or email or click.user
        actor = Actor(name, person=person.id if person else None)
        books = bool(policy.people.booking_url)
        return await act(Case(click, view, actor, person.timezone if person else None, books))

    async def _email_of(self, user: str) -> str | None:
        try:
            found = await asyncio.wait_for(self._client.users_info(user=user), _LOOK_UP)
        except SlackApiError:
            return None
        except _SLACK_ERRORS:
            raise RefusedError("Slack did not tell us in time who you are. Please click once more.") from None
        profile: dict[str, Any] = found["user"]["profile"]
        return profile.get("email")

    async def _open(self, case: Case, view: modals.View) -> None:
        try:
            await asyncio.wait_for(self._client.views_open(trigger_id=case.click.trigger, view=view), _DIALOG)
        except _SLACK_ERRORS as error:
            _log.warning("a dialog could not be opened", error=type(error).__name__)
            raise RefusedError("Slack did not let us open the dialog. Please click once more.") from None

    async def _say(self, click: Click, text: str) -> None:
        try:
            if click.response_url:
                webhook = AsyncWebhookClient(click.response_url, timeout=5)
                await webhook.send(text=text, response_type="ephemeral", replace_original=False)
            else:
                await self._client.chat_postEphemeral(channel=click.channel, user=click.user, text=text)
        except _SLACK_ERRORS as error:
            _log.warning("an answer to a click was not delivered", error=type(error).__name__)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def recipient(entered: Entered) -> Recipient:
    """Whom a dialog names: somebody new before somebody known. Raises WrongEntryError."""
    email = (entered.get(modals.EMAIL) or "").strip()
    if email:
        try:
            return ContactWrite.model_validate(
                {"email": email, "name": (entered.get(modals.NAME) or "").strip() or None}
            )
        except ValidationError as error:
            wrong = error.errors()[0]
            raise WrongEntryError(str(wrong["loc"][0]), wrong["msg"].removeprefix("Value error, ")) from None
    known = entered.get(modals.CONTACT)
    if known is None:
        raise WrongEntryError(modals.EMAIL, "give an address, so that we know whom to write to")
    return UUID(known)


def proposal(entered: Entered, now: datetime) -> Proposal | None:
    """The times that a dialog proposes; None without any. Raises WrongEntryError."""
    given = {block: _moment(block, at) for block in modals.TIMES if (at := entered.get(block))}
    if not given:
        return None
    for block, moment in given.items():
        if wrong := Proposal((moment,)).wrong(now):
            raise WrongEntryError(block, f"{wrong[:1].upper()}{wrong[1:]}.")
    return Proposal(tuple(dict.fromkeys(given.values())), int(entered.get(modals.MINUTES) or USUAL))


def _moment(block: str, seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):  # no number, or one far outside of the calendar
        raise WrongEntryError(block, "This is no time. Pick one from the calendar.") from None


def snooze_end(choice: str, timezone: str | None, now: datetime) -> datetime:
    """When a snooze of this choice ends."""
    hours = {"1h": 1, "4h": 4}.get(choice)
    if hours is not None:
        return now + timedelta(hours=hours)
    tomorrow = now.astimezone(phrases.zone(timezone)) + timedelta(days=1)
    return tomorrow.replace(hour=_MORNING, minute=0, second=0, microsecond=0).astimezone(UTC)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}. Nothing was changed."
