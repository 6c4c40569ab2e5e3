"""The heartbeat monitor: looks connected, is dead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.probes.check import Known, Prober
from activities.probes.monitor import MONITOR
from workflows.contracts import Check
from workflows.domain.heartbeat import feel_pulse, grace

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


@pytest.mark.parametrize(
    ("every", "newest", "registered", "check", "detail"),
    [
        ("1h", ago(minutes=59), ago(days=9), Check.WORKING, "the last successful sync was 59 min ago"),
        ("1h", ago(minutes=75), ago(days=9), Check.WORKING, "the last successful sync was 1 h 15 min ago"),
        ("1h", ago(minutes=75, seconds=1), ago(days=9), Check.BROKEN,
         "no successful sync for 1 h 15 min; one is expected every 1 h"),
        ("1d", ago(hours=24, minutes=50), ago(days=9), Check.WORKING, "the last successful sync was 1 day ago"),
        ("1d", ago(days=3, hours=4), ago(days=9), Check.BROKEN,
         "no successful sync for 3 days 4 h; one is expected every 1 day"),
        ("1h", None, ago(minutes=10), Check.INCONCLUSIVE, "no successful sync yet; one is expected every 1 h"),
        ("1h", None, ago(hours=2), Check.BROKEN,
         "no successful sync since it was set up 2 h ago; one is expected every 1 h"),
        ("1s", ago(seconds=59), ago(days=9), Check.WORKING, "the last successful sync was 59 s ago"),
        ("1h", NOW + timedelta(minutes=3), ago(days=9), Check.WORKING, "the last successful sync was 0 s ago"),
    ],
)  # fmt: skip
async def test_silence(
    prober: Prober, every: str, newest: datetime | None, registered: datetime, check: Check, detail: str
) -> None:
    """Silent for longer than agreed and a quarter more: dead, and the words say since when."""
    known = Known(now=NOW, registered_at=registered, last_successful_sync=newest)
    seen = await prober.look("custom_erp", MONITOR.validate_python({"kind": "heartbeat", "every": every}), known)
    assert (seen.check, seen.detail) == (check, detail)
    if check is Check.BROKEN:
        assert seen.diagnosis is not None
        assert seen.diagnosis.is_terminal
        assert seen.diagnosis.reason.startswith("Went silent: no successful sync")
        assert not seen.diagnosis.self_serve_reconnect


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=400)), st.timedeltas(timedelta(), timedelta(days=1000)))
def test_no_false_alarm_and_no_miss(every: timedelta, silent: timedelta) -> None:
    """Never dead within what was agreed, always dead at twice of it and an hour."""
    pulse = feel_pulse(every, NOW - silent, None, NOW)
    assert timedelta(minutes=1) <= grace(every) <= timedelta(hours=1)
    if silent <= every:
        assert not pulse.is_dead
    if silent > 2 * every + timedelta(hours=1):
        assert pulse.is_dead
