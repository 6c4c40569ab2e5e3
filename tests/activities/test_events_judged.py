"""What an event does to its integration and its incident, in the transaction that stores it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.activities.store import NOON, Store
from workflows.contracts import Resolution

REFUSED_GRANT = {"code": "invalid_grant", "http_status": 400, "surface": "token_endpoint"}
OUTAGE = {"http_status": 503, "message": "Service Unavailable"}
RATE_LIMIT = {"http_status": 429, "message": "Too Many Requests"}


class TestOpening:
    """An incident is there, with its id in the answer, before any workflow ran."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"event_type": "integration_status_changed", "new_status": "disconnected"},
            {"event_type": "integration_status_changed", "new_status": "disconnected", "error": OUTAGE},
            {"event_type": "auth_failure"},
            {"event_type": "auth_failure", "error": REFUSED_GRANT},
            {"event_type": "sync_error", "error": REFUSED_GRANT},
            {"event_type": "webhook_failed", "error": {"http_status": 410}},
        ],
        ids=str,
    )
    async def test_opened_at_once(self, store: Store, fields: dict[str, Any]) -> None:
        (outcome,) = await store.take(fields)
        row = await store.incident(outcome.incident)
        assert (row["status"], row["kind"], row["number"], row["occurrences"]) == ("open", "disconnected", 1, 1)
        assert (await store.health())["status"] == "disconnected"
        assert await store.timeline(outcome.incident) == ["detected"]
        assert await store.bells(outcome.incident) == ["failure_recurred"]

    @pytest.mark.parametrize(
        "fields",
        [
            {"event_type": "webhook_failed"},
            {"event_type": "sync_error"},
            {"event_type": "sync_error", "error": OUTAGE},
            {"event_type": "webhook_failed", "error": {"http_status": 500}},
            {"event_type": "auth_failure", "error": OUTAGE},
        ],
        ids=str,
    )
    async def test_degraded_first_opened_at_the_second_in_a_row(self, store: Store, fields: dict[str, Any]) -> None:
        first, second = (await store.take(fields))[0], (await store.take(fields))[0]
        assert first.incident is None
        row = await store.incident(second.incident)
        assert (row["kind"], row["occurrences"]) == ("disconnected", 2)
        assert row["opened_at"] < row["detected_at"]

    async def test_degraded_says_since_when(self, store: Store) -> None:
        await store.limp(3)
        health = await store.health()
        assert (health["status"], health["degraded_since"]) == ("degraded", NOON + timedelta(minutes=3))
        assert (health["failure_count"], health["last_failure_at"]) == (1, NOON + timedelta(minutes=3))

    @pytest.mark.parametrize("needed", [1, 3, 5])
    async def test_so_many_in_a_row_as_the_policy_says(self, store: Store, needed: int) -> None:
        store.set_policy("detection", confirm_failures=needed)
        opened = [(await store.limp(minute)).incident is not None for minute in range(needed)]
        assert opened == [False] * (needed - 1) + [True]

    async def test_a_success_in_between_begins_a_new_row(self, store: Store) -> None:
        await store.limp(1)
        await store.work(2)
        assert (await store.limp(3)).incident is None
        assert (await store.limp(4)).incident is not None

    async def test_a_duplicate_is_no_second_failure(self, store: Store) -> None:
        await store.limp(1, event_id="e")
        assert (await store.limp(1, event_id="e")).incident is None
        assert (await store.health())["failure_count"] == 1

    async def test_heard_of_in_any_order(self, store: Store) -> None:
        """Two failures with a success between them, whichever came in first, are not two in a row."""
        await store.limp(3)
        await store.work(2)
        assert (await store.limp(1)).incident is None
        assert (await store.health())["failure_count"] == 1

    async def test_rate_limits_never_count(self, store: Store) -> None:
        for minute in range(5):
            assert (await store.limp(minute, error=RATE_LIMIT)).incident is None
        assert (await store.health())["status"] == "healthy"
        await store.limp(6)
        assert (await store.limp(7, error=RATE_LIMIT)).incident is None
        assert (await store.limp(8)).incident is not None

    async def test_reported_degraded_is_no_failure_to_be_confirmed(self, store: Store) -> None:
        """However often it is said: it takes a day, or a failure that counts as often as the policy says."""
        for minute in range(4):
            status = {"new_status": "degraded", "occurred_at": (NOON + timedelta(minutes=minute)).isoformat()}
            assert (await store.say("integration_status_changed", **status)).incident is None
        assert (await store.limp(5)).incident is None
        assert (await store.health())["status"] == "degraded"
        assert (await store.limp(6)).incident is not None

    async def test_more_failures_are_the_same_incident(self, store: Store) -> None:
        first = await store.fail(1)
        for minute in range(2, 7):
            assert (await store.limp(minute)).incident == first.incident
        row = await store.incident(first.incident)
        assert (row["occurrences"], row["last_seq"]) == (6, 6)
        assert await store.counts() == (6, 1)

    async def test_what_it_is_about_is_recorded(self, store: Store) -> None:
        """`error_code` as received; reason, category and who fixes it by diagnosis; severity by policy."""
        await store.put(is_critical=True)
        outcome = await store.fail(error={"code": "INVALID_GRANT", "message": "expired access/refresh token"})
        row, health = await store.incident(outcome.incident), await store.health()
        assert (row["error_code"], health["error_code"]) == ("INVALID_GRANT", "INVALID_GRANT")
        assert row["failure_reason"] == health["failure_reason"]
        assert row["severity"] == "critical"
        assert row["who_fixes"].startswith("customer")

    @pytest.mark.parametrize(
        ("is_critical", "customer", "severity"),
        [(True, "techcorp", "critical"), (False, "techcorp", "high"), (True, "tiny", "high"), (False, "tiny", "low")],
    )
    async def test_severity(self, store: Store, is_critical: bool, customer: str, severity: str) -> None:
        """A missing ARR counts as 0."""
        await store.work(customer_external_id=customer)
        await store.pool.execute("update integration_health set is_critical = $1", is_critical)
        outcome = await store.fail(customer_external_id=customer)
        assert (await store.incident(outcome.incident))["severity"] == severity

    async def test_long_texts_are_cut_when_stored(self, store: Store) -> None:
        await store.limp(error={"message": "x" * 100_000})
        assert await store.value("select length(error_details ->> 'message') from integration_events") == 4_000

    async def test_at_most_one_is_open(self, store: Store) -> None:
        """Also when many integrations' events come in mixed and at once."""
        names = [f"i{n}" for n in range(5)]
        await asyncio.gather(*(store.fail(integration_id=name) for name in names * 10))
        rows = await store.pool.fetch("select occurrences from incidents")
        assert [row["occurrences"] for row in rows] == [10] * 5


class TestRecovering:
    """An event hints; the incident's workflow decides."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"event_type": "sync_succeeded"},
            {"event_type": "reconnected"},
            {"event_type": "integration_status_changed", "new_status": "healthy"},
        ],
        ids=str,
    )
    async def test_a_later_success_hints(self, store: Store, fields: dict[str, Any]) -> None:
        incident = (await store.fail(0)).incident
        (outcome,) = await store.take(fields)
        row = await store.incident(incident)
        assert outcome.incident == incident
        assert (row["status"], row["hint_seq"], row["checked_seq"]) == ("open", 2, 0)
        assert (await store.health())["status"] == "disconnected"
        assert await store.bells(incident) == ["failure_recurred", "reconnected"]
        assert await store.timeline(incident) == ["detected", "recovery_hinted"]

    async def test_an_earlier_success_does_not(self, store: Store) -> None:
        incident = (await store.fail(5)).incident
        await store.work(4)
        assert (await store.incident(incident))["hint_seq"] == 0

    async def test_with_a_monitor_reconnected_is_only_a_hint(self, store: Store) -> None:
        """It moves no time: only our check is evidence."""
        await store.put(monitor={"kind": "oidc", "issuer": "https://idp.example"})
        incident = (await store.fail(5)).incident
        await store.say("reconnected")
        assert (await store.incident(incident))["hint_seq"] == 2
        assert (await store.health())["last_success_at"] is None

    async def test_a_paused_monitor_is_none(self, store: Store) -> None:
        await store.put(monitor={"kind": "oidc", "issuer": "https://idp.example", "paused": True})
        await store.fail(5)
        await store.say("reconnected")
        assert (await store.health())["last_success_at"] is not None

    async def test_without_an_incident_a_success_makes_healthy(self, store: Store) -> None:
        await store.limp(1)
        assert (await store.work(2)).incident is None
        health = await store.health()
        assert (health["status"], health["failure_count"], health["degraded_since"]) == ("healthy", 0, None)
        assert health["last_successful_sync"] == NOON + timedelta(minutes=2)

    async def test_an_earlier_success_does_not_make_healthy(self, store: Store) -> None:
        await store.limp(2)
        await store.work(1)
        assert (await store.health())["status"] == "degraded"

    async def test_a_failure_while_recovering_reopens(self, store: Store) -> None:
        """The same incident, twice the window, a line for the thread."""
        incident = (await store.fail(0)).incident
        await store.pool.execute("update incidents set status = 'recovering', quiet_until = now() + interval '10m'")
        assert (await store.fail()).incident == incident
        row = await store.incident(incident)
        assert (row["status"], row["relapses"], row["quiet_until"]) == ("open", 1, None)
        assert row["quiet_window"] == timedelta(minutes=20)
        assert "relapsed" in await store.timeline(incident)

    async def test_a_rate_limit_while_recovering_does_not_reopen(self, store: Store) -> None:
        incident = (await store.fail(0)).incident
        await store.pool.execute("update incidents set status = 'recovering'")
        await store.limp(error=RATE_LIMIT)
        assert (await store.incident(incident))["status"] == "recovering"

    async def test_the_customer_noticed(self, store: Store) -> None:
        """Noted on the open incident; it neither opens nor closes one."""
        assert (await store.say("customer_reported")).incident is None
        incident = (await store.fail()).incident
        assert (await store.say("customer_reported")).incident == incident
        row = await store.incident(incident)
        assert row["customer_reported_at"] is not None
        assert (row["status"], row["occurrences"]) == ("open", 1)


class TestAfterwards:
    """Closed, muted, removed, revived."""

    async def test_a_failure_after_a_close_is_the_next_incident(self, store: Store) -> None:
        first = (await store.fail(0)).incident
        await store.pool.execute("update incidents set status = 'closed', closed_at = now()")
        await store.pool.execute("update integration_health set status = 'healthy', last_closed_at = now()")
        second = (await store.fail()).incident
        assert [(await store.incident(i))["number"] for i in (first, second)] == [1, 2]

    @pytest.mark.parametrize("resolution", [Resolution.NO_LONGER_USED, Resolution.FALSE_ALARM])
    async def test_closed_by_hand_mutes_until_a_newer_success(self, store: Store, resolution: Resolution) -> None:
        await store.close((await store.fail(0)).incident, resolution, minute=10)
        assert (await store.fail(11)).incident is None
        assert (await store.health())["muted"]
        await store.work(9)
        assert (await store.fail(12)).incident is None
        await store.work(13)
        assert not (await store.health())["muted"]
        assert (await store.fail(14)).incident is not None

    async def test_a_removed_integration_stores_without_effect(self, store: Store) -> None:
        await store.work(0)
        await store.remove()
        for what in (store.fail, store.limp, store.work):
            assert (await what()).incident is None
        assert await store.counts() == (4, 0)
        assert (await store.health())["status"] == "healthy"
        assert (await store.health())["failure_count"] == 0

    async def test_removing_cancels_what_is_open(self, store: Store) -> None:
        incident = (await store.fail()).incident
        assert await store.remove() == {incident}
        row = await store.incident(incident)
        assert (row["status"], row["resolution"]) == ("cancelled", "removed")
        assert (await store.bells(incident))[-1] == "removed"
        assert await store.remove() == frozenset()

    async def test_a_put_revives_it_with_the_next_number(self, store: Store) -> None:
        """What was heard of while it was removed is forgotten."""
        first = await store.fail()
        await store.remove()
        await store.limp()
        assert await store.put() == first.integration
        assert (await store.limp()).incident is None
        assert (await store.health())["status"] == "degraded"
        again = await store.fail()
        assert (await store.incident(again.incident))["number"] == 2


class TestLongDegraded:
    """FR-1.6: limping for `degraded_alert_after` becomes a low-severity incident."""

    async def _limps_since(self, store: Store, **span: float) -> None:
        at = (datetime.now(UTC) - timedelta(**span)).isoformat()
        await store.say("integration_status_changed", new_status="degraded", occurred_at=at)

    async def test_not_before_its_time(self, store: Store) -> None:
        await self._limps_since(store, hours=23, minutes=59)
        assert await store.events.open_long_degraded() == set()

    async def test_opened_once(self, store: Store) -> None:
        await self._limps_since(store, hours=24, minutes=1)
        opened = await asyncio.gather(*(store.events.open_long_degraded() for _ in range(5)))
        (incident,) = set().union(*opened)
        row = await store.incident(incident)
        assert (row["kind"], row["severity"], row["occurrences"]) == ("degraded", "low", 1)
        assert datetime.now(UTC) - row["opened_at"] > timedelta(hours=24)
        assert await store.bells(incident) == ["failure_recurred"]
        assert await store.events.open_long_degraded() == set()

    async def test_limping_more_often_does_not_begin_anew(self, store: Store) -> None:
        """More failures than are looked at (a hundred) still began when the first one did."""
        store.set_policy("detection", confirm_failures=100)
        await self._limps_since(store, hours=25)
        for minute in range(24 * 6):
            await self._limps_since(store, minutes=24 * 60 - 10 * minute)
        (incident,) = await store.events.open_long_degraded()
        assert datetime.now(UTC) - (await store.incident(incident))["opened_at"] > timedelta(hours=24, minutes=59)

    async def test_not_while_muted_removed_or_open(self, store: Store) -> None:
        await self._limps_since(store, hours=25)
        for column, value in (("muted", "true"), ("removed_at", "now()")):
            await store.pool.execute(f"update integration_health set {column} = {value}")
            assert await store.events.open_long_degraded() == set()
            await store.pool.execute(f"update integration_health set {column} = default")
        await store.fail()
        assert await store.events.open_long_degraded() == set()

    async def test_a_disconnection_worsens_it(self, store: Store) -> None:
        """The same incident, judged anew."""
        await self._limps_since(store, hours=25)
        (incident,) = await store.events.open_long_degraded()
        assert (await store.fail(error=REFUSED_GRANT)).incident == incident
        row = await store.incident(incident)
        assert (row["kind"], row["severity"], row["error_code"]) == ("disconnected", "high", "invalid_grant")
        assert row["worsened_at"] is not None
        assert "worsened" in await store.timeline(incident)
        assert (await store.fail()).incident == incident
        assert (await store.timeline(incident)).count("worsened") == 1
