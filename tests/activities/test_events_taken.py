"""What an event is about, that it counts once, and when it happened (contract: What an event does)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import ValidationError

from activities.db.events import EventRefusedError
from tests.activities.store import NOON, Store, event
from workflows.contracts import Resolution


class TestIdentity:
    """An integration is (customer, type, id), unique with nulls not distinct."""

    async def test_an_unknown_integration_is_registered_by_its_first_event(self, store: Store) -> None:
        outcome = await store.work()
        health = await store.health()
        assert (health["id"], health["integration_id"], health["status"]) == (
            outcome.integration,
            "crm-sync",
            "healthy",
        )

    async def test_without_an_id_the_only_one_of_its_type_is_meant(self, store: Store) -> None:
        named = await store.work()
        assert (await store.fail(integration_id=None)).integration == named.integration

    async def test_without_an_id_and_without_any_one_is_registered_with_null(self, store: Store) -> None:
        first = await store.work(integration_id=None)
        again = await store.work(integration_id=None)
        assert first.integration == again.integration
        assert await store.value("select integration_id from integration_health") is None
        assert await store.value("select count(*) from integration_health") == 1

    async def test_without_an_id_and_with_several_it_is_refused(self, store: Store) -> None:
        """422 that names the field; nothing is stored."""
        await store.work(integration_id="one")
        await store.work(integration_id="two")
        with pytest.raises(EventRefusedError, match="2 integrations of type 'salesforce'") as refused:
            await store.fail(integration_id=None)
        assert (refused.value.status, refused.value.field, refused.value.index) == (422, "integration_id", 0)
        assert await store.counts() == (2, 0)

    async def test_a_removed_one_is_not_counted_among_several(self, store: Store) -> None:
        kept = await store.work(integration_id="one")
        await store.work(integration_id="two")
        await store.remove("two")
        assert (await store.fail(integration_id=None)).integration == kept.integration

    async def test_the_same_id_of_another_type_is_another_integration(self, store: Store) -> None:
        first = await store.work()
        second = await store.work(integration_type="hubspot")
        assert first.integration != second.integration

    async def test_a_later_put_adopts_the_null_one(self, store: Store) -> None:
        """When it is the only one of its type; its history stays with it."""
        registered = await store.fail(integration_id=None)
        assert await store.put("crm-sync") == registered.integration
        assert (await store.fail()).incident == registered.incident

    async def test_a_put_beside_others_adopts_nothing(self, store: Store) -> None:
        await store.work(integration_id=None)
        await store.put("two", type_="hubspot")
        await store.pool.execute(
            "insert into integration_health (customer_id, integration_type, integration_id)"
            " select customer_id, integration_type, 'one' from integration_health where integration_type = 'salesforce'"
        )
        created = await store.put("three")
        assert await store.value("select count(*) from integration_health where integration_type = 'salesforce'") == 3
        assert await store.value("select integration_id from integration_health where id = $1", created) == "three"

    async def test_an_unknown_customer_is_refused_and_says_how_to_add_one(self, store: Store) -> None:
        with pytest.raises(EventRefusedError, match=r"PUT /v1/customers/\{external_id\}") as refused:
            await store.fail(customer_external_id="nobody")
        assert (refused.value.status, refused.value.field) == (422, "customer_external_id")
        with pytest.raises(EventRefusedError) as refused:
            await store.fail(customer_id=str(uuid4()))
        assert (refused.value.status, refused.value.field) == (422, "customer_id")

    async def test_the_customer_may_be_named_by_our_id(self, store: Store) -> None:
        customer = await store.value("select id from customers where external_id = 'techcorp'")
        assert (await store.fail(customer_id=str(customer))).integration == (await store.fail()).integration

    async def test_a_limited_key_sees_only_its_customer(self, store: Store) -> None:
        """Anything else is 404, whether it exists or not."""
        own = await store.value("select id from customers where external_id = 'techcorp'")
        for other in ("tiny", "nobody"):
            with pytest.raises(EventRefusedError) as refused:
                await store.take({"event_type": "sync_error", "customer_external_id": other}, only_customer=own)
            assert refused.value.status == 404
        (outcome,) = await store.take({"event_type": "sync_error"}, only_customer=own)
        assert outcome.outcome == "accepted"

    async def test_many_first_events_at_once_register_one_integration(self, store: Store) -> None:
        outcomes = await asyncio.gather(*(store.limp(integration_id=None) for _ in range(20)))
        assert len({outcome.integration for outcome in outcomes}) == 1
        assert await store.value("select count(*) from integration_health") == 1

    async def test_arrays_in_opposite_order_do_not_deadlock(self, store: Store) -> None:
        """Each registers and locks the same integrations the other way round."""
        names = [f"i{n}" for n in range(8)]
        arrays = [
            [{"event_type": "auth_failure", "integration_id": name} for name in order]
            for order in (names, names[::-1])
            for _ in range(4)
        ]
        await asyncio.gather(*(store.take(*array) for array in arrays))
        assert await store.counts() == (64, 8)


class TestOnce:
    """The same (source, event_id) has one effect and one answer."""

    async def test_a_duplicate_has_the_originals_answer(self, store: Store) -> None:
        first = await store.fail(1, event_id="e")
        again = await store.fail(1, event_id="e")
        assert (first.outcome, again.outcome) == ("accepted", "duplicate")
        assert (again.integration, again.incident, again.event_id) == (first.integration, first.incident, "e")
        assert await store.counts() == (1, 1)
        assert (await store.incident(first.incident))["occurrences"] == 1

    async def test_also_long_after_the_incident_is_over(self, store: Store) -> None:
        first = await store.fail(event_id="e", occurred_at="2026-01-01T00:00:00Z")
        await store.remove()
        again = await store.fail(event_id="e", occurred_at="2026-01-01T00:00:00Z")
        assert again.incident == first.incident

    async def test_an_event_without_incident_stays_without(self, store: Store) -> None:
        await store.limp(1, event_id="e")
        await store.fail(2)
        assert (await store.limp(1, event_id="e")).incident is None

    async def test_another_source_is_another_event(self, store: Store) -> None:
        await store.fail(1, event_id="e", source="billing")
        assert (await store.fail(1, event_id="e", source="crm")).outcome == "accepted"

    async def test_the_source_is_api_if_absent(self, store: Store) -> None:
        await store.fail(1, event_id="e")
        assert (await store.fail(1, event_id="e", source="api")).outcome == "duplicate"

    async def test_twice_in_one_array(self, store: Store) -> None:
        first, again = await store.take(
            {"event_type": "auth_failure", "event_id": "e"}, {"event_type": "auth_failure", "event_id": "e"}
        )
        assert (first.outcome, again.outcome) == ("accepted", "duplicate")
        assert (again.incident, again.integration) == (first.incident, first.integration)
        assert await store.counts() == (1, 1)

    @pytest.mark.parametrize(
        "other",
        [
            {"event_type": "sync_succeeded"},
            {"error": {"code": "x"}},
            {"integration_id": "another"},
            {"occurred_at": (NOON + timedelta(seconds=1)).isoformat()},
            {"endpoint": "/contacts"},
        ],
        ids=str,
    )
    async def test_another_body_is_refused_and_nothing_of_the_array_stored(
        self, store: Store, other: dict[str, object]
    ) -> None:
        original = {"event_type": "auth_failure", "event_id": "e", "occurred_at": NOON.isoformat()}
        await store.take(original)
        with pytest.raises(EventRefusedError, match="came before with another body") as refused:
            await store.take({"event_type": "sync_error", "integration_id": "new"}, original | other)
        assert (refused.value.status, refused.value.field, refused.value.index) == (409, "event_id", 1)
        assert await store.counts() == (1, 1)
        assert await store.value("select count(*) from integration_health") == 1
        assert await store.value("select count(*) from event_keys") == 1

    async def test_another_body_within_one_array_is_refused(self, store: Store) -> None:
        with pytest.raises(EventRefusedError):
            await store.take(
                {"event_type": "auth_failure", "event_id": "e"}, {"event_type": "sync_error", "event_id": "e"}
            )
        assert await store.counts() == (0, 0)

    async def test_the_same_meaning_in_other_words_is_the_same_body(self, store: Store) -> None:
        """Compared after validation: another offset of the same moment, nulls written out."""
        await store.say("auth_failure", event_id="e", occurred_at="2026-01-29T12:00:00+00:00")
        again = await store.say("auth_failure", event_id="e", occurred_at="2026-01-29T13:00:00+01:00")
        assert again.outcome == "duplicate"
        assert event(event_type="sync_error").fingerprint == (
            type(event(event_type="sync_error"))
            .model_validate(
                {
                    "event_type": "sync_error",
                    "error": None,
                    "endpoint": None,
                    "integration_id": "crm-sync",
                    "integration_type": "salesforce",
                    "customer_external_id": "techcorp",
                }
            )
            .fingerprint
        )

    async def test_without_an_event_id_one_is_assigned_and_nothing_is_a_duplicate(self, store: Store) -> None:
        first, second = await store.fail(1), await store.fail(1)
        assert first.event_id
        assert first.event_id != second.event_id
        assert (first.outcome, second.outcome) == ("accepted", "accepted")
        assert (await store.incident(first.incident))["occurrences"] == 2

    async def test_many_copies_at_once(self, store: Store) -> None:
        outcomes = await asyncio.gather(*(store.fail(1, event_id="e") for _ in range(50)))
        assert sorted(o.outcome for o in outcomes) == ["accepted", *["duplicate"] * 49]
        assert len({(o.incident, o.integration) for o in outcomes}) == 1
        assert await store.counts() == (1, 1)

    async def test_all_or_nothing(self, store: Store) -> None:
        """One event that can't be taken takes the whole array with it."""
        with pytest.raises(EventRefusedError) as refused:
            await store.take(
                {"event_type": "auth_failure", "event_id": "good"},
                {"event_type": "auth_failure", "customer_external_id": "nobody"},
            )
        assert refused.value.index == 1
        assert await store.counts() == (0, 0)
        assert (await store.say("auth_failure", event_id="good")).outcome == "accepted"

    async def test_the_answers_have_the_arrays_order(self, store: Store) -> None:
        events = [{"event_type": "auth_failure", "integration_id": f"i{n % 3}", "event_id": f"e{n}"} for n in range(9)]
        outcomes = await store.take(*events)
        assert [o.event_id for o in outcomes] == [f"e{n}" for n in range(9)]
        assert [o.integration for o in outcomes[:3]] == [o.integration for o in outcomes[3:6]]


class TestTime:
    """Judged by when things happened, never by when they were heard of."""

    @pytest.mark.parametrize("at", ["2026-01-29T12:00:00", "yesterday", 1769688000, "2026-01-29"])
    def test_a_time_without_an_offset_is_refused(self, at: object) -> None:
        with pytest.raises(ValidationError):
            event(event_type="sync_error", occurred_at=at)

    def test_more_than_five_minutes_ahead_is_refused(self) -> None:
        now = datetime.now(UTC)
        event(event_type="sync_error", occurred_at=(now + timedelta(minutes=4, seconds=58)).isoformat())
        with pytest.raises(ValidationError, match="5 minutes"):
            event(event_type="sync_error", occurred_at=(now + timedelta(minutes=5, seconds=2)).isoformat())

    async def test_absent_means_receipt(self, store: Store) -> None:
        before = datetime.now(UTC)
        outcome = await store.fail()
        assert before <= (await store.incident(outcome.incident))["opened_at"] <= datetime.now(UTC)

    async def test_a_failure_older_than_the_newest_success_changes_nothing(self, store: Store) -> None:
        """Stored, and that is all."""
        await store.work(10)
        before = dict(await store.health())
        assert (await store.fail(9)).incident is None
        after = dict(await store.health())
        assert {k: v for k, v in after.items() if k != "updated_at"} == {
            k: v for k, v in before.items() if k != "updated_at"
        }
        assert await store.counts() == (2, 0)

    async def test_a_failure_older_than_the_last_close_changes_nothing(self, store: Store) -> None:
        first = await store.fail(0)
        await store.close(first.incident, Resolution.FALSE_ALARM, minute=10)
        await store.pool.execute("update integration_health set muted = false")
        assert (await store.fail(9)).incident is None
        assert (await store.fail(11)).incident is not None

    @pytest.mark.parametrize("order", [("work", "fail"), ("fail", "work")])
    async def test_ties_go_to_the_failure(self, store: Store, order: tuple[str, str]) -> None:
        for what in order:
            await getattr(store, what)(5)
        assert (await store.health())["status"] == "disconnected"
        assert await store.counts() == (2, 1)

    async def test_since_is_the_earliest_failure_of_this_run(self, store: Store) -> None:
        """Also when it is heard of last; not one from before the last success."""
        await store.fail(1)
        await store.work(2)
        outcome = await store.fail(9)
        await store.fail(7)
        assert (await store.incident(outcome.incident))["opened_at"] == NOON + timedelta(minutes=1)
        assert (await store.health())["failing_since"] == NOON + timedelta(minutes=7)
        assert (await store.health())["last_failure_at"] == NOON + timedelta(minutes=9)

    async def test_events_of_one_array_are_judged_in_its_order(self, store: Store) -> None:
        """A success between two failures of the same array starts a new run."""
        outcomes = await store.take(
            {"event_type": "sync_error", "occurred_at": NOON.isoformat()},
            {"event_type": "sync_succeeded", "occurred_at": (NOON + timedelta(minutes=1)).isoformat()},
            {"event_type": "sync_error", "occurred_at": (NOON + timedelta(minutes=2)).isoformat()},
        )
        assert [o.incident for o in outcomes] == [None, None, None]
        assert (await store.health())["status"] == "degraded"
        assert (await store.health())["failure_count"] == 1
