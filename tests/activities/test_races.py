"""Between reading and writing something happens: no step decides by what is not true any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from activities.db.incidents import IncidentStore
from activities.db.views import ViewLoader
from activities.health_score import HealthScores
from activities.impact import Impact
from activities.incidents import Incidents
from activities.tasks import Tasks
from activities.views import IncidentView
from tests.activities.store import NOON, Store
from workflows.contracts import Check, IncidentAt, IncidentRef, InformedInput, Kind, Resolution
from workflows.domain.policy import Policy

REFUSED_GRANT = {"code": "invalid_grant", "http_status": 400, "surface": "token_endpoint"}


def now() -> datetime:
    return datetime.now(UTC)


async def _disconnected(store: Store) -> UUID:
    incident = (await store.fail(0)).incident
    assert incident is not None
    return incident


async def _degraded(store: Store) -> UUID:
    at = (now() - timedelta(hours=25)).isoformat()
    await store.say("integration_status_changed", new_status="degraded", occurred_at=at)
    (incident,) = await store.events.open_long_degraded()
    return incident


class _Interrupted(ViewLoader):
    """Something happens right after an activity has read its view."""

    def __init__(self, store: Store, what: str) -> None:
        super().__init__(store.pool)
        self._store, self._what = store, what

    async def load_with_policy(self, incident: UUID) -> tuple[IncidentView, Policy]:
        loaded = await super().load_with_policy(incident)
        if self._what == "worsened":
            await self._store.fail(error=REFUSED_GRANT)
        else:
            await self._store.close(incident, Resolution.FALSE_ALARM)
        return loaded


class TestConfirming:
    async def test_a_failure_during_the_look_is_not_closed_over(self, store: Store) -> None:
        """It passed our check, but failed again after that had begun: look again."""
        incident, incidents = await _disconnected(store), IncidentStore(store.pool)
        seen = (await incidents.monitored(incident))["last_failure_at"]
        await store.fail(1)
        assert not await incidents.confirm(incident, Check.WORKING, seen)
        assert (await store.incident(incident))["status"] == "open"
        newest = (await incidents.monitored(incident))["last_failure_at"]
        assert await incidents.confirm(incident, Check.WORKING, newest)
        assert (await store.incident(incident))["resolution"] == "not_confirmed"

    @pytest.mark.parametrize("check", [Check.BROKEN, Check.INCONCLUSIVE, Check.DEGRADED])
    async def test_anything_but_working_confirms(self, store: Store, check: Check) -> None:
        """Once."""
        incident, incidents = await _disconnected(store), IncidentStore(store.pool)
        for _ in range(2):
            assert await incidents.confirm(incident, check, NOON)
        assert await store.timeline(incident) == ["detected", "confirmed"]

    async def test_what_was_closed_meanwhile_stays_closed(self, store: Store) -> None:
        incident, incidents = await _disconnected(store), IncidentStore(store.pool)
        await store.close(incident, Resolution.NO_LONGER_USED)
        assert await incidents.confirm(incident, Check.WORKING, NOON)
        assert (await store.incident(incident))["resolution"] == "no_longer_used"


class TestRecovering:
    async def _check(self, store: Store, incident: UUID, check: Check, failure: datetime | None) -> None:
        await IncidentStore(store.pool).record_check(
            incident, check, now(), seen_hint=2, seen_failure=failure, detail="as seen"
        )

    async def test_a_failure_during_the_check_wins(self, store: Store) -> None:
        """The hint stays open, so that it is looked at again."""
        incident = await _disconnected(store)
        await store.work(1)
        await store.fail(2)
        await self._check(store, incident, Check.WORKING, NOON)
        row = await store.incident(incident)
        assert (row["status"], row["hint_seq"] > row["checked_seq"]) == ("open", True)

    async def test_a_newer_hint_during_a_failed_check_is_followed_up(self, store: Store) -> None:
        incident = await _disconnected(store)
        await store.work(1)
        await store.work(2)
        await self._check(store, incident, Check.BROKEN, NOON)
        row = await store.incident(incident)
        assert row["hint_seq"] > row["checked_seq"]

    async def test_what_failed_after_the_evidence_still_counts(self, store: Store) -> None:
        """A success is evidence for its own time: a failure a minute later, heard of only now, is a relapse."""
        incident = await _disconnected(store)
        await store.work(1)
        await self._check(store, incident, Check.REPORTED_WORKING, NOON)
        assert (await store.incident(incident))["status"] == "recovering"
        assert (await store.health())["last_success_at"] == NOON + timedelta(minutes=1)
        assert (await store.fail(2)).incident == incident
        assert (await store.incident(incident))["status"] == "open"

    async def test_our_own_check_and_a_persons_word_are_of_now(self, store: Store) -> None:
        """What failed before them, and is heard of later, changes nothing."""
        for check, kind in ((Check.WORKING, "callback"), (Check.REPORTED_WORKING, "person")):
            incident = (await store.fail()).incident
            assert incident is not None
            await store.actions.hint(incident, kind)
            await self._check(store, incident, check, (await store.health())["last_failure_at"])
            assert (await store.fail(5)).incident == incident
            assert (await store.incident(incident))["status"] == "recovering"
            await store.pool.execute("update incidents set status = 'closed' where id = $1", incident)

    async def test_what_arrived_unseen_keeps_it_from_closing(self, store: Store) -> None:
        """Compare-and-set: refused, and everything is as it was (promise 3)."""
        incident, incidents = await _disconnected(store), IncidentStore(store.pool)
        await store.work(1)
        await self._check(store, incident, Check.REPORTED_WORKING, NOON)
        seen = (await store.incident(incident))["last_seq"]
        await store.pool.execute("update incidents set last_seq = last_seq + 1")
        assert not await incidents.close_recovered(incident, seen)
        assert (await store.incident(incident))["status"] == "recovering"
        assert await incidents.close_recovered(incident, seen + 1)
        assert not await incidents.close_recovered(incident, seen + 1)
        assert (await store.timeline(incident)).count("closed") == 1

    async def test_an_event_after_the_close_opens_the_next(self, store: Store) -> None:
        """None is attached to an incident that closed without having seen it."""
        incident, incidents = await _disconnected(store), IncidentStore(store.pool)
        await store.work(1)
        await self._check(store, incident, Check.REPORTED_WORKING, NOON)
        assert await incidents.close_recovered(incident, 2)
        again = await store.fail()
        assert again.incident != incident
        assert (await store.incident(again.incident))["number"] == 2
        assert (await store.incident(incident))["last_seq"] == 2


class TestTelling:
    async def test_worsened_while_its_impact_was_assessed(self, store: Store) -> None:
        """The severity of the degraded incident does not overwrite that of the disconnected one."""
        incident = await _degraded(store)
        await Impact(store.pool, _Interrupted(store, "worsened")).assess_impact(IncidentRef(incident_id=incident))
        assert (await store.incident(incident))["severity"] == "high"
        await Impact(store.pool, ViewLoader(store.pool)).assess_impact(IncidentRef(incident_id=incident))
        assert (await store.timeline(incident)).count("assessed") == 1

    async def test_worsened_while_people_were_told(self, store: Store) -> None:
        """They were told of the degradation only, so the rest of the steps is still due."""
        incident, incidents = await _degraded(store), IncidentStore(store.pool)
        await store.fail(error=REFUSED_GRANT)
        marks = Incidents(incidents, lambda: ())
        await marks.mark_informed(InformedInput(incident_id=incident, kind=Kind.DEGRADED))
        assert not (await incidents.situation(incident)).informed
        await marks.mark_informed(InformedInput(incident_id=incident, kind=Kind.DISCONNECTED))
        assert (await incidents.situation(incident)).informed

    async def test_closed_while_a_step_was_on_its_way(self, store: Store) -> None:
        """No task, no risk signal and no score change are left behind by an incident that is over."""
        at = IncidentAt(incident_id=await _disconnected(store), now=now())
        await store.pool.execute("update integration_health set is_critical = true")
        await Impact(store.pool, _Interrupted(store, "closed")).create_risk_signal(at)
        await Tasks(store.pool, ViewLoader(store.pool)).create_task(at)
        await HealthScores(store.pool).update_health_score(at)
        for table in ("risk_signals", "tasks", "health_score_adjustments"):
            assert await store.value(f"select count(*) from {table}") == 0

    async def test_every_step_may_be_repeated(self, store: Store) -> None:
        """Exactly once, however often it runs (promise 6)."""
        at = IncidentAt(incident_id=await _disconnected(store), now=now())
        await store.pool.execute("update integration_health set is_critical = true")
        views = ViewLoader(store.pool)
        for _ in range(3):
            await Impact(store.pool, views).assess_impact(at)
            await Impact(store.pool, views).create_risk_signal(at)
            await Tasks(store.pool, views).create_task(at)
            await HealthScores(store.pool).update_health_score(at)
        for table in ("risk_signals", "tasks", "health_score_adjustments"):
            assert await store.value(f"select count(*) from {table}") == 1
        assert await store.value("select health_score from customers where external_id = 'techcorp'") == 90
        assert sorted(await store.timeline(at.incident_id)) == sorted(
            ["detected", "assessed", "risk_signal_created", "task_created", "health_score_adjusted"]
        )

    @pytest.mark.parametrize(("restored", "score"), [(True, 100), (False, 90)])
    async def test_the_score_is_given_back_once_if_the_policy_says_so(
        self, store: Store, restored: bool, score: int
    ) -> None:
        store.set_policy("health_score", restore_on_resolution=restored)
        at = IncidentAt(incident_id=await _disconnected(store), now=now())
        await store.pool.execute("update integration_health set is_critical = true")
        await HealthScores(store.pool).update_health_score(at)
        await store.close(at.incident_id, Resolution.FALSE_ALARM)
        await HealthScores(store.pool).update_health_score(at)
        assert await store.value("select health_score from customers where external_id = 'techcorp'") == score
