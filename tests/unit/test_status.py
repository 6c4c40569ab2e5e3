"""What observations mean, whatever their order: no failure lost, no incident twice, nothing judged by its arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain.status import (
    Effect,
    Failed,
    Health,
    HealthStatus,
    Observation,
    Verdict,
    Weight,
    judge,
)

NOON = datetime(2026, 1, 29, 12, tzinfo=UTC)
CONFIRM = 2
HEALTHY, DEGRADED, DISCONNECTED = HealthStatus


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def failed(minute: float, weight: Weight = Weight.TERMINAL) -> Observation:
    return Observation(at(minute), Effect.FAILURE, weight)


def limped(minute: float) -> Observation:
    return failed(minute, Weight.RETRYABLE)


def worked(minute: float) -> Observation:
    return Observation(at(minute), Effect.SUCCESS)


def seen(observations: Iterable[Observation], health: Health | None = None) -> Health:
    """The health after these, while no incident is ever opened."""
    health = health or Health()
    for observation in observations:
        health = judge(health, observation, confirm_failures=CONFIRM).health
    return health


# Few different times, so that ties and repetitions are common.
observations = st.builds(
    Observation,
    st.integers(0, 9).map(at),
    st.sampled_from(Effect),
    st.sampled_from(Weight),
)
sequences = st.lists(observations, max_size=12)


@dataclass
class Service:
    """The judgement together with what the rest of the service does about it."""

    health: Health = field(default_factory=Health)
    opened: int = 0
    closed: int = 0

    def hear(self, observation: Observation) -> Verdict:
        verdict = judge(self.health, observation, confirm_failures=CONFIRM)
        self.health = verdict.health
        if verdict.disconnects and not self.health.incident_open:
            self.opened += 1
            self.health = replace(self.health, incident_open=True)
        return verdict

    def close(self, when: datetime, *, by_hand: bool) -> None:
        """The incident ends: its connection was seen to work, or a person says that it is not needed."""
        if not self.health.incident_open:
            return
        self.closed += 1
        success = self.health.last_success_at if by_hand else max(filter(None, (self.health.last_success_at, when)))
        edge = max(filter(None, (success, when)))
        self.health = replace(
            self.health,
            status=self.health.status if by_hand else HEALTHY,
            failures=tuple(f for f in self.health.failures if f.at >= edge),
            failing_since=None,
            last_success_at=success,
            last_closed_at=when,
            muted=by_hand,
            incident_open=False,
        )


def facts(observations: Sequence[Observation]) -> tuple[list[Observation], datetime | None]:
    """The failures that count, from all that was ever observed, and the newest success."""
    newest = max((o.occurred_at for o in observations if o.effect in {Effect.SUCCESS, Effect.HINT}), default=None)
    failures = [o for o in observations if o.effect is Effect.FAILURE]
    return [f for f in failures if newest is None or f.occurred_at >= newest], newest


def is_confirmed(failures: Sequence[Observation]) -> bool:
    weights = [f.weight for f in failures]
    return Weight.TERMINAL in weights or weights.count(Weight.RETRYABLE) >= CONFIRM


@given(sequences)
def test_no_sequence_opens_two_incidents(heard: list[Observation]) -> None:
    service = Service()
    for observation in heard:
        service.hear(observation)
    assert service.opened <= 1


@given(st.lists(observations | st.tuples(st.integers(0, 9).map(at), st.booleans()), max_size=16))
def test_one_incident_at_a_time_also_with_closes_between(
    heard: list[Observation | tuple[datetime, bool]],
) -> None:
    service = Service()
    for what in heard:
        if isinstance(what, Observation):
            service.hear(what)
        else:
            service.close(what[0], by_hand=what[1])
        assert service.opened - service.closed == int(service.health.incident_open)


@given(sequences)
def test_no_disconnection_is_lost(heard: list[Observation]) -> None:
    """If the failures that count are enough to confirm it, there is an incident, whatever came in when."""
    service = Service()
    for observation in heard:
        service.hear(observation)
    failures, _ = facts(heard)
    if is_confirmed(failures):
        assert service.opened == 1
        assert service.health.status is DISCONNECTED


@given(sequences, st.randoms())
def test_the_order_of_arrival_does_not_change_what_is_known(heard: list[Observation], random: object) -> None:
    """Neither the status, nor since when, nor what counts."""
    shuffled = list(heard)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert seen(shuffled) == seen(heard)


@given(sequences)
def test_the_status_is_what_the_facts_add_up_to(heard: list[Observation]) -> None:
    failures, newest = facts(heard)
    health = seen(heard)
    expected = DISCONNECTED if is_confirmed(failures) else DEGRADED if failures else HEALTHY
    assert health.status is expected
    assert health.failing_since == min((f.occurred_at for f in failures), default=None)
    assert health.last_failure_at == max((f.occurred_at for f in failures), default=None)
    assert health.last_success_at == newest
    assert len(health.failures) == len(failures)


@given(sequences, st.integers(0, 9), st.sampled_from(Weight))
def test_a_stale_failure_changes_nothing(heard: list[Observation], minute: int, weight: Weight) -> None:
    """Older than the newest success: not even a flag."""
    health = seen(heard)
    if health.last_success_at is not None and at(minute) < health.last_success_at:
        assert judge(health, failed(minute, weight), confirm_failures=CONFIRM) == Verdict(health)


@given(sequences, st.integers(0, 9), st.sampled_from(Weight))
def test_nor_does_a_failure_from_before_the_last_close(heard: list[Observation], closed: int, weight: Weight) -> None:
    health = replace(seen(heard), last_closed_at=at(closed))
    assert judge(health, failed(closed - 1, weight), confirm_failures=CONFIRM) == Verdict(health)
    assert judge(replace(health, last_success_at=None), failed(closed, weight), confirm_failures=CONFIRM).failed


@given(sequences, observations)
def test_rate_limits_and_notes_never_count(heard: list[Observation], one: Observation) -> None:
    for effect in (Effect.RATE_LIMIT, Effect.NOTE):
        health = seen(heard)
        assert judge(health, replace(one, effect=effect), confirm_failures=CONFIRM) == Verdict(health)


@given(sequences, observations)
def test_a_removed_integration_is_not_judged(heard: list[Observation], one: Observation) -> None:
    health = replace(seen(heard), removed=True)
    assert judge(health, one, confirm_failures=CONFIRM) == Verdict(health)


@given(sequences)
def test_muted_opens_nothing_until_a_success_after_the_close(heard: list[Observation]) -> None:
    health = Health(muted=True, last_closed_at=at(5))
    for observation in heard:
        verdict = judge(health, observation, confirm_failures=CONFIRM)
        is_success = observation.effect in {Effect.SUCCESS, Effect.HINT} and observation.occurred_at > at(5)
        assert verdict.health.muted == (health.muted and not is_success)
        assert not (verdict.disconnects and verdict.health.muted)
        health = verdict.health


@given(sequences, st.integers(0, 9))
def test_with_a_monitor_a_reconnection_is_only_a_hint(heard: list[Observation], minute: int) -> None:
    """It changes no fact, and is worth a look while an incident is open."""
    for is_open in (False, True):
        health = replace(seen(heard), monitored=True, incident_open=is_open)
        verdict = judge(health, Observation(at(minute), Effect.HINT), confirm_failures=CONFIRM)
        assert verdict == Verdict(health, recovery_hinted=is_open)


@given(sequences)
def test_an_open_incident_is_never_called_healthy_by_an_event(heard: list[Observation]) -> None:
    """Its workflow decides that."""
    service = Service()
    for observation in heard:
        was_open = service.health.incident_open
        verdict = service.hear(observation)
        if was_open:
            assert service.health.status is DISCONNECTED
        if verdict.recovery_hinted:
            assert was_open
            assert service.health.failures == ()


@pytest.mark.parametrize("order", [(failed, worked), (worked, failed)])
def test_ties_go_to_the_failure(order: Sequence[object]) -> None:
    assert seen([what(5) for what in order]).status is DISCONNECTED  # type: ignore[operator]


def test_a_success_later_than_every_failure_is_a_recovery_only_then() -> None:
    health = replace(seen([failed(5)]), incident_open=True)
    for minute, hinted in ((4, False), (5, False), (6, True)):
        assert judge(health, worked(minute), confirm_failures=CONFIRM).recovery_hinted is hinted


@pytest.mark.parametrize("needed", [1, 2, 5])
def test_so_many_retryable_failures_as_the_policy_says(needed: int) -> None:
    health, flags = Health(), []
    for minute in range(needed + 1):
        verdict = judge(health, limped(minute), confirm_failures=needed)
        health = verdict.health
        flags.append(verdict.disconnects)
    assert flags == [False] * (needed - 1) + [True, True]


def test_limping_confirms_nothing_however_often() -> None:
    health = seen([failed(minute, Weight.LIMPING) for minute in range(9)])
    assert health.status is DEGRADED
    assert health.degraded_since == at(0)
    assert seen([limped(9)], health).status is DEGRADED
    assert seen([limped(9), limped(9)], health).status is DISCONNECTED


def test_since_when_survives_more_failures_than_are_loaded() -> None:
    """Only the newest hundred failures are looked at; the run began when it began."""
    health = Health(status=DEGRADED, failures=(Failed(at(8)),), failing_since=at(1))
    assert seen([failed(9, Weight.LIMPING)], health).degraded_since == at(1)
    assert seen([worked(2)], health).degraded_since == at(8)
    assert seen([worked(9)], health).degraded_since is None
