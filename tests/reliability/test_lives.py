"""What really happens to an incident, through the stores of the service, is what the figures are computed from.

And the score of a customer stays the sum of its ledger, whatever happens."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from temporalio.testing import ActivityEnvironment

from activities.customers import CustomerWrite
from activities.db.customers import CustomerStore
from activities.db.incidents import IncidentStore
from activities.db.pool import Pool
from activities.db.reliability import ReliabilityStore, Subject
from activities.health_score import HealthScores
from tests.activities.store import CUSTOMERS, Store
from workflows.contracts import Check, IncidentRef, Resolution
from workflows.domain.intervals import Span
from workflows.domain.reliability import Figures, Incident, figures

YEAR = timedelta(days=365)


class Life(Store):
    """TechCorp's Salesforce, and what is done about it."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.incidents = IncidentStore(pool)
        self.reliability = ReliabilityStore(pool)

    async def subject(self) -> Subject:
        now = datetime.now(UTC)
        (found,) = await self.reliability.subjects(Span(now - YEAR, now + timedelta(minutes=1)))
        return found

    async def only(self) -> Incident:
        (found,) = (await self.subject()).history.incidents
        return found

    async def look(self, incident: UUID, check: Check) -> None:
        """A check after a hint; a good one begins the recovery."""
        row = await self.incident(incident)
        seen = (await self.health())["last_failure_at"]
        await self.incidents.record_check(
            incident, check, datetime.now(UTC), seen_hint=row["hint_seq"], seen_failure=seen, detail=""
        )

    async def hold(self, incident: UUID) -> bool:
        """It held for the quiet window."""
        return await self.incidents.close_recovered(incident, (await self.incident(incident))["last_seq"])

    async def charge(self, incident: UUID) -> None:
        await ActivityEnvironment().run(HealthScores(self.pool).update_health_score, IncidentRef(incident_id=incident))

    async def figures(self) -> Figures:
        now = datetime.now(UTC)
        return figures([(await self.subject()).history], Span(now - YEAR, now))


@pytest_asyncio.fixture
async def life(emptied_pool: Pool) -> Life:
    await emptied_pool.execute(CUSTOMERS)
    made = Life(emptied_pool)
    await made.put(is_critical=True)
    return made


async def failing(life: Life) -> UUID:
    incident = (await life.fail()).incident
    assert incident is not None
    return incident


async def test_a_relapse_in_the_quiet_window_was_no_recovery(life: Life) -> None:
    """Down from the first failure until the recovery that held."""
    incident = await failing(life)
    assert (await life.only()).ended_at is None
    await life.look(incident, Check.WORKING)
    first = (await life.only()).ended_at
    assert first is not None
    assert (await life.only()).repaired_at is None
    await life.fail()
    assert (await life.only()).ended_at is None
    await life.look(incident, Check.WORKING)
    assert await life.hold(incident)
    held = await life.only()
    assert held.repaired_at is not None
    assert first < held.repaired_at < held.closed_at
    found = await life.figures()
    assert (found.incidents, found.still_down) == (1, 0)
    assert found.repairing.value == held.repaired_at - held.opened_at


async def test_how_fast_somebody_reacted_is_told_by_the_first_acknowledgement(life: Life) -> None:
    """Which may have run out, and been given again."""
    incident = await failing(life)
    await life.actions.acknowledge(incident, "maria@vendor.example")
    first = (await life.only()).acknowledged_at
    later = datetime.now(UTC) + timedelta(hours=5)
    await life.incidents.expire_acknowledgement(incident, later)
    await life.actions.acknowledge(incident, "maria@vendor.example")
    assert (await life.incident(incident))["acknowledged_at"] > first
    assert (await life.only()).acknowledged_at == first


@pytest.mark.parametrize("resolution", [Resolution.FALSE_ALARM, Resolution.NO_LONGER_USED])
async def test_what_was_closed_by_hand(life: Life, resolution: Resolution) -> None:
    """A false alarm was never down. What is not used any more is not expected to work, until it works again."""
    incident = await failing(life)
    await life.actions.close(incident, "maria@vendor.example", resolution)
    history = (await life.subject()).history
    if resolution is Resolution.FALSE_ALARM:
        assert (await life.figures()).incidents == 0
        assert history.ended_at is None
        return
    closed = (await life.only()).closed_at
    assert history.ended_at == closed
    assert (await life.figures()).incidents == 1
    await life.work()
    back = (await life.subject()).history
    assert back.ended_at is None
    ((gone, again),) = back.uncounted
    assert gone == closed
    assert again > gone


async def test_the_time_between_a_removal_and_a_revival_does_not_count(life: Life) -> None:
    """However often, also of what was closed as no longer used before."""
    incident = await failing(life)
    await life.remove()
    removed = (await life.subject()).history.ended_at
    assert removed is not None
    assert (await life.only()).ended_at == removed
    await life.put()
    assert (await life.subject()).history.ended_at is None
    again = (await life.fail()).incident
    assert again not in {None, incident}
    await life.close(again, Resolution.NO_LONGER_USED)
    await life.remove()
    await life.put()
    first, second = sorted((await life.subject()).history.uncounted)
    assert first.begin == removed
    assert second.begin == (await life.incident(again))["closed_at"]
    assert first.end < second.begin < second.end


async def test_when_the_customer_noticed_is_told_by_the_first_report(life: Life) -> None:
    incident = await failing(life)
    await life.say("customer_reported", event_id="one")
    first = (await life.only()).customer_reported_at
    await life.say("customer_reported", event_id="two")
    assert (await life.only()).customer_reported_at == first
    now = datetime.now(UTC)
    assert len(await life.reliability.reported(Span(now - YEAR, now + timedelta(minutes=1)))) == 2
    assert (await life.incident(incident))["customer_reported_at"] == first


async def check_ledger(life: Life) -> None:
    """The score is its base and the sum of its changes; each incident took at most ten, once, and gave them back."""
    techcorp = await life.value("select id from customers where external_id = 'techcorp'")
    score = await life.reliability.score(techcorp)
    rows = await life.reliability.ledger(techcorp, None, 500)
    assert score["score"] == score["base"] + score["adjustments"]
    assert score["adjustments"] == sum(row["adjustment"] for row in rows)
    assert score["shown"] == max(min(score["score"], 100), 0)
    for incident in {row["incident"] for row in rows}:
        changes = [row["adjustment"] for row in rows if row["incident"] == incident]
        is_over = (await life.incident(incident))["closed_at"] is not None
        assert sorted(changes) == ([-10, 10] if is_over else [-10])


@pytest.mark.parametrize("seed", range(4))
async def test_the_score_is_the_sum_of_its_ledger_whatever_happens(life: Life, seed: int) -> None:
    """Failures, relapses, repairs, closings by hand, removals, charges that come twice or late, and a new base."""
    chance, incident = random.Random(seed), await failing(life)
    for _ in range(60):
        is_over = (await life.incident(incident))["closed_at"] is not None
        what = chance.choice(("fail", "charge", "charge", "charge") if is_over else _WHILE_OPEN)
        incident = await happen(life, incident, what, chance)
        await check_ledger(life)
    assert await life.value("select count(*) from health_score_adjustments") > 2


_WHILE_OPEN = ("fail", "charge", "charge", "charge", "look", "look", "hold", "hold", "close", "remove", "base")


async def happen(life: Life, incident: UUID, what: str, chance: random.Random) -> UUID:
    """One thing; returns the incident that is current then."""
    match what:
        case "fail":
            await life.put(is_critical=True)
            await life.work()  # after a closing by hand, nothing opens before a success
            return (await life.fail()).incident or incident
        case "charge":
            await life.charge(incident)
        case "look":
            await life.look(incident, chance.choice((Check.WORKING, Check.BROKEN)))
        case "hold":
            await life.hold(incident)
        case "close":
            await life.actions.close(incident, "maria@vendor.example", chance.choice(_BY_HAND))
        case "remove":
            await life.remove()
        case "base":
            write = CustomerWrite(name="TechCorp", health_score=chance.randrange(101))
            await CustomerStore(life.pool).put("techcorp", write)
    return incident


_BY_HAND = (Resolution.FALSE_ALARM, Resolution.NO_LONGER_USED)


async def test_a_relapse_is_not_charged_again(life: Life) -> None:
    """One incident, one loss: however often it seemed repaired."""
    incident = await failing(life)
    for _ in range(3):
        await life.charge(incident)
        await life.look(incident, Check.WORKING)
        await life.fail()
        await check_ledger(life)
    assert await life.value("select health_score from customers where external_id = 'techcorp'") == 90
    await life.look(incident, Check.WORKING)
    assert await life.hold(incident)
    await check_ledger(life)
    assert await life.value("select health_score from customers where external_id = 'techcorp'") == 100
