"""What goes wrong around a provider's outage: it flaps, people can't be reached, workers die between any two lines."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from activities.db.incidents import lock
from activities.db.outage_digests import OutageDigestStore
from activities.db.provider_outages import ProviderOutageStore
from activities.db.sql import queries
from activities.digest import Digests
from activities.playbooks import load_catalogue
from activities.slack import NotNowError, SlackSender
from starter.embedded.slack import Failure
from tests.workflows.storm import BACK, CUSTOMER, Storm
from tests.workflows.world import SLACK_ALERT
from workflows.contracts import TASK_QUEUE, Bell
from workflows.reconciling import ReconcileIncidents


async def test_the_last_may_be_told_first(storm: Storm) -> None:
    """We were away while they failed, one a minute; the newest is first: nobody is told alone."""
    for n in range(12, 24):
        await storm.world.pool.execute(CUSTOMER, f"c{n}", "maria@vendor.example", n)
    everybody = [f"c{n}" for n in range(24)]
    await storm.fails(*everybody)
    for n, customer in enumerate(everybody):
        at = "update incidents set detected_at = now() - make_interval(mins => $2) where id = $1"
        await storm.world.pool.execute(at, storm.incidents[customer], 60 - n)
    await storm.notify(*reversed(everybody))
    assert storm.alerts() == 0


async def test_a_provider_that_works_for_a_moment(storm: Storm) -> None:
    """All come back, and fail again while they had to hold: it is still the one outage, and nobody hears of it twelve
    times."""
    world = storm.world
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        await storm.round()
        await storm.works_again(*storm.customers)
        await storm.round()
        await storm.breaks(*storm.customers)
        for customer in storm.customers:
            await world.until_timeline(storm.incidents[customer], "relapsed")
        await storm.round()
        for customer in storm.customers:
            await world.until_waiting(storm.incidents[customer])
    assert await world.value("select count(*) from provider_outages where ended_at is null") == 1
    assert storm.alerts() == 0
    assert storm.mailed() == set()


async def test_what_recovers_is_held_too(storm: Storm) -> None:
    """Its response was about to tell when it came back."""
    await storm.fails(*storm.customers)
    await storm.notify("c1")
    await storm.are_back("c0")
    await storm.notify("c0")
    assert storm.alerts() == 0


async def test_a_digest_that_was_not_needed_may_be_needed_later(storm: Storm) -> None:
    """Ken's first customer was back before his digest went; then three more of his fail."""
    for n in range(12, 16):
        await storm.world.pool.execute(CUSTOMER, f"c{n}", "maria@vendor.example", n)
    await storm.fails(*storm.customers[:9], "c12", "c13")
    await storm.notify("c0")
    await storm.look_after()
    await storm.are_back("c8")
    await storm.send()
    assert len(storm.digests()) == 1
    await storm.fails("c9", "c10", "c11")
    await storm.notify("c9", "c10", "c11")
    await storm.look_after()
    await storm.send()
    assert any("c9, HubSpot" in digest for digest in storm.digests())


async def test_the_timeline_says_it_once(storm: Storm) -> None:
    """Whoever joined a digest was told in it once, however many send at the same time."""
    await storm.fails(*storm.customers[:11])
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    await storm.fails("c11")
    await storm.notify("c11")
    await storm.look_after()
    await asyncio.gather(*(storm.send() for _ in range(4)))
    assert (await storm.world.row(storm.incidents["c11"]))["alerted_at"] is None  # its response is not that far yet
    await storm.world.pool.execute(
        "insert into risk_signals (customer_id, incident_id, severity, details)"
        " select customer_id, id, severity, '{}' from incidents"
    )
    await asyncio.gather(*(storm.send() for _ in range(4)))
    assert (await storm.world.row(storm.incidents["c11"]))["alerted_at"] is not None
    assert (await storm.world.timeline(storm.incidents["c11"])).count("told_in_digest") == 1
    assert any("c11, HubSpot" in digest for digest in storm.digests())


async def test_somebody_else_said_something_else_meanwhile(storm: Storm) -> None:
    """Two edit one digest: which of them Slack took last is not known, so it is looked at once more."""
    world = storm.world
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    digests = world.the(Digests)._store
    store = OutageDigestStore(world.pool, digests, load_catalogue())
    told = (await store.to_edit())[0]
    digest = await digests.load(told.digest)
    view = digest.of(await store.load(told.outage))
    await store.told(digest, view, datetime.now(UTC), before="what it said before that")
    assert await world.value("select shown from digests where id = $1", told.digest) == ""
    await storm.send()
    assert await world.value("select shown from digests where id = $1", told.digest) == view.in_short


@pytest.mark.parametrize("died", ["before it was written down", "not at all"])
async def test_a_digest_by_mail(storm: Storm, died: str) -> None:
    """It can't be edited: those who join are told of at the end, with those who are back, in one more mail."""
    world = storm.world
    world.settings = world.settings.model_copy(update={"slack_bot_token": None})
    await storm.fails(*storm.customers[:10])
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    if died == "before it was written down":
        await world.pool.execute("update digests set shown = null")
    await storm.fails("c10", "c11")
    await storm.notify("c10", "c11")
    for _ in range(2):
        await storm.look_after()
        await storm.send()
    assert len(storm.mailed_texts("ken@vendor.example")) == 1
    await storm.are_back("c8", "c9")
    await world.pool.execute("update provider_outages set release_at = now()")
    for _ in range(3):
        await storm.look_after()
        await storm.send()
    _, last = storm.mailed_texts("ken@vendor.example")
    assert "c11, HubSpot" in last
    assert "2 integrations down, at 2 customers; 2 back" in last
    assert not await storm.look_after()


async def test_a_csm_by_mail_hears_that_it_is_over(storm: Storm) -> None:
    """All come back: one mail said so, and no other."""
    world = storm.world
    world.settings = world.settings.model_copy(update={"slack_bot_token": None})
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    await world.pool.execute("update incidents set status = 'closed', resolution = 'verified', closed_at = now()")
    for _ in range(3):
        await storm.look_after()
        await storm.send()
    assert ["Works Again" in text for text in storm.mailed_texts("ken@vendor.example")] == [False, True]


async def test_a_token_that_is_taken_away(storm: Storm) -> None:
    """What was told in Slack can't be edited any more; the digests of others go out."""
    world = storm.world
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    await storm.are_back("c8")
    world.settings = world.settings.model_copy(update={"slack_bot_token": None})
    before = storm.digests()
    await world.pool.execute(CUSTOMER, "c12", "zoe@vendor.example", 12)
    await storm.fails("c12")
    await storm.notify("c12")
    await storm.look_after()
    await storm.send()
    assert storm.digests() == before
    assert ["c12, HubSpot" in text for text in storm.mailed_texts("zoe@vendor.example")] == [True]


async def test_one_that_cannot_be_written(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in one digest holds up neither the others nor the mending of everything else."""
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    await storm.are_back("c0", "c8")
    edit, tried = SlackSender.edit, list[str]()

    async def broken_at_first(self: SlackSender, key: str, *said: Any) -> None:
        tried.append(key)
        if len(tried) == 1:
            raise ValueError("a mistake")
        await edit(self, key, *said)

    monkeypatch.setattr(SlackSender, "edit", broken_at_first)
    await storm.send()
    assert len(set(tried)) == 2
    monkeypatch.setattr(ProviderOutageStore, "open", broken_at_first)
    tried.clear()
    assert (await storm.round()).bells_rung >= 0


async def test_slack_takes_one_edit_a_round(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something changes in every round: even so, each digest has its turn."""
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    edit, edits = SlackSender.edit, list[str]()

    async def one_a_round(self: SlackSender, key: str, *said: Any) -> None:
        if edits:
            raise NotNowError(timedelta(seconds=30))
        await edit(self, key, *said)
        edits.append(key)

    monkeypatch.setattr(SlackSender, "edit", one_a_round)
    seen = set()
    for n in range(4):
        await storm.are_back(f"c{n}", f"c{8 + n}")
        edits.clear()
        await storm.send()
        seen |= set(edits)
    assert len(seen) == 2


async def test_told_at_the_last_moment(storm: Storm) -> None:
    """The response's own timer comes before the round that ends the outage: told by itself, it is no part of the digest
    any more, so that later news go by mail where Slack fails."""
    world = storm.world
    world.set_policy(recovery={"quiet_window": "0s"})
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        await world.pool.execute("update provider_outages set release_at = now()")
        await world.pool.execute("update deliveries set retry_at = now() where status = 'pending'")
        await world.ring_bell(storm.incidents["c0"], Bell.MESSAGE_REQUESTED)
        await world.until_delivery(storm.incidents["c0"], SLACK_ALERT, "slack", "sent")
        await storm.round()
        world.slack.fail(Failure(method="chat.postMessage", error="channel_not_found", times=1000))
        await storm.works_again("c0")
        await world.result(storm.incidents["c0"])
    assert any("c0" in text for text in storm.mailed_texts("maria@vendor.example"))


async def test_an_outage_that_was_over_before_anybody_looked(storm: Storm) -> None:
    """The reconciler was away until nobody waited any more: each is told by itself, and there is no digest."""
    world = storm.world
    await storm.fails(*storm.customers)
    await storm.notify(*storm.customers)
    await world.pool.execute("update provider_outages set release_at = now()")
    await storm.look_after()
    await storm.send()
    await storm.notify(*storm.customers)
    assert storm.alerts() == 12
    assert storm.digests() == []


async def test_what_is_given_up_is_not_over(storm: Storm) -> None:
    """Eight are still down when nobody may be left waiting any longer: nobody reads that it works."""
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    await storm.are_back(*storm.customers[8:])
    await storm.world.pool.execute("update provider_outages set release_at = now()")
    await storm.look_after()
    await storm.send()
    assert all("Still Fails for Many" in digest for digest in storm.digests())


async def test_nobody_can_be_reached(storm: Storm) -> None:
    """A CSM without an address has no digest, and nothing is waited for in vain."""
    world = storm.world
    await world.pool.execute(
        "update people set email = null, slack_user_id = 'UKEN' where email = 'ken@vendor.example'"
    )
    world.settings = world.settings.model_copy(update={"slack_bot_token": None})
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    for _ in range(2):
        await storm.look_after()
        await storm.send()
    assert await world.value("select count(*) from digests") == 1
    await world.pool.execute("update incidents set status = 'closed', resolution = 'verified', closed_at = now()")
    for _ in range(3):
        waiting = await storm.look_after()
        await storm.send()
    assert not waiting


async def test_who_stands_in(storm: Storm) -> None:
    """Customers without a CSM are the policy's fallback's, and engineering has a digest of all, if it is named."""
    world = storm.world
    people = {"fallback_csm": {"email": "ada@vendor.example"}, "engineering": {"email": "eng@vendor.example"}}
    world.set_policy(people=people)
    await world.pool.execute("delete from people where email = 'ken@vendor.example'")
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    await storm.look_after()
    await storm.send()
    roles = await world.pool.fetch(
        "select role, addresses, cardinality(customers) from digests order by role, addresses"
    )
    assert [tuple(row) for row in roles] == [
        ("csm", ["ada@vendor.example"], 4),
        ("csm", ["maria@vendor.example"], 8),
        ("engineering", ["eng@vendor.example"], 12),
    ]
    assert len(storm.digests()) == 3
    assert sum("Yours:" in digest for digest in storm.digests()) == 2


# Nine came back long ago and are closed now; nothing happened since.
CLOSED = """
    update incidents set status = 'closed', recovering_since = now() - interval '11 min', closed_at = now()
    where customer_id in (select id from customers where external_id <> all('{c0,c1,c2}'))"""
FAILED_AGAIN = "insert into incident_timeline (incident_id, kind, actor) select id, 'relapsed', 'relink' from incidents"


@pytest.mark.parametrize(("what", "expected"), [(CLOSED, True), (FAILED_AGAIN, False)])
async def test_what_a_change_is(storm: Storm, what: str, expected: bool) -> None:
    """That somebody failed, came back or failed again; not that it was closed for good."""
    world = storm.world
    await storm.fails(*storm.customers)
    await storm.notify("c0")
    await world.pool.execute("update incidents set detected_at = now() - interval '30 min', relapses = 1")
    await world.pool.execute("update provider_outages set began_at = now() - interval '31 min'")
    back = [storm.incidents[customer] for customer in storm.customers[3:]]
    await world.pool.execute(BACK.replace("= now(),", "= now() - interval '11 min',"), back)
    await world.pool.execute(what)
    await storm.look_after()
    assert await world.value("select ended_at is not null from provider_outages") is expected


async def test_a_page_that_is_opened_while_messages_are_released(storm: Storm) -> None:
    """Both take the incident before its messages, so neither waits for the other for ever."""
    world = storm.world
    await storm.fails(*storm.customers)
    await storm.notify(*storm.customers, what="notify_technical_contact")
    incident = storm.incidents["c3"]
    person = await world.value("select person_id from deliveries where incident_id = $1", incident)
    await world.pool.execute("update provider_outages set ended_at = now()")
    async with world.pool.acquire() as page, page.transaction():
        await lock(page, incident)
        releasing = asyncio.create_task(ProviderOutageStore(world.pool).release())
        await asyncio.sleep(0.3)
        await page.execute(queries("deliveries")["mark_opened"], incident, person)
    assert incident in await releasing


async def test_one_that_waits_holds_nobody_up(storm: Storm) -> None:
    """Ken's mail server says "later": who joins after that is told in the next round all the same."""
    world = storm.world
    await world.pool.execute(CUSTOMER, "c12", "zoe@vendor.example", 12)

    async def told(name: str) -> bool:
        return any(name in digest for digest in storm.digests())

    async def reconcile() -> UUID:
        id_ = uuid4()
        await world.client.execute_workflow(ReconcileIncidents.run, id=f"reconcile-{id_}", task_queue=TASK_QUEUE)
        return id_

    async with world.make_worker():
        await storm.fails(*storm.customers)
        await storm.notify("c0")
        await storm.look_after()
        await storm.send()
        await world.pool.execute(
            "update deliveries set status = 'pending', attempts = 6, retry_at = now() + interval '5 minutes'"
            " where recipient = 'ken@vendor.example'"
        )
        await reconcile()
        await storm.fails("c12")
        await storm.notify("c12")

        async def in_a_round() -> bool:
            await reconcile()
            return await told("c12")

        await world.until(in_a_round)
