"""The policy file: merged over the shipped one, refused by name, read again on SIGHUP."""

from __future__ import annotations

import asyncio
import os
import signal
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import worker
from activities.policy import PolicyError, PolicySource, load_policy
from activities.settings import ROOT
from workflows.domain.policy import Policy, Severity


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own.toml"


def test_the_shipped_policy_is_that_of_the_contract() -> None:
    policy = load_policy()
    assert (policy.severity.arr_high, policy.severity.arr_medium) == (100_000, 25_000)
    assert (policy.detection.confirm_failures, policy.detection.degraded_alert_after) == (2, timedelta(hours=24))
    assert policy.notify.hold == timedelta(0)
    assert policy.task.due_after == timedelta(hours=4)
    assert (policy.health_score.critical_adjustment, policy.health_score.restore_on_resolution) == (-10, True)
    assert policy.recovery.quiet_window == timedelta(minutes=10)
    ladders = {s: [(step.after, step.to) for step in policy.ladder(s).steps] for s in Severity}
    hours = {name: timedelta(hours=name) for name in (0.5, 1, 2, 8, 24)}
    assert ladders == {
        "critical": [(hours[0.5], "csm_manager"), (hours[2], "cs_leadership")],
        "high": [(hours[1], "csm_manager"), (hours[8], "cs_leadership")],
        "medium": [(hours[24], "csm_manager")],
        "low": [],
    }
    assert {policy.ladder(s).ack_timeout for s in Severity} == {timedelta(hours=4)}
    assert policy.customer.reminders == (timedelta(hours=24), timedelta(hours=72))
    assert policy.customer.auto_send
    assert policy.limits.per_key_per_second == 500


def test_every_key_of_the_shipped_file_is_documented() -> None:
    """A key without a comment, on its line or on its table's, is a key that nobody understands."""
    undocumented, table_is_documented = [], False
    for line in (ROOT / "policy.toml").read_text().splitlines():
        if line.startswith("["):
            table_is_documented = "#" in line or "escalation." in line
        elif "=" in line and not line.startswith("#") and "#" not in line and not table_is_documented:
            undocumented.append(line)
    assert undocumented == []


def test_tables_are_merged_key_by_key_and_arrays_replaced(own: Path) -> None:
    own.write_text(
        '[severity]\narr_high = 50_000\n[customer]\nreminders = ["1h"]\n'
        '[escalation.critical]\nsteps = [{ after = "5m", to = "cs_leadership" }]\n'
        '[people]\ncs_leadership = { email = "vp@vendor.example" }\n'
    )
    shipped, policy = load_policy(), load_policy(own)
    assert (policy.severity.arr_high, policy.severity.arr_medium) == (50_000, 25_000)
    assert policy.customer.reminders == (timedelta(hours=1),)
    assert [step.to for step in policy.escalation.critical.steps] == ["cs_leadership"]
    assert policy.escalation.critical.ack_timeout == timedelta(hours=4)
    assert policy.escalation.high == shipped.escalation.high
    assert policy.people.cs_leadership.email == "vp@vendor.example"
    assert policy.people.engineering == shipped.people.engineering


def test_an_empty_file_changes_nothing(own: Path) -> None:
    own.write_text("")
    assert load_policy(own) == load_policy()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[severity]\narr_hihg = 1", "severity.arr_hihg: unknown key"),
        ("[sverity]\narr_high = 1", "sverity: unknown key"),
        ("arr_high = 1", "arr_high: unknown key"),
        ('[people]\nengineering = { slak = "#x" }', "people.engineering.slak: unknown key"),
        ('[severity]\narr_high = "much"', "severity.arr_high:"),
        ("[severity]\narr_high = -1", "severity.arr_high:"),
        ("[detection]\nconfirm_failures = 0", "detection.confirm_failures:"),
        ("[detection]\nconfirm_failures = 1.5", "detection.confirm_failures:"),
        ("[health_score]\ncritical_adjustment = 10", "health_score.critical_adjustment:"),
        ('[notify]\nhold = "soon"', "notify.hold:"),
        ("[notify]\nhold = 600", "notify.hold:"),
        ('[recovery]\nquiet_window = "-1m"', "recovery.quiet_window:"),
        ('[customer]\nreminders = ["1h", "x"]', "customer.reminders.1:"),
        ('[customer]\nreminders = ["2h", "1h"]', "customer.reminders:"),
        ('[escalation.low]\nsteps = [{ after = "1h", to = "boss" }]', "escalation.low.steps.0.to:"),
        ('[escalation.low]\nsteps = [{ after = "1h", to = "technical_contact" }]', "escalation.low.steps.0.to:"),
        ('[escalation.low]\nsteps = [{ to = "csm_manager" }]', "escalation.low.steps.0.after:"),
        (
            '[escalation.low]\nsteps = [{ after = "2h", to = "csm_manager" }, { after = "1h", to = "cs_leadership" }]',
            "escalation.low.steps:",
        ),
        ("[outage]\nmin_share = 1.5", "outage.min_share:"),
        ("severity = 5", "severity:"),
        ("[severity", "not valid TOML"),
    ],
)
def test_an_unknown_key_or_a_wrong_value_is_refused_by_name(own: Path, text: str, named: str) -> None:
    own.write_text(text)
    with pytest.raises(PolicyError) as refused:
        load_policy(own)
    assert str(own) in str(refused.value)
    assert named in str(refused.value)


def test_all_mistakes_are_named_at_once(own: Path) -> None:
    own.write_text('[severity]\nx = 1\n[notify]\nhold = "y"')
    with pytest.raises(PolicyError, match=r"(?s)severity\.x.*notify\.hold|notify\.hold.*severity\.x"):
        load_policy(own)


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"missing\.toml can't be read"):
        load_policy(tmp_path / "missing.toml")


def test_a_wrong_file_leaves_the_old_policy_in_force(own: Path) -> None:
    own.write_text("[severity]\narr_high = 1")
    source = PolicySource(own)
    own.write_text("[severity]\narr_high = -1")
    with pytest.raises(PolicyError):
        source.reload()
    assert source.current.severity.arr_high == 1
    own.write_text("[severity]\narr_high = 2")
    source.reload()
    assert source.current.severity.arr_high == 2


async def test_hangup_reads_the_file_again(own: Path) -> None:
    """`kill -HUP`: a good file is taken, a wrong one leaves the old policy in force."""
    _say(own, "arr_high = 1")
    source = _Watched(own)
    worker._reload_on_hangup(source)
    try:
        for text, arr in (("arr_high = 2", 2), ("arr_high = 'x'", 2), ("arr_high = 3", 3)):
            _say(own, text)
            source.was_read.clear()
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.wait_for(source.was_read.wait(), 5)
            assert source.current.severity.arr_high == arr
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


class _Watched(PolicySource):
    """Tells when it has been read, well or not."""

    def __init__(self, own: Path) -> None:
        super().__init__(own)
        self.was_read = asyncio.Event()

    def reload(self) -> None:
        try:
            super().reload()
        finally:
            self.was_read.set()


def _say(own: Path, severity: str) -> None:
    own.write_text(f"[severity]\n{severity}")


def test_a_policy_survives_its_way_through_the_database() -> None:
    """Open incidents keep the policy that they started with, as JSON."""
    policy = load_policy()
    stored: dict[str, Any] = policy.model_dump(mode="json")
    assert Policy.model_validate(stored) == policy


def test_a_policy_stored_by_the_first_version_is_still_read() -> None:
    """Tables and keys that came later have defaults: an open incident's policy lacks them."""
    first = {
        "severity": {"arr_high": 100000.0, "arr_medium": 25000.0},
        "detection": {"confirm_failures": 2, "degraded_alert_after": "1d"},
        "notify": {"hold": "0s"},
        "people": {
            "cs_leadership": {"slack": "", "email": ""},
            "engineering": {"slack": "", "email": ""},
            "fallback_csm": {"slack": "", "email": ""},
            "booking_url": "",
        },
        "task": {"due_after": "4h"},
        "health_score": {"critical_adjustment": -10, "restore_on_resolution": True},
        "recovery": {"quiet_window": "10m"},
        "escalation": {name: {"steps": [], "ack_timeout": "4h"} for name in ("critical", "high", "medium", "low")},
        "customer": {"auto_send": True, "reminders": ["1d", "3d"]},
        "monitoring": {"interval": "5m"},
        "limits": {"per_key_per_second": 500},
        "outage": {"min_integrations": 10, "min_share": 0.3, "window": "10m"},
        "chronic": {"incidents": 3, "window": "30d", "uptime": 0.99},
    }
    assert Policy.model_validate(first).recovery.quiet_window == timedelta(minutes=10)


def test_the_shipped_file_has_every_table() -> None:
    shipped = tomllib.loads((ROOT / "policy.toml").read_text())
    assert set(shipped) == set(Policy.model_fields)
