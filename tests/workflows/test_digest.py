"""Each CSM's week, once, on their Monday morning, whatever dies or fires twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment

from activities import digest
from activities.digest import AT_ONCE, Digests
from starter.embedded.slack import Failure
from tests.workflows.test_crashes import Lives
from tests.workflows.world import PATIENCE, World, key_of
from workflows.contracts import TASK_QUEUE, DigestsAt, DigestsSent
from workflows.domain.digest import week_due
from workflows.reporting import SendDigests

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
POST = "chat.postMessage"


@dataclass
class Office:
    """CSMs, and what reaches them; `monday` is the next one, at midnight UTC."""

    world: World
    monday: datetime

    async def csm(self, *names: str, zone: str | None = None, slack: str | None = None, email: str | None = "") -> None:
        """A CSM with these customers, each with one incident that ended last week and one that has not."""
        for name in names:
            await self.world.pool.execute(
                CUSTOMER, name, email if email != "" else f"{names[0].lower()}@vendor.example", slack, zone
            )
            await self.incident(name, "verified")
            await self.incident(name)

    async def incident(self, name: str, resolution: str | None = None, **closed_before: float) -> None:
        closed_at = self.monday - timedelta(**closed_before or {"days": 2})
        await self.world.pool.execute(
            INCIDENT, name, closed_at - 5 * HOUR, resolution, closed_at if resolution else None
        )

    async def nine(self, zone_offset: float = 0, *, late: timedelta = timedelta(0)) -> DigestsSent:
        """One start at 9:00 in a zone that is so many hours ahead of UTC."""
        return await self.at(self.monday + (9 - zone_offset) * HOUR + late)

    async def at(self, now: datetime) -> DigestsSent:
        return await ActivityEnvironment().run(self.digests().send_digests, DigestsAt(now=now))

    def digests(self) -> Digests:
        return self.world.the(Digests)

    async def start(self, start_delay: timedelta | None = None) -> WorkflowHandle[Any, Any]:
        """What the schedule starts."""
        handle = await self.world.client.start_workflow(
            SendDigests.run, id="send-digests", task_queue=TASK_QUEUE, start_delay=start_delay
        )
        self.world.started.append(handle)
        return handle

    async def until_done(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Lets its clock run on whenever it waits, until it has nothing more to do."""
        with suppress(RPCError):  # it may have ended by now
            await self.world.environment.fast_forward(handle)
        await asyncio.wait_for(handle.result(), PATIENCE)

    def slack(self) -> list[str]:
        """The texts of the digests that people see in Slack."""
        return [str(m) for m in self.world.messages() if key_of(m).startswith("digest/")]

    def mails(self) -> list[str]:
        return sorted(mail.recipients[0] for mail in self.world.inbox.messages())

    async def rows(self) -> list[tuple[str, str]]:
        rows = await self.world.pool.fetch("select channel, status from deliveries order by created_at, delivery_key")
        return [tuple(row) for row in rows]


CUSTOMER = """
with c as (insert into customers (external_id, name) values (lower($1), $1) returning id),
 h as (insert into integration_health (customer_id, integration_type, display_name)
       select id, 'salesforce', $1 || ' CRM' from c)
insert into people (customer_id, role, name, email, slack_user_id, timezone)
select id, 'csm', 'CSM of ' || $1, $2, $3, $4 from c where coalesce($2::text, $3::text) is not null
"""
INCIDENT = """
insert into incidents (integration_health_id, customer_id, number, kind, severity, category, who_fixes, diagnosis,
  policy, quiet_window, opened_at, detected_at, resolution, closed_at, status)
select h.id, c.id, 1 + (select count(*) from incidents where customer_id = c.id), 'disconnected', 'high',
  'token_expired', 'customer_user', '{}', '{}', '10m', $2, $2, $3, $4,
  case when $4::timestamptz is null then 'open' else 'closed' end
from customers c join integration_health h on h.customer_id = c.id where c.name = $1
"""


@pytest_asyncio.fixture
async def office(world: World) -> AsyncIterator[Office]:
    await world.pool.execute("truncate customers cascade")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    yield Office(world, today + (7 - today.weekday()) * DAY)


@pytest.fixture
def monday_now(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that Monday, nine o'clock, whatever day it is: where sending is put back, PostgreSQL's clock counts too."""
    ahead = office.monday + 9 * HOUR - datetime.now(UTC)
    monkeypatch.setattr(digest, "week_due", lambda now, at, zone: week_due(now + ahead, at, zone))


@pytest.mark.history
async def test_digests_are_sent_by_their_schedule(office: Office) -> None:
    """It runs at nine, each CSM has their week in Slack, and its history holds ids and times only."""
    await office.csm("TechCorp")
    await office.csm("Globex")
    delay = office.monday + 9 * HOUR - datetime.now(UTC)
    async with office.world.make_worker():
        handle = await office.start(start_delay=delay)
        await office.until_done(handle)
    assert len(office.slack()) == 2
    assert "TechCorp CRM: down for 5 h, verified by our own check" in office.slack()[0]
    assert "disconnected for" in office.slack()[0]
    history = await handle.fetch_history()
    assert "vendor.example" not in history.to_json()
    assert await office.world.value("select array_agg(distinct week) from digests") == [office.monday.date()]


async def test_each_on_their_own_monday(office: Office) -> None:
    """Tokyo long before Berlin, Berlin before New York; nobody before nine, and everybody once."""
    await office.csm("Tokyo", zone="Asia/Tokyo")
    await office.csm("Dubai", zone="Asia/Dubai")
    await office.csm("Somewhere", zone="Atlantis/Sunken")
    await office.csm("Phoenix", zone="America/Phoenix")
    told = []
    for n in range(-24 * 4, 36 * 4):
        await office.at(office.monday + n * timedelta(minutes=15))
        told += [(n / 4, text.split(" CRM")[0].split("'- ")[-1][-9:]) for text in office.slack()[len(told) :]]
    assert [hour for hour, _ in told] == [0, 5, 9, 16]


async def test_one_digest_for_all_customers_of_one_human(office: Office) -> None:
    """Whatever their rows call them: who shares an address is the same human, and is told once."""
    await office.csm("TechCorp", email="Maria@vendor.example")
    await office.csm("Globex", email="maria@vendor.example", slack="U777")
    await office.csm("Initech", email=None, slack="U777")
    await office.csm("Hooli", email="tom@vendor.example")
    for _ in range(3):
        await office.nine()
    assert len(office.slack()) == 2
    maria = next(text for text in office.slack() if "TechCorp" in text)
    assert "Globex CRM" in maria
    assert "Initech CRM" in maria
    assert "Hooli" not in maria


async def test_an_address_that_is_added_meanwhile_brings_no_second(office: Office) -> None:
    """Whoever had theirs by Slack id does not get it again when somebody enters their mail address."""
    await office.csm("TechCorp", email=None, slack="U777")
    await office.nine()
    await office.world.pool.execute("update people set email = 'maria@vendor.example'")
    await office.csm("Globex", email="maria@vendor.example")
    await office.nine(late=HOUR)
    assert len(office.slack()) == 1


async def test_a_quiet_week_brings_none(office: Office) -> None:
    """No message; a row says which rule decided it."""
    await office.world.pool.execute(CUSTOMER, "TechCorp", "maria@vendor.example", None, None)
    await office.incident("TechCorp", "verified", days=8)
    await office.incident("TechCorp", "not_confirmed")
    await office.nine()
    assert office.slack() == office.mails() == []
    rows = await office.world.pool.fetch("select status, error from deliveries")
    assert [tuple(row) for row in rows] == [("suppressed", "a week without news")]


async def test_credentials_about_to_end_are_told(office: Office) -> None:
    """Those that are warned of, too; not one that is renewed in daily use, and not next year's."""
    await office.world.pool.execute(CUSTOMER, "TechCorp", "maria@vendor.example", None, None)
    for kind, label, days in (
        ("api_key", "API key", 6),
        ("refresh_token", "token", 2),
        ("tls_certificate", "TLS", 300),
    ):
        await office.world.pool.execute(
            "insert into credential_ends select id, $1, $2, $3, 'customer', $4 from integration_health",
            *(kind, label, office.monday + 9 * HOUR + days * DAY, office.monday + 9 * HOUR - days * DAY / 10),
        )
    await office.nine()
    [text] = office.slack()
    assert "API key ends in 6 days" in text
    assert "TLS" not in text
    assert "token" not in text


async def test_what_is_fragile_is_told(office: Office) -> None:
    """By the policy's [chronic], with what would end it."""
    await office.csm("TechCorp")
    for days in (4, 9, 14):
        await office.incident("TechCorp", "verified", days=days)
    await office.world.pool.execute("update integration_health set created_at = $1", office.monday - 90 * DAY)
    await office.nine()
    [text] = office.slack()
    assert "Fragile:" in text
    assert "5 disconnections in 30 days" in text
    assert "service account" in text


async def test_a_worker_that_was_away_makes_up_for_it_for_a_day(office: Office) -> None:
    """In the afternoon it still comes; on Wednesday it does not."""
    await office.csm("TechCorp")
    await office.nine(late=3 * DAY)
    assert office.slack() == []
    await office.nine(late=8 * HOUR)
    assert len(office.slack()) == 1


async def test_it_can_be_switched_off_and_moved(office: Office) -> None:
    """[digest] of the policy."""
    await office.csm("TechCorp")
    office.world.set_policy(digest={"enabled": False})
    await office.nine()
    assert office.slack() == []
    office.world.set_policy(digest={"enabled": True, "at": "11:30"})
    await office.nine(late=2 * HOUR)
    assert office.slack() == []
    await office.nine(late=2.5 * HOUR)
    assert len(office.slack()) == 1


async def test_customers_without_a_csm_are_told_to_the_fallback(office: Office) -> None:
    """As their incidents are."""
    await office.csm("Orphan", email=None)
    await office.nine()
    assert await office.rows() == []
    office.world.set_policy(people={"fallback_csm": {"email": "team@vendor.example"}})
    await office.nine()
    [text] = office.slack()
    assert "Orphan CRM" in text


async def test_it_leads_to_the_fleet_of_its_reader(office: Office) -> None:
    """Filtered to their customers as the page filters; whoever stands in for a CSM is led to all of it."""
    office.world.set_policy(people={"fallback_csm": {"email": "team@vendor.example"}})
    for name, email, link in (
        ("TechCorp", "Maria+CS@vendor.example", "https://relink.example/fleet?csm=maria%2Bcs%40vendor.example"),
        ("Orphan", None, "https://relink.example/fleet"),
    ):
        await office.csm(name, email=email)
        await office.nine()
        [text] = [text for text in office.slack() if f"{name} CRM" in text]
        assert f"'url': '{link}'" in text


async def test_a_dead_token_falls_back_to_mail(office: Office) -> None:
    """Once each, whatever is repeated."""
    await office.csm("TechCorp")
    await office.csm("Globex")
    office.world.slack.fail(Failure(method="*", error="invalid_auth", times=99))
    for _ in range(3):
        await office.nine()
    assert office.mails() == ["globex@vendor.example", "techcorp@vendor.example"]
    [mail] = office.world.mails_to("globex@vendor.example")
    assert mail.subject == "Your integrations this week: 1 open, 1 resolved, 1 fragile"
    assert "Globex CRM: down for 5 h, verified by our own check" in mail.text
    assert await office.rows() == [("slack", "failed")] * 2 + [("email", "sent")] * 2


async def test_without_slack_it_is_a_mail(office: Office) -> None:
    """A company without a Slack token."""
    await office.csm("TechCorp")
    office.world.settings.slack_bot_token = None
    await office.nine()
    assert await office.rows() == [("email", "sent")]


async def test_starts_that_overlap_tell_it_once(office: Office) -> None:
    """Two schedules, an operator's trigger and a retry at the same moment."""
    for name in ("TechCorp", "Globex", "Initech"):
        await office.csm(name)
    await asyncio.gather(*(office.nine() for _ in range(6)))
    await office.nine()
    assert len(office.slack()) == 3
    assert await office.world.value("select count(*) from digests") == 3


@pytest.mark.usefixtures("monday_now")
async def test_an_answer_that_was_lost_is_found_again(office: Office) -> None:
    """Slack stored the message, the connection broke: it is looked up before anything is posted again."""
    await office.csm("TechCorp")
    office.world.slack.fail(Failure(method=POST, drop=True))
    async with office.world.make_worker():
        await office.until_done(await office.start())
    assert len(office.slack()) == 1
    assert len(office.world.posted()) == 1
    assert await office.rows() == [("slack", "sent")]


@pytest.mark.history
@pytest.mark.usefixtures("monday_now")
async def test_many_csms_and_a_slack_that_slows_us_down(office: Office) -> None:
    """A hundred CSMs in one run: few at a time, "later" is said to one of them and not to each, all are told once, and
    the history stays short."""
    for n in range(100):
        await office.csm(f"Customer{n}")
    office.world.slack.fail(Failure(method=POST, http_status=429, retry_after=30))
    async with office.world.make_worker():
        handle = await office.start()
        await office.until_done(handle)
    assert len(office.slack()) == len(set(office.slack())) == 100
    assert await office.world.value("select max(attempts) from deliveries") == 2
    assert await office.world.value("select count(*) from deliveries where attempts > 1") == 1
    assert office.mails() == []
    assert len((await handle.fetch_history()).events) < 8 * (100 / AT_ONCE + 4)


@pytest.mark.usefixtures("monday_now")
async def test_one_that_can_t_be_sent_holds_nobody_up(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw puts that one back, and the others are told."""
    await office.csm("TechCorp")
    await office.csm("Globex")
    digests = office.digests()
    original = digests._store.view

    async def broken_for_one(*of: Any) -> Any:
        view = await original(*of)
        if view.still_open[0].customer == "TechCorp":
            raise RuntimeError("nobody thought of this")
        return view

    monkeypatch.setattr(digests._store, "view", broken_for_one)
    for _ in range(2):
        await ActivityEnvironment().run(digests.send_digests, DigestsAt(now=datetime.now(UTC)))
    rows = await office.world.pool.fetch("select status, error from deliveries order by status")
    assert [tuple(row) for row in rows] == [("pending", "could not be sent: RuntimeError"), ("sent", None)]


DEATHS = {
    "before anything": ["send_digests:before"],
    "before and after it is begun": ["send_digests/begin:before", "send_digests/begin:after"],
    "before and after it is intended": ["send_digests/intend:before", "send_digests/intend:after"],
    "after the claim": ["send_digests/claim:after"],
    "before it leaves": ["send_digests/post:before"],
    "after it left": ["send_digests/post:after"],
    "before it is settled": ["send_digests/settle:before"],
    "after it was settled": ["send_digests/settle:after", "send_digests:after"],
}


@pytest.mark.parametrize("deaths", DEATHS)
async def test_killed_and_born_again(office: Office, mortal: asyncio.subprocess.Process, deaths: str) -> None:
    """A worker that is killed on the line before or after each side effect: every CSM is told, and none twice."""
    for name in ("TechCorp", "Globex", "Initech"):
        await office.csm(name)
    delay = office.monday + 9 * HOUR - datetime.now(UTC)
    handle = await office.world.client.start_workflow(
        SendDigests.run, id="send-digests", task_queue=TASK_QUEUE, start_delay=delay, task_timeout=SECOND
    )
    await office.world.environment.fast_forward(handle, delay + SECOND)
    lives = Lives(mortal, office.world, list(DEATHS[deaths]))
    living = asyncio.create_task(lives.go_on(handle))
    try:
        await asyncio.wait_for(handle.result(), PATIENCE)
    finally:
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living
    assert sorted(lives.deaths) == sorted(DEATHS[deaths])
    assert len(office.slack()) == len(office.world.posted()) == 3
    assert await office.rows() == [("slack", "sent")] * 3
