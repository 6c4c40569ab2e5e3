"""Before it breaks: whoever can renew a credential hears of its end in time, once a step, and never after renewal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.db.sql import queries
from activities.policy import PolicySource
from activities.probes.seen import Expiry, Seen
from activities.warnings import Warnings
from starter.embedded.inbox import Inbox, inbox
from starter.embedded.slack import Failure, SlackServer, slack
from starter.schedules import Keeper
from tests.monitoring.scene import REVOKED, TIMEOUT, WORKING, Scene
from tests.workflows.surroundings import settings_for
from worker import activities
from workflows.contracts import Told
from workflows.domain.calendar import due_step

DAY = timedelta(days=1)
STEPS = tuple(n * DAY for n in (30, 14, 7, 1))
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
PEOPLE = (
    "insert into people (customer_id, role, name, email) select id, p.* from customers, (values"
    " ('csm', 'Maria Lopez', 'maria@vendor.example'), ('technical_contact', 'Bob Smith', 'bob@techcorp.example'))"
    " as p (role, name, email)"
)


@dataclass
class Office:
    """The people who are warned, and what reaches them."""

    scene: Scene
    warnings: Warnings
    inbox: Inbox
    slack: SlackServer
    policy: PolicySource
    now: datetime = START

    async def hour(self) -> None:
        """What the hourly workflow does, and the sending that follows."""
        await ActivityEnvironment().run(self.warnings.warn_of_expiry)
        await self.send()

    async def send(self) -> None:
        await ActivityEnvironment().run(self.warnings.send_notices)

    async def see(self, integration: UUID, *expiries: Expiry, seen: Seen = WORKING) -> None:
        """A look that shows these ends, a second later."""
        self.now += timedelta(seconds=1)
        self.scene.sees(replace(seen, expiries=expiries))
        await self.scene.pool.execute(
            "update probes set due_at = $2, claim_token = null where integration_health_id = $1", integration, self.now
        )
        assert await self.scene.sweep() == 1

    def have_engineers(self) -> None:
        """Somebody is set for engineering."""
        self.scene.change("people", engineering={"email": "oncall@vendor.example"})
        self.policy.current = self.scene.policy

    async def die_when_settled(self) -> None:
        """A sending whose worker is gone as soon as it is written down what became of a message."""
        settle = self.warnings._ledger.settle

        async def settle_and_die(*args: Any, **how: Any) -> Told:
            await settle(*args, **how)
            raise asyncio.CancelledError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.warnings._ledger, "settle", settle_and_die)
            with pytest.raises(asyncio.CancelledError):
                await self.send()

    def told(self) -> list[str]:
        """Whom the messages went to, in order: mails by address, Slack by channel."""
        posted = [c["arguments"]["channel"] for c in self.slack.calls("chat.postMessage") if c["response"]["ok"]]
        return ["slack"] * len(posted) + [m.recipients[0] for m in self.inbox.messages()]

    def slack_text(self) -> str:
        return str(self.slack.calls("chat.postMessage")[-1]["arguments"])


@pytest_asyncio.fixture
async def office(scene: Scene, servers_folder: Path) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        mails = await stack.enter_async_context(inbox(servers_folder / f"mail-{uuid4().hex[:8]}"))
        workspace = await stack.enter_async_context(slack(servers_folder / f"slack-{uuid4().hex[:8]}.sqlite"))
        policy, nobody = PolicySource(), cast("Client", None)  # no workflow is started here
        settings = settings_for(mails, workspace)
        objects = activities(settings, policy, scene.pool, nobody, scene.client, Keeper(nobody))
        warnings = next(o for o in objects if isinstance(o, Warnings))
        made = Office(scene, warnings, mails, workspace, policy)
        warnings._clock = lambda: made.now
        scene.now = lambda: made.now
        yield made


async def integration(office: Office) -> UUID:
    [added] = await office.scene.add()
    await office.scene.pool.execute(PEOPLE)
    return added


async def our_network_fails(office: Office) -> None:
    await office.scene.add(12, hosts=12)
    await office.scene.pool.execute("update probes set due_at = $1", START)
    office.scene.sees(TIMEOUT)
    await office.scene.sweep()


def api_key(ends_at: datetime) -> Expiry:
    return Expiry("api_key", ends_at, "customer", "salesforce API key")


async def test_the_ladder_is_climbed_once(office: Office) -> None:
    """At 30, 14, 7 and 1 days the CSM and the technical contact are told, each once, however often it is computed."""
    added, end = await integration(office), START + 40 * DAY + timedelta(seconds=1)
    told_on = []
    for day in range(41):
        office.now = START + timedelta(days=day)
        await office.see(added, api_key(end))
        before = len(office.told())
        for _ in range(3):
            await office.hour()
        assert len(office.told()) - before in {0, 2}
        if len(office.told()) > before:
            told_on.append((end - office.now).days)
    assert told_on == [30, 14, 7, 1]
    assert office.told().count("slack") == office.told().count("bob@techcorp.example") == 4


async def test_of_several_overdue_steps_the_nearest_is_told(office: Office) -> None:
    """A certificate that is met five days before its end is warned of once, with the right number."""
    added = await integration(office)
    await office.see(added, api_key(START + 5 * DAY))
    await office.hour()
    assert office.told() == ["slack", "bob@techcorp.example"]
    [mail] = office.inbox.messages()
    assert mail.subject == "Action Required: your salesforce API key ends in 5 days"
    assert "Hi Bob Smith," in mail.text
    assert "make a new key" in mail.text
    assert mail.message["Reply-To"] == "Maria Lopez <maria@vendor.example>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert "ends in 5 days" in office.slack_text()
    assert "credential_expiring" in str(await office.scene.pool.fetchval("select min(template) from deliveries"))


async def test_renewal_silences(office: Office) -> None:
    """An end that moved later is another end: nothing is due any more, and what waits to be sent is not sent."""
    added = await integration(office)
    await office.see(added, api_key(START + 10 * DAY))
    await ActivityEnvironment().run(office.warnings.warn_of_expiry)
    await office.see(added, api_key(START + 365 * DAY))
    await office.hour()
    assert office.told() == []
    rows = await office.scene.pool.fetch("select distinct status, error from deliveries")
    assert [tuple(row) for row in rows] == [("suppressed", "it has been renewed or removed meanwhile")]


async def test_an_end_that_is_read_a_little_differently_is_the_same(office: Office) -> None:
    """ "Expires in 864,000 seconds", seen twice, is one end; half a day more is another."""
    added = await integration(office)
    for minutes in (0, 7, -9):
        await office.see(added, api_key(START + 10 * DAY + timedelta(minutes=minutes)))
        await office.hour()
    assert len(office.told()) == 2
    await office.see(added, api_key(START + 10.5 * DAY))
    await office.hour()
    assert len(office.told()) == 4


async def test_what_is_no_longer_seen_is_forgotten(office: Office) -> None:
    """A working look that shows no end any more means renewed; a failed look means nothing."""
    added = await integration(office)
    await office.see(added, api_key(START + 10 * DAY))
    await office.see(added, seen=TIMEOUT)
    assert await office.scene.count("credential_ends") == 1
    await office.see(added)
    assert await office.scene.count("credential_ends") == 0


async def test_what_we_renew_is_not_the_customer_s_business(office: Office) -> None:
    """A client secret of ours: the CSM and our engineers are told, the technical contact is not."""
    added = await integration(office)
    office.have_engineers()
    await office.see(added, Expiry("client_secret", START + 6 * DAY, "us", "salesforce client secret"))
    await office.hour()
    roles = await office.scene.pool.fetch("select role from deliveries where status = 'sent' order by role")
    assert [row["role"] for row in roles] == ["csm", "engineering"]
    assert office.inbox.messages() == []


async def test_a_refresh_token_in_use_is_not_warned_of(office: Office) -> None:
    """One that lives for a day is always about to end; one of ninety days is warned of when nobody refreshes it."""
    added = await integration(office)
    await office.see(added, Expiry("refresh_token", START + DAY, "customer", "keycloak refresh token"))
    await office.hour()
    assert office.told() == []
    await office.see(added, Expiry("refresh_token", START + 90 * DAY, "us", "xero refresh token"))
    office.now = START + 62 * DAY
    await office.hour()
    assert office.told() == ["slack"]


async def test_no_warning_while_it_is_down_or_removed(office: Office) -> None:
    """Whoever has an open incident has been told something more important."""
    added = await integration(office)
    await office.see(added, api_key(START + 5 * DAY), seen=REVOKED)
    await office.hour()
    assert office.told() == []
    await office.scene.pool.execute("update incidents set status = 'closed', closed_at = now()")
    await office.scene.pool.execute("update integration_health set removed_at = now()")
    await office.hour()
    assert office.told() == []


async def test_slack_that_refuses_falls_back_to_mail(office: Office) -> None:
    """A CSM whom Slack does not know gets the same by mail, once."""
    added = await integration(office)
    office.slack.fail(Failure(method="users.lookupByEmail", error="users_not_found", times=9))
    await office.see(added, Expiry("client_secret", START + 6 * DAY, "us", "salesforce client secret"))
    for _ in range(3):
        await office.hour()
    assert office.told() == ["maria@vendor.example"]
    [mail] = office.inbox.messages()
    assert "ends in 6 days" in mail.subject
    assert "salesforce client secret" in mail.text


async def test_a_mail_is_not_lost_with_its_worker(office: Office) -> None:
    """Slack refuses, and the worker is killed right then: that it goes by mail was written down with the refusal."""
    added = await integration(office)
    office.slack.fail(Failure(method="users.lookupByEmail", error="users_not_found", times=9))
    await office.see(added, Expiry("client_secret", START + 6 * DAY, "us", "salesforce client secret"))
    await ActivityEnvironment().run(office.warnings.warn_of_expiry)
    await office.die_when_settled()
    assert office.told() == []
    await office.send()
    assert office.told() == ["maria@vendor.example"]


async def test_engineering_hears_of_our_network_by_mail_after_all(office: Office) -> None:
    """The same for the notice that our own network fails, which no later look would write again."""
    office.have_engineers()
    office.slack.fail(Failure(method="users.lookupByEmail", error="users_not_found", times=9))
    await our_network_fails(office)
    await office.die_when_settled()
    await office.send()
    assert office.told() == ["oncall@vendor.example"]
    await office.send()
    assert office.told() == ["oncall@vendor.example"]


async def test_one_that_can_t_be_written_holds_nobody_up(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CSM's warning fails in a way that nobody foresaw: the customer's goes out, and the CSM's is tried again."""
    added = await integration(office)
    await office.see(added, api_key(START + 5 * DAY))
    with monkeypatch.context() as patch:
        patch.setattr(office.warnings._render, "ending", lambda *_, **__: 1 / 0)
        await office.hour()
    assert office.told() == ["bob@techcorp.example"]
    await office.scene.pool.execute("update deliveries set retry_at = now()")
    await office.send()
    assert office.told() == ["slack", "bob@techcorp.example"]


async def test_a_late_copy_is_taken_back(office: Office) -> None:
    """A warning that an earlier attempt's request brought after all does not stand beside the one that counts."""
    added = await integration(office)
    await office.see(added, Expiry("client_secret", START + 6 * DAY, "us", "salesforce client secret"))
    await office.hour()
    channel, ts = (await office.scene.pool.fetchval("select external_id from deliveries")).split(":")
    stands = office.slack.store.message(channel, ts)
    assert stands is not None
    late = office.slack.store.add_message(channel, stands)
    await office.scene.pool.execute("update deliveries set look_again_at = now()")
    assert await office.scene.pool.fetchval(queries("monitoring")["notices_waiting"])
    await office.send()
    assert office.slack.store.message(channel, late["ts"]) is None
    assert office.slack.store.message(channel, ts) is not None
    assert not await office.scene.pool.fetchval(queries("monitoring")["notices_waiting"])


async def test_engineering_hears_of_our_network(office: Office) -> None:
    """The notice of an outage of ours is sent like a warning."""
    office.have_engineers()
    await our_network_fails(office)
    await office.send()
    assert office.told() == ["slack"]
    assert "Our Own Network Fails" in office.slack_text()


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_step_is_the_nearest_that_is_due(days_left: int, life: int) -> None:
    """Total: a step if and only if the end is ahead and within the longest step."""
    now = START
    step = due_step(now + days_left * DAY, now + (days_left - life) * DAY, now, STEPS, renews_itself=False)
    due = [s for s in STEPS if days_left * DAY <= s]
    assert step == (min(due) if due and days_left else None)


@pytest.mark.parametrize(("life", "left", "step"), [(1, 1, None), (2, 1, 1), (7, 1, 1), (20, 9, None), (28, 14, 14)])
def test_what_renews_itself_is_warned_of_in_its_second_half(life: int, left: int, step: int | None) -> None:
    """A step longer than half a life is left out."""
    found = due_step(START + left * DAY, START + (left - life) * DAY, START, STEPS, renews_itself=True)
    assert found == (None if step is None else step * DAY)
