"""Health metrics (FR-1.5): what is counted is exact, what is estimated is close."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.db.metrics import MetricStore
from activities.policy import PolicyError, load_policy
from activities.probes.seen import Seen
from tests.monitoring.scene import LIMITED, REVOKED, UNAVAILABLE, WORKING, Scene, at
from workflows.domain.metrics import MOST_BINS, PRECISION, Tally, added, bucket_start, histogram_of, quantile, why_poor

LATENCIES = st.lists(st.floats(0.0, 100.0).map(lambda s: timedelta(seconds=s)), min_size=1, max_size=300)
SHARES = st.floats(0.01, 1.0)


def exact(latencies: list[timedelta], share: float) -> float:
    """The nearest-rank quantile, in seconds."""
    rank = max(math.ceil(share * len(latencies)), 1)
    return sorted(latencies)[rank - 1].total_seconds()


@given(LATENCIES, SHARES)
def test_a_quantile_is_off_by_less_than_a_bin(latencies: list[timedelta], share: float) -> None:
    """At most 19 % away from the exact one, and a millisecond at the lower end."""
    found = quantile(histogram_of(latencies), share)
    assert found is not None
    true = exact(latencies, share)
    assert found.total_seconds() <= max(true * PRECISION, 0.001) + 1e-5
    assert found.total_seconds() >= true / PRECISION - 0.001


@given(LATENCIES, LATENCIES, SHARES)
def test_histograms_add_up(one: list[timedelta], other: list[timedelta], share: float) -> None:
    """Two buckets merged say the same as one bucket that saw everything."""
    merged = added(histogram_of(one), histogram_of(other))
    assert merged == histogram_of(one + other)
    assert quantile(merged, share) == quantile(histogram_of(one + other), share)


@given(LATENCIES)
def test_a_histogram_is_small_and_complete(latencies: list[timedelta]) -> None:
    """Every look is in it once, and it never has more than 68 bins."""
    histogram = histogram_of(latencies)
    assert sum(histogram) == len(latencies)
    assert len(histogram) <= MOST_BINS
    assert histogram[-1] > 0


def test_nothing_seen_is_nothing_said() -> None:
    """No rate and no latency without looks that tell."""
    assert Tally().success_rate is Tally().p50 is Tally().p95 is None
    assert Tally(probes=3).success_rate is None


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["1m", "15m", "1h", "1d"]))
def test_buckets_tile_the_day(moment: datetime, length: str) -> None:
    """Each moment is in exactly one bucket, and buckets begin at the same times every day."""
    span = {"1m": timedelta(minutes=1), "15m": timedelta(minutes=15), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
    start = bucket_start(moment, span[length])
    assert start <= moment < start + span[length]
    assert (start - start.replace(hour=0, minute=0)) % span[length] == timedelta()


def test_a_bucket_must_divide_a_day(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A policy with another one is refused by name."""
    own = tmp_path_factory.mktemp("policy") / "policy.toml"
    own.write_text('[metrics]\nbucket = "7m"\n')
    with pytest.raises(PolicyError, match=r"metrics\.bucket"):
        load_policy(own)


async def test_counts_are_exact(scene: Scene) -> None:
    """Looks, successes and failures add up over sweeps; rate limits are looks and neither; latencies are kept."""
    scene.change("metrics", bucket="1d", min_success=0.0)
    [integration] = await scene.add()
    slow = replace(WORKING, latency=timedelta(seconds=2))
    for seen in (WORKING, WORKING, slow, UNAVAILABLE, LIMITED, WORKING, Seen(UNAVAILABLE.check, "no look at all")):
        scene.sees(seen)
        await scene.make_due()
        await scene.sweep()
    buckets = await MetricStore(scene.pool).health_metrics(integration, at(days=-2))
    total = sum((bucket.tally for bucket in buckets), Tally())
    assert (total.probes, total.successes, total.failures, sum(total.latency)) == (7, 4, 1, 6)
    assert total.success_rate == 0.8
    assert total.p50 is not None
    assert 0.08 / PRECISION <= total.p50.total_seconds() <= 0.08 * PRECISION


async def test_old_metrics_are_forgotten(scene: Scene) -> None:
    """What is older than the retention goes, the rest stays."""
    [integration] = await scene.add()
    await scene.sweep()
    await scene.pool.execute(
        "insert into health_metrics select $1, now() - make_interval(days => n), 1, 1, 0, '{}'"
        " from generate_series(1, 99) n",
        integration,
    )
    store = MetricStore(scene.pool)
    assert await store.forget(at(days=-90)) == 10
    assert await store.forget(at(days=-90)) == 0
    assert len(await store.health_metrics(integration, at(days=-200))) == 90


async def test_unreliable_is_degraded_though_it_works_now(scene: Scene) -> None:
    """Every third look fails: never confirmed, but too often; degraded, until an hour of good looks."""
    [integration] = await scene.add()
    for n in range(9):
        scene.sees(UNAVAILABLE if n % 3 == 1 else WORKING)
        await scene.make_due()
        await scene.sweep()
    row, probe = await scene.health(integration), await scene.probe(integration)
    assert row["status"] == "degraded"
    assert "looks succeeded lately" in row["failure_reason"]
    assert probe["last_probe"]["outcome"] == "poor"
    assert await scene.count("incidents") == 0
    await scene.pool.execute("update health_metrics set bucket_start = bucket_start - interval '2 hours'")
    await scene.make_due()
    await scene.sweep()
    assert (await scene.health(integration))["status"] == "healthy"


async def test_slow_is_degraded(scene: Scene) -> None:
    """Answers that come, but later than metrics.max_p95."""
    [integration] = await scene.add()
    scene.sees(replace(WORKING, latency=timedelta(seconds=9.5)))
    for _ in range(6):
        await scene.make_due()
        await scene.sweep()
    assert (await scene.health(integration))["status"] == "degraded"
    assert "slowest" in (await scene.health(integration))["failure_reason"]


async def test_what_was_before_the_last_incident_ended_is_over(scene: Scene) -> None:
    """An hour of failures does not make the repaired connection a poor one, nor its recovery a relapse."""
    [integration] = await scene.add()
    scene.sees(REVOKED)
    for _ in range(12):
        await scene.make_due()
        await scene.sweep()
    scene.sees(WORKING)
    await scene.make_due()
    await scene.sweep()
    assert (await scene.probe(integration))["last_probe"]["outcome"] == "working"
    await scene.pool.execute("update incidents set status = 'closed', resolution = 'verified', closed_at = now()")
    await scene.pool.execute(
        "update integration_health set status = 'healthy', failure_count = 0, last_closed_at = now()"
    )
    await scene.make_due()
    await scene.sweep()
    assert (await scene.health(integration))["status"] == "healthy"


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_rate_is_poor_only_with_enough_looks(successes: int, failures: int) -> None:
    """Six looks at least, and fewer than four in five of them good."""
    poor = why_poor(Tally(successes + failures, successes, failures), 0.8, timedelta(seconds=8)) is not None
    assert poor == (successes + failures >= 6 and successes < 0.8 * (successes + failures))


async def test_a_passive_look_has_no_latency(scene: Scene) -> None:
    """Nothing was asked, so nothing took time."""
    ids: list[UUID] = await scene.add(1, {"kind": "heartbeat", "every": "1h"})
    scene.sees(replace(WORKING, latency=None))
    await scene.sweep()
    [bucket] = await MetricStore(scene.pool).health_metrics(ids[0], at(days=-2))
    assert bucket.tally == Tally(1, 1, 0, ())
