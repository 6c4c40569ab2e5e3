"""When to look again, and what is news: the pure rules of the sweep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from workflows.domain.status import HealthStatus
from workflows.domain.sweep import MOST_PATIENT, News, Outcome, Pace, Standing, Streak, news_of, next_look

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

outcomes = st.sampled_from(Outcome)
spans = st.timedeltas(min_value=SECOND, max_value=timedelta(days=1))
paces = st.builds(Pace, spans, st.just(30 * SECOND), st.integers(1, 5))
streaks = st.builds(Streak, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
patience = st.none() | st.timedeltas(min_value=timedelta(), max_value=timedelta(days=30))
chances = st.floats(0, 1)
standings = st.builds(
    Standing,
    st.sampled_from(HealthStatus),
    failing=st.booleans(),
    muted=st.booleans(),
    incident=st.sampled_from(["none", "open", "recovering"]),
    same=st.booleans(),
    asked=st.booleans(),
)


@given(outcomes, streaks, paces, patience, chances)
def test_the_next_look_is_ahead_and_never_far(
    outcome: Outcome, streak: Streak, pace: Pace, asked: timedelta | None, chance: float
) -> None:
    """Whatever a peer asks for: after some time, within the interval, an hour's backoff or six hours of patience."""
    wait = next_look(NOW, outcome, streak, pace, asked, chance) - NOW
    assert timedelta() < wait <= max(pace.interval, MOST_PATIENT) + 10 * SECOND


@given(outcomes, streaks, paces, patience, chances)
def test_nobody_is_asked_twice_within_an_interval_but_to_confirm(
    outcome: Outcome, streak: Streak, pace: Pace, asked: timedelta | None, chance: float
) -> None:
    """Only an unconfirmed failure, or our own dead network, brings the next look forward."""
    assume(outcome not in {Outcome.FAILED, Outcome.OUR_NETWORK})
    assert next_look(NOW, outcome, streak, pace, asked, chance) - NOW >= pace.interval


@given(spans, chances)
def test_two_failures_take_an_interval_and_less_than_a_minute(interval: timedelta, chance: float) -> None:
    """Trouble that begins just after a good look is confirmed by the second failed look, in time."""
    pace = Pace(interval, 30 * SECOND, confirm_failures=2)
    first = next_look(NOW, Outcome.WORKING, Streak(successes=1), pace, None, chance)
    second = next_look(first, Outcome.FAILED, Streak(failures=1), pace, None, chance)
    assert second - NOW <= interval + 45 * SECOND


@given(st.lists(outcomes, max_size=30))
def test_streaks_count_what_came_in_a_row(seen: list[Outcome]) -> None:
    """A success ends a run of failures and a failure a run of successes; what tells nothing ends neither."""
    streak = Streak()
    for outcome in seen:
        streak = streak.after(outcome)
    telling = [o for o in seen if o in {Outcome.WORKING, Outcome.POOR, Outcome.BROKEN, Outcome.FAILED}]
    good = [o in {Outcome.WORKING, Outcome.POOR} for o in telling]
    last_bad = max((i for i, g in enumerate(good) if not g), default=-1)
    last_good = max((i for i, g in enumerate(good) if g), default=-1)
    assert streak.failures == (0 if not telling else len(good) - 1 - last_good)
    assert not (streak.failures and streak.successes)
    if Outcome.LIMPING not in seen:
        assert streak.successes == len(good) - 1 - last_bad


@given(outcomes, standings, streaks)
def test_only_what_changes_something_is_news(outcome: Outcome, standing: Standing, streak: Streak) -> None:
    """What could not be seen is never news, a failure is never forgotten, and a relapse never quiet."""
    news = news_of(outcome, standing, streak, confirm_recoveries=1)
    if outcome in {Outcome.UNKNOWN, Outcome.OUR_NETWORK}:
        assert news is News.NOTHING
    if outcome in {Outcome.BROKEN, Outcome.FAILED}:
        assert news in {News.FAILED, News.STILL_FAILS}
        told = standing.status is HealthStatus.DISCONNECTED and (standing.incident == "open" or standing.muted)
        assert (news is News.STILL_FAILS) == told
    if standing.incident == "recovering" and outcome is Outcome.BROKEN and not standing.muted:
        assert news is News.FAILED
    if outcome is Outcome.WORKING and standing.status is not HealthStatus.HEALTHY:
        assert news is (News.WORKS_AGAIN if standing.asked and streak.successes else News.NOTHING)
