"""The policy in force, played over a past that was made under it, predicts exactly what happened."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from activities.db.actions import ActionRefusedError
from activities.db.backtest import BacktestStore
from activities.playbooks import load_catalogue
from tests.workflows.past import Past
from tests.workflows.world import CSM, World
from workflows.contracts import Resolution
from workflows.domain.backtest_facts import Incident
from workflows.domain.backtest_play import Play

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
BOSS = {"email": "boss@vendor.example"}
POLICIES: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "hold, and the ladder of a nervous company": {
        "notify": {"hold": "2m"},
        "detection": {"confirm_failures": 3, "degraded_alert_after": "3h"},
        "people": {
            "cs_leadership": {"email": "boss@vendor.example"},
            "engineering": {"email": "oncall@vendor.example"},
        },
        "customer": {"reminders": ["2h", "5h", "9h"], "min_between_mails": "45m", "group_within": "1m"},
        "recovery": {"quiet_window": "25m"},
    },
    "each by itself": {
        "customer": {"auto_send": True, "min_between_mails": "0s", "group_within": "0s"},
        "detection": {"confirm_failures": 1},
    },
    "the csm decides": {
        "customer": {"auto_send": False},
        "people": {"cs_leadership": {"email": "boss@vendor.example"}},
    },
}
TYPES = ("salesforce", "slack", "webhook")
REVOKED = {"code": "invalid_grant", "http_status": 400, "surface": "token_endpoint"}
UNAVAILABLE = {"http_status": 503, "surface": "rest_api"}
OURS = {"code": "invalid_client", "http_status": 401, "surface": "token_endpoint"}
LIMITED = {"http_status": 429, "surface": "rest_api"}
EVENTS: list[dict[str, Any]] = [
    {"event_type": "auth_failure", "error": REVOKED},
    {"event_type": "auth_failure"},
    {"event_type": "sync_error", "error": UNAVAILABLE},
    {"event_type": "sync_error", "error": UNAVAILABLE},
    {"event_type": "sync_error", "error": LIMITED},
    {"event_type": "auth_failure", "error": OURS},
    {"event_type": "integration_status_changed", "new_status": "degraded"},
    {"event_type": "sync_succeeded"},
    {"event_type": "sync_succeeded"},
    {"event_type": "sync_succeeded"},
    {"event_type": "reconnected"},
    {"event_type": "customer_reported"},
]
WAITS = (SECOND, 10 * SECOND, MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR, 7 * HOUR, 30 * HOUR)


async def live(world: World, chance: random.Random, steps: int) -> None:
    """A random past: events of three integrations, and people who do something about some incidents."""
    past = Past(world)
    for _ in range(steps):
        kind = chance.choice(TYPES)
        if chance.random() < 0.75:
            event = chance.choice(EVENTS)
            await world.say(integration_type=kind, integration_id="one", **event)
            # Several break at the same moment; not in that of a repair, where it is a race which of the two came first.
            if "error" in event and chance.random() < 0.3:
                await world.say(integration_type=chance.choice(TYPES), integration_id="one", **EVENTS[0])
        elif incident := await past.incident_of(kind):
            try:
                await react(world, chance, incident)
            except ActionRefusedError:
                continue  # such as a call for somebody without an address
            await world.ring.incident(incident)
        await past.settles()
        await past.passes(chance.choice(WAITS))


async def react(world: World, chance: random.Random, incident: Any) -> None:
    match chance.randrange(5):
        case 0:
            await world.actions.acknowledge(incident, CSM)
        case 1:
            await world.actions.snooze(incident, CSM, datetime.now(UTC) + chance.choice((HOUR, 3 * HOUR)))
        case 2:
            await world.actions.report_fixed(incident, CSM)
        case 3:
            await world.actions.send_fix_instructions(incident, CSM)
        case 4:
            await world.actions.close(incident, CSM, Resolution.FALSE_ALARM)


def shown(incident: Incident | None) -> tuple[object, ...]:
    if incident is None:
        return ()
    told = (
        incident.alerts,
        incident.all_clears,
        incident.by_hand,
        incident.escalations,
        incident.pages,
    )
    return (incident.integration, incident.kind, incident.severity, incident.resolution, *told)


@pytest.mark.parametrize("policy", POLICIES)
async def test_the_policy_in_force_predicts_what_happened(world: World, policy: str) -> None:
    """Every incident, severity, alert, mail, reminder, all-clear, escalation and page, and when, to a few seconds: over
    a past that the real workflows, activities and statements made."""
    for n, kind in enumerate(TYPES):
        await world.pool.execute(
            "insert into integration_health (customer_id, integration_type, integration_id, is_critical)"
            " select id, $1, 'one', $2 from customers",
            *(kind, n == 0),
        )
    world.set_policy(**POLICIES[policy])
    async with world.make_worker():
        await live(world, random.Random(policy), 40)
        until = datetime.now(UTC)
        store = BacktestStore(world.pool, load_catalogue())
        [customer] = [customer async for customer in store.customers(until - timedelta(days=60))]
    played = Play(customer, world.policy.current, until).run()
    happened = sorted(customer.incidents, key=lambda i: i.detected_at)
    played.sort(key=lambda i: i.detected_at)
    assert len(happened) >= 5
    differing = [(one, real) for one, real in zip_longest(played, happened) if shown(one) != shown(real)]
    assert differing == []
    for name in ("first_mails", "reminders"):  # of those that are told together, any may be the one whose row says so
        assert sum(getattr(i, name) for i in played) == sum(getattr(i, name) for i in happened)
    for one, real in zip(played, happened, strict=True):
        for name in ("opened_at", "detected_at", "worsened_at", "alerted_at", "closed_at"):
            then, now = getattr(real, name), getattr(one, name)
            assert (then is None) == (now is None), (name, one, real)
            assert then is None or abs(then - now) < 5 * SECOND, (name, one, real)


async def relink(world: World, *arguments: str) -> tuple[int, str, str]:
    """The command line, as a process: exit code, output, complaints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter", *arguments),
        env=os.environ | {"RELINK_DATABASE_URL": world.database},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_command(world: World, tmp_path: Path) -> None:
    """`relink policy test FILE`: the answer first, then the figures, then what would be missed; or as one document."""
    world.set_policy(detection={"confirm_failures": 2})
    await world.pool.execute("update customers set name = 'Tech[/bold]Corp'")
    past = Past(world)
    async with world.make_worker():
        for _ in range(2):
            await world.say("sync_error", error=UNAVAILABLE)
            await past.passes(MINUTE)
        await past.settles()
        await past.passes(20 * HOUR)
        await world.say("sync_succeeded")
        await past.settles()
        await past.passes(20 * MINUTE)
    file = tmp_path / "patient.toml"
    file.write_text("[detection]\nconfirm_failures = 3\n")
    code, out, err = await relink(world, "policy", "test", str(file), "--window", "7d", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["summary"] == "0 → 0 mails, 1 incident fewer, 1 missed, slowest detection unchanged"
    assert found["is_faithful"] is True
    assert (found["happened"]["incidents"], found["current"]["incidents"], found["changed"]["incidents"]) == (1, 1, 0)
    assert found["missed"][0]["reason"] == "2 failures in a row; detection.confirm_failures is 3"
    code, out, err = await relink(world, "policy", "test", str(file))
    assert (code, err) == (0, "")
    assert out.startswith("0 → 0 mails, 1 incident fewer, 1 missed")
    assert "Tech[/bold]Corp" in out
    assert "People and providers are not predicted" in out


async def test_a_wrong_file_is_refused_as_at_start(world: World, tmp_path: Path) -> None:
    """By name, and with nothing else done."""
    file = tmp_path / "wrong.toml"
    file.write_text("[detection]\nconfirm_failure = 3\n[notify]\nhold = 10\n")
    code, out, err = await relink(world, "policy", "test", str(file))
    assert (code, out) == (1, "")
    assert "detection.confirm_failure: unknown key" in err
    assert "notify.hold" in err
    code, _, err = await relink(world, "policy", "test", str(tmp_path / "none.toml"))
    assert code == 1
    assert "none.toml" in err
    code, _, err = await relink(world, "policy", "test", str(file), "--window", "soon")
    assert code == 1
