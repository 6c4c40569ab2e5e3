"""One provider fails for many customers at once: one digest a CSM; who is still down afterwards is told by itself."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from activities.db.provider_outages import ProviderOutageStore
from starter.embedded.slack import Failure
from tests.workflows.storm import Storm
from tests.workflows.world import CUSTOMER_MAIL, SLACK_ALERT


async def test_one_digest_a_csm(storm: Storm) -> None:
    """Nobody is alerted twelve times, no customer is asked to reconnect, nothing escalates; all is recorded."""
    world = storm.world
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        await storm.round()
        await storm.round()
        assert storm.alerts() == 0
        assert storm.mailed() == set()
        first, second = storm.digests()
        assert ("c0, HubSpot" in first) != ("c0, HubSpot" in second)
        assert {"Yours: 8 integrations down, at 8 customers" in d for d in (first, second)} == {True, False}
    for table in ("tasks", "risk_signals", "incidents"):
        assert await world.value(f"select count(*) from {table}") == 12
    for incident in storm.incidents.values():
        assert (await world.row(incident))["alerted_at"] is not None
        assert (await world.timeline(incident)).count("told_in_digest") == 1
    assert await world.value("select count(*) from provider_outages") == 1


async def test_who_is_still_down_is_told_by_itself(storm: Storm) -> None:
    """Ten come back: they hear nothing more. The other two are alerted and mailed, and their clocks start then."""
    world = storm.world
    down, up = storm.customers[:2], storm.customers[2:]
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        await storm.round()
        await storm.works_again(*up)
        await storm.round()
        assert storm.alerts() == 0  # others may come back yet
        world.set_policy(outage={"window": "0s"})  # it has passed without any change
        await storm.round()
        await storm.round()
        for customer in down:
            await world.until_delivery(storm.incidents[customer], CUSTOMER_MAIL, "email", "sent")
            await world.until_delivery(storm.incidents[customer], SLACK_ALERT, "slack", "sent")
        assert storm.mailed() == {f"bob@{customer}.example" for customer in down}
        assert storm.alerts() == 2
        digests = storm.digests()
        assert all("No Longer Fails for Many" in digest for digest in digests)
        assert any("2 integrations down, at 2 customers; 6 back" in digest for digest in digests)
        assert any("all 4 are back" in digest for digest in digests)
        situation = await (await world.handle(storm.incidents["c0"])).query("status")
        ended = await world.value("select ended_at from provider_outages")
        assert datetime.fromisoformat(situation["outage_over_at"]) == ended
        assert {await world.value("select held_by from deliveries where incident_id = $1 limit 1", i) is None
                for c, i in storm.incidents.items() if c in down} == {True}  # fmt: skip


async def test_nobody_waits_for_an_outage_that_has_ended(storm: Storm) -> None:
    """The worker died right after it had ended the outage: the next round releases what waited for it."""
    world = storm.world
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        store = ProviderOutageStore(world.pool)
        await world.pool.execute("update provider_outages set release_at = now()")
        (outage,) = await store.open()
        assert await store.end_if_over(outage, world.policy.current.outage) == set(storm.incidents.values())
        assert storm.alerts() == 0
        await storm.round()
        for customer in storm.customers:
            await world.until_delivery(storm.incidents[customer], SLACK_ALERT, "slack", "sent")
    assert storm.digests() == []


async def test_what_closes_meanwhile_waits_for_nothing(storm: Storm) -> None:
    """An incident that ends during the outage ends for good: its messages are suppressed, its response completes."""
    world = storm.world
    world.set_policy(recovery={"quiet_window": "0s"})
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        await storm.works_again(storm.customers[0])
        await world.result(storm.incidents["c0"])
    told = await storm.statuses("c0")
    assert told[SLACK_ALERT] == told[CUSTOMER_MAIL] == "suppressed"


async def test_a_person_may_send_what_is_held(storm: Storm) -> None:
    """A CSM who knows better presses the button: that mail goes at once."""
    world = storm.world
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        await world.actions.send_fix_instructions(storm.incidents["c3"], "maria@vendor.example")
        await world.ring.incident(storm.incidents["c3"])
        await world.until(lambda: _mailed(storm, "bob@c3.example"))
    assert storm.mailed() == {"bob@c3.example"}


async def _mailed(storm: Storm, address: str) -> bool:
    return address in storm.mailed()


async def test_those_who_come_later_join(storm: Storm) -> None:
    """Ten break, then two more: the digest that was sent is edited, and nobody gets a second one."""
    world = storm.world
    async with world.make_worker():
        await storm.breaks(*storm.customers[:10])
        await storm.until_informed(*storm.customers[:10])
        await storm.round()
        await storm.breaks(*storm.customers[10:])
        await storm.until_informed(*storm.customers[10:])
        await storm.round()
    assert storm.alerts() == 0
    assert len(storm.digests()) == 2
    assert any("Yours: 4 integrations down" in digest for digest in storm.digests())
    assert (await world.row(storm.incidents["c11"]))["alerted_at"] is not None


async def test_the_first_are_told_before_anybody_knows(storm: Storm) -> None:
    """They fail one after the other: the tenth shows that it is an outage, and only from then on people are spared."""
    world = storm.world
    async with world.make_worker():
        for customer in storm.customers:
            await storm.breaks(customer)
            await storm.until_informed(customer)
        assert storm.alerts() == 9
        await storm.round()
    assert len(storm.digests()) == 2
    assert any("c0, HubSpot" in digest for digest in storm.digests())  # who was told before finds it there, too


@pytest.mark.parametrize("at_once", [True, False])
async def test_all_of_one_customer(storm: Storm, at_once: bool) -> None:
    """One customer's twelve integrations: at one blow they are one digest for the CSM, and the customer is mailed, for
    it is theirs to mend; one after the other, each told before the next fails, they are twelve troubles."""
    world = storm.world
    events = [storm.event("auth_failure", "c0", error=Storm.REFUSED, integration_id=f"x{n}") for n in range(12)]
    async with world.make_worker():
        for some in [events] if at_once else [[event] for event in events]:
            outcomes, bells = await world.events.take(some)
            await asyncio.gather(*(world.ring.incident(incident) for incident in bells))
            for outcome in outcomes:
                assert outcome.incident is not None
                await world.until_timeline(outcome.incident, "informed")
        await storm.round()
        await world.until(lambda: _mailed(storm, "bob@c0.example"))
    assert storm.alerts() == (0 if at_once else 12)
    assert len(storm.digests()) == (1 if at_once else 0)


async def test_few_of_many_are_no_outage(storm: Storm) -> None:
    """Twelve of fifty are less than the policy's share: each is told by itself."""
    world = storm.world
    await world.pool.execute(
        "insert into integration_health (customer_id, integration_type, integration_id, status)"
        " select id, 'hubspot', 'x' || n, 'healthy' from customers, generate_series(1, 40) n where external_id = 'c0'"
    )
    async with world.make_worker():
        events = [storm.event("auth_failure", c, error=Storm.REFUSED, integration_id="main") for c in storm.customers]
        outcomes, bells = await world.events.take(events)
        await asyncio.gather(*(world.ring.incident(incident) for incident in bells))
        for outcome in outcomes:
            assert outcome.incident is not None
            await world.until_timeline(outcome.incident, "informed")
    assert storm.alerts() == 12


async def test_no_slack_means_a_mail(storm: Storm) -> None:
    """Slack refuses the digest: it comes by mail, once."""
    world = storm.world
    world.slack.fail(Failure(method="chat.postMessage", error="channel_not_found", times=2))
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        for _ in range(3):
            await storm.round()
    assert storm.mailed() == {"maria@vendor.example", "ken@vendor.example"}
    assert len(world.mails_to("maria@vendor.example")) == 1
    assert (await world.row(storm.incidents["c11"]))["alerted_at"] is not None


async def test_it_does_not_last_for_ever(storm: Storm) -> None:
    """Nothing changes for as long as the policy lets people wait: then all are told, one by one."""
    world = storm.world
    async with world.make_worker():
        await storm.breaks(*storm.customers)
        await storm.until_informed(*storm.customers)
        await storm.round()
        assert storm.mailed() == set()
        await world.pool.execute("update provider_outages set release_at = now()")
        await storm.round()
        for customer in storm.customers:
            await world.until_delivery(storm.incidents[customer], SLACK_ALERT, "slack", "sent")
    assert await world.value("select count(*) from provider_outages") == 1
