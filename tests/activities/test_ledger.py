"""One intent per message: claimed by one, settled by its token, forbidden when it is too late."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from activities.db.incidents import lock
from activities.db.ledger import (
    ALERT,
    CUSTOMER,
    ESCALATION,
    LEASE,
    NOTE,
    REMINDER,
    Claim,
    Intent,
    LeaseHeldError,
    Ledger,
    intend,
)
from tests.activities.store import Store
from workflows.contracts import Resolution, Told

NOW = datetime.now(UTC)


async def _intended(store: Store, template: str = ALERT, channel: str = "slack") -> tuple[Ledger, Intent]:
    incident = (await store.fail()).incident
    assert incident is not None
    intent = Intent(incident, channel, template, "csm", "maria@vendor.example")
    async with store.pool.acquire() as connection:
        assert await intend(connection, intent)
    return Ledger(store.pool), intent


async def _claimed(ledger: Ledger, intent: Intent) -> Claim:
    claim = await ledger.claim(intent.key, datetime.now(UTC))
    assert isinstance(claim, Claim)
    return claim


async def _row(store: Store, intent: Intent):  # type: ignore[no-untyped-def]
    return await store.pool.fetchrow("select * from deliveries where delivery_key = $1", intent.key)


async def _lease_runs_out(store: Store) -> None:
    await store.pool.execute("update deliveries set lease_until = now() - interval '1 second'")


async def test_the_same_intent_is_one_row(store: Store) -> None:
    _, intent = await _intended(store)
    async with store.pool.acquire() as connection:
        assert not await intend(connection, intent)
    assert await store.value("select count(*) from deliveries") == 1


async def test_one_of_many_claims(store: Store) -> None:
    """The others are told to come back when the lease has run out."""
    ledger, intent = await _intended(store)
    claims = await asyncio.gather(*(ledger.claim(intent.key, NOW) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(c, Claim) for c in claims) == 1
    assert sum(isinstance(c, LeaseHeldError) for c in claims) == 9
    assert (await _row(store, intent))["status"] == "sending"


async def test_a_settled_message_is_not_claimed_again(store: Store) -> None:
    ledger, intent = await _intended(store)
    await ledger.settle(await _claimed(ledger, intent), Told.SENT, NOW, external_id="D1:1.0")
    assert await ledger.claim(intent.key, NOW) is Told.SENT
    row = await _row(store, intent)
    assert (row["status"], row["external_id"], row["attempts"]) == ("sent", "D1:1.0", 1)
    assert row["sent_at"] is not None


async def test_a_dead_attempts_message_is_taken_over(store: Store) -> None:
    """When its lease has run out, not before; the new claim knows that it is not the first."""
    ledger, intent = await _intended(store)
    await _claimed(ledger, intent)
    with pytest.raises(LeaseHeldError) as held:
        await ledger.claim(intent.key, NOW)
    assert timedelta(0) < held.value.left <= LEASE
    await _lease_runs_out(store)
    assert (await _claimed(ledger, intent)).attempts == 2


async def test_whoever_was_thought_dead_settles_nothing(store: Store) -> None:
    """A frozen attempt that wakes up neither settles, nor puts back, nor hands over what another one has now."""
    ledger, intent = await _intended(store)
    frozen = await _claimed(ledger, intent)
    await _lease_runs_out(store)
    other = await _claimed(ledger, intent)
    assert not await ledger.hand_over(frozen)
    await ledger.retry_later(frozen, NOW, timedelta(seconds=5), "late")
    await ledger.settle(frozen, Told.FAILED, NOW, error="late")
    row = await _row(store, intent)
    assert (row["status"], row["error"], row["attempt_token"]) == ("sending", None, other.token)
    assert await ledger.hand_over(other)
    await ledger.settle(other, Told.SENT, NOW)
    assert await store.timeline(intent.incident_id) == ["detected", "notice_sent"]


async def test_put_back_until_its_time(store: Store) -> None:
    """By the workflow's clock, so that deadlines are the same for all."""
    ledger, intent = await _intended(store)
    now = datetime.now(UTC)
    await ledger.retry_later(await _claimed(ledger, intent), now, timedelta(minutes=2), "busy")
    assert await ledger.claim(intent.key, now + timedelta(seconds=119)) is Told.PENDING
    assert await ledger.due(intent.incident_id, now + timedelta(seconds=119)) == []
    later = now + timedelta(seconds=121)
    assert await ledger.due(intent.incident_id, later) == [intent.key]
    assert isinstance(await ledger.claim(intent.key, later), Claim)


async def test_copies_handed_over_are_remembered_and_refused_ones_forgotten(store: Store) -> None:
    ledger, intent = await _intended(store, CUSTOMER, "email")
    past = NOW - timedelta(hours=1)
    for was_refused, handed_over in ((True, 0), (False, 1), (True, 1), (False, 2)):
        claim = await _claimed(ledger, intent)
        await ledger.hand_over(claim)
        await ledger.retry_later(claim, past, timedelta(0), "x", was_refused=was_refused)
        assert (await _row(store, intent))["handed_over"] == handed_over


@pytest.mark.parametrize(
    ("template", "status", "is_sent"),
    [
        (ALERT, "open", True),
        (ALERT, "recovering", True),
        (ALERT, "closed", False),
        (ALERT, "cancelled", False),
        (CUSTOMER, "closed", False),
        (ESCALATION, "open", True),
        (ESCALATION, "recovering", False),
        (REMINDER, "recovering", False),
        (REMINDER, "closed", False),
        (NOTE, "closed", True),
    ],
)
async def test_what_is_too_late_is_not_sent(store: Store, template: str, status: str, is_sent: bool) -> None:
    """Promise 7: no notice is claimed once it would be wrong; the row says which rule forbade it."""
    ledger, intent = await _intended(store, template)
    await store.pool.execute("update incidents set status = $1", status)
    claim = await ledger.claim(intent.key, NOW)
    assert isinstance(claim, Claim) is is_sent
    if not is_sent:
        row = await _row(store, intent)
        assert row["status"] == "suppressed"
        assert row["error"] in {"the incident is over", "the connection has recovered"}
        assert "notice_suppressed" in await store.timeline(intent.incident_id)


async def test_the_clock_starts_with_the_first_notice(store: Store) -> None:
    """And not with a later one, nor with one that nobody got."""
    ledger, intent = await _intended(store)
    await ledger.settle(await _claimed(ledger, intent), Told.FAILED, NOW, error="refused")
    assert (await store.incident(intent.incident_id))["alerted_at"] is None
    second = Intent(intent.incident_id, "email", ALERT, "csm", "maria@vendor.example")
    async with store.pool.acquire() as connection:
        await intend(connection, second)
    ahead = datetime.now(UTC) + timedelta(minutes=5)
    await ledger.settle(await _claimed(ledger, second), Told.SENT, ahead)
    assert (await store.incident(intent.incident_id))["alerted_at"] == ahead
    assert (await store.health())["alerted_at"] is not None


async def test_settling_locks_in_the_one_order(store: Store) -> None:
    """Integration, then incident, like everybody else: an event that comes in meanwhile is no deadlock."""
    ledger, intent = await _intended(store)
    claim = await _claimed(ledger, intent)
    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute("select from integration_health for update")
        settling = asyncio.create_task(ledger.settle(claim, Told.SENT, NOW))
        await _until_somebody_waits(store)
        await lock(connection, intent.incident_id)
    assert await settling is Told.SENT


async def _until_somebody_waits(store: Store) -> None:
    async with asyncio.timeout(120):
        while not await store.value("select count(*) from pg_locks where not granted"):  # noqa: ASYNC110 - of others
            await asyncio.sleep(0.01)


async def test_closing_while_a_notice_is_being_sent(store: Store) -> None:
    """The claim came first, so it goes out; what is intended afterwards does not."""
    ledger, intent = await _intended(store)
    claim = await _claimed(ledger, intent)
    await store.close(intent.incident_id, Resolution.FALSE_ALARM)
    assert await ledger.settle(claim, Told.SENT, NOW, external_id="D1:1.0") is Told.SENT
    assert (await _row(store, intent))["status"] == "sent"


async def test_what_a_dead_attempt_did_not_send_waits_while_it_recovers(store: Store) -> None:
    """Nothing had left us, so the customer is asked to mend it only if it fails again."""
    ledger, intent = await _first_mail(store)
    await _claimed(ledger, intent)
    await _lease_runs_out(store)
    await store.pool.execute("update incidents set status = 'recovering'")
    assert await ledger.claim(intent.key, NOW) is Told.PENDING
    assert (await _row(store, intent))["status"] == "pending"
    assert await ledger.due(intent.incident_id, NOW + timedelta(hours=1)) == []
    await store.pool.execute("update incidents set status = 'open'")
    assert isinstance(await ledger.claim(intent.key, NOW), Claim)


async def _first_mail(store: Store) -> tuple[Ledger, Intent]:
    incident = (await store.fail()).incident
    assert incident is not None
    bob = await store.value(
        "insert into people (customer_id, role, email) select id, 'technical_contact', 'bob@techcorp.example'"
        " from customers where external_id = 'techcorp' returning id"
    )
    intent = Intent(incident, "email", CUSTOMER, "technical_contact", "bob@techcorp.example", bob)
    async with store.pool.acquire() as connection:
        await intend(connection, intent)
    return Ledger(store.pool), intent


async def test_an_unknown_key_is_nothing_to_send(store: Store) -> None:
    assert await Ledger(store.pool).claim(str(UUID(int=0)), NOW) is Told.SUPPRESSED
