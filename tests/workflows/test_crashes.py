"""The worker is killed between every two steps, and in the middle of sending: nothing is missing, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.codec import data_converter
from starter.schedules import RECONCILE, Keeper
from tests.workflows.surroundings import Surroundings, temporal_with_time_skipping, world_in
from tests.workflows.world import CUSTOMER_MAIL, ENCRYPTION_KEYS, PATIENCE, SECRET_KEY, SLACK_ALERT, World
from workflows.contracts import TASK_QUEUE, IncidentRef, disconnection_workflow_id
from workflows.disconnection import IntegrationDisconnectionResponse

TELLING = ["notify_csm", "notify_technical_contact", "notify_engineering"]
FIRST_HALF = ["confirm_failure", "assess_impact", "create_risk_signal", *TELLING, "create_task", "update_health_score"]
SECOND_HALF = ["mark_informed", "escalate", "verify_connection", "send_waiting", "update_csm_message"]
STEPS = [*FIRST_HALF, *SECOND_HALF, "close_incident", "mark_announced"]

DEATHS = {
    "before every step": [f"{step}:before" for step in STEPS],
    "after every step": [f"{step}:after" for step in STEPS],
    "after the claim": [f"{step}/claim:after" for step in (*TELLING[:2], "escalate", "send_waiting")],
    "before it leaves": ["notify_csm/post:before", "notify_technical_contact/data:before", "send_waiting/post:before"],
    "after it left": ["notify_csm/post:after", "notify_technical_contact/data:after", "send_waiting/post:after"],
    "before it is settled": [f"{step}/settle:before" for step in (*TELLING[:2], "escalate", "send_waiting")],
    "after it was settled": [f"{step}/settle:after" for step in (*TELLING[:2], "escalate", "send_waiting")],
}


@dataclass
class Lives:
    """A worker process that dies and is born again, and the nurse who tells the server of each death.

    A server finds out by itself when an activity's start-to-close timeout has passed, and a message's lease runs out in
    real time; the nurse says so at once.
    """

    process: asyncio.subprocess.Process
    world: World
    points: list[str]
    lives: int = 0
    deaths: list[str] = field(default_factory=list)
    _child: int = 0  # the process that lives now
    _lives: bool = False  # one was asked for that is not known to be dead

    @property
    def identity(self) -> str:
        return f"life-{self.lives}"

    async def go_on(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Lives and dies until cancelled."""
        nurse = asyncio.create_task(self._nurse(handle))
        try:
            while True:
                await self._be_born()
                await self._die()
        finally:
            nurse.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await nurse
            await self._end()

    async def _be_born(self) -> None:
        self.lives += 1
        wanted = {"identity": self.identity, "environment": _environment(self.world), "points": self.points}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(wanted).encode() + b"\n")
        self._lives = True
        await self._read()

    async def _die(self) -> None:
        while self._lives:  # it may also end by itself, without a word: then there is the next one
            said, _, point = (await self._read()).partition(" ")
            if said == "dying":
                self.points.remove(point)
                self.deaths.append(point)

    async def _end(self) -> None:
        while self._lives:
            with contextlib.suppress(ProcessLookupError):
                if self._child:
                    os.kill(self._child, signal.SIGKILL)
            await self._read()

    async def _read(self) -> str:
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode().strip()
        match line.partition(" "):
            case ("born", _, child):
                self._child = int(child)
            case ("dead" | "", _, _):  # nothing: not even the process that bears them is there
                self._child, self._lives = 0, False
        return line

    async def _nurse(self, handle: WorkflowHandle[Any, Any]) -> None:
        while True:
            with contextlib.suppress(RPCError):  # it may have ended by now
                description = (await handle.describe()).raw_description
                for pending in description.pending_activities:
                    is_started = pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
                    if is_started and pending.last_worker_identity != self.identity:
                        await self.world.pool.execute(
                            "update deliveries set lease_until = now() where lease_until > now()"
                        )
                        dead = self.world.client.get_async_activity_handle(
                            workflow_id=handle.id, run_id=None, activity_id=pending.activity_id
                        )
                        await dead.fail(ApplicationError("died", next_retry_delay=timedelta(milliseconds=1)))
            await asyncio.sleep(0.05)


def _environment(world: World) -> dict[str, str]:
    settings = world.settings
    assert settings.smtp_url
    assert settings.slack_bot_token
    return {
        "RELINK_DATABASE_URL": world.database,
        "RELINK_SECRET_KEY": SECRET_KEY,
        "RELINK_PUBLIC_URL": "https://relink.example",
        "RELINK_SMTP_URL": settings.smtp_url.get_secret_value(),
        "RELINK_EMAIL_FROM": str(settings.email_from),
        "RELINK_ENCRYPTION_KEYS": ENCRYPTION_KEYS,
        "RELINK_SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        "RELINK_SLACK_API_URL": settings.slack_api_url,
        "TEMPORAL_ADDRESS": world.client.service_client.config.target_host,
    }


async def _start(world: World, incident: UUID) -> None:
    """As the bell does, but a workflow task of a dead worker is given up after a second instead of ten."""
    row = await world.row(incident)
    await world.client.start_workflow(
        IntegrationDisconnectionResponse.run,
        IncidentRef(incident_id=incident),
        id=disconnection_workflow_id(row["integration_health_id"], row["number"]),
        task_queue=TASK_QUEUE,
        task_timeout=timedelta(seconds=1),
    )


@pytest.mark.history
@pytest.mark.parametrize("deaths", DEATHS)
async def test_killed_and_born_again(world: World, mortal: asyncio.subprocess.Process, deaths: str) -> None:
    """However often it dies and wherever: one incident, alert, mail, task, score change; the whole timeline."""
    outcome = await world.say("auth_failure", ring=False)
    incident = outcome.incident
    assert incident is not None
    await _start(world, incident)
    lives = Lives(mortal, world, list(DEATHS[deaths]))
    living = asyncio.create_task(lives.go_on(await world.handle(incident)))
    try:
        await world.until_timeline(incident, "informed")
        await world.pass_time(incident, timedelta(minutes=31))
        await world.until_timeline(incident, "escalated")
        await world.until(lambda: _escalation_is_sent(world, incident))
        await world.say("sync_succeeded")
        await world.until_timeline(incident, "recovering")
        await world.pass_time(incident, timedelta(minutes=11))
        assert (await world.result(incident))["resolution"] == "reported"
    finally:
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
    assert sorted(lives.deaths) == sorted(DEATHS[deaths])
    was_lost = deaths in {"after it left", "before it is settled"}  # delivered, and nobody left who knew
    await _nothing_missing_nothing_twice(world, incident, copies=2 if was_lost else 1)


async def _escalation_is_sent(world: World, incident: UUID) -> bool:
    return ("slack", "integration_disconnected_escalation", "sent") in await world.deliveries(incident)


async def _nothing_missing_nothing_twice(world: World, incident: UUID, *, copies: int) -> None:
    assert await world.value("select count(*) from incidents") == 1
    assert sorted(await world.deliveries(incident)) == sorted(
        [
            ("slack", SLACK_ALERT, "sent"),
            ("email", CUSTOMER_MAIL, "sent"),
            ("slack", "integration_disconnected_escalation", "sent"),
            *[("slack", "integration_disconnected_note", "sent")] * 4,  # escalated, recovering, resolved twice
            ("email", "integration_reconnected_customer", "sent"),
        ]
    )
    assert len(world.alerts()) == 1
    assert len(world.thread()) == 3
    assert len([m for m in world.messages() if m not in world.alerts()]) == 1  # to the manager
    mails = [mail.message["Message-ID"] for mail in world.mails_to("bob@techcorp.example")]
    assert len(mails) == copies + 1
    assert len(set(mails)) == 2
    assert await world.value("select array_agg(status) from tasks") == ["completed"]
    assert await world.value("select array_agg(status) from risk_signals") == ["resolved"]
    assert await world.value("select array_agg(adjustment order by created_at) from health_score_adjustments") == [
        -10,
        10,
    ]
    assert await world.value("select health_score from customers") == 82
    lines = await world.timeline(incident)
    once = ["detected", "confirmed", "assessed", "risk_signal_created", "task_created", "informed", "escalated"]
    once += ["recovery_hinted", "recovering", "closed", "announced"]
    assert [line for line in lines if line in once] == once
    assert lines.count("health_score_adjusted") == 2
    assert lines.count("notice_sent") == 8


async def test_kill_9_of_the_real_worker(world: World, around: Surroundings) -> None:
    """`python -m worker` against a fresh server: it sets the server up, is killed, and the next one goes on; what was
    committed while none was there is found by the schedule that the worker keeps."""
    async with temporal_with_time_skipping(converter=data_converter(ENCRYPTION_KEYS)) as fresh:
        elsewhere = Surroundings(fresh, Keeper(fresh.client), world.inbox, world.slack, around.probes)
        async with world_in(elsewhere, world.pool, is_new=False) as other:
            async with _worker_process(other) as first:
                await other.until(lambda: _is_set_up(other))
                incident = await other.disconnect()
                await other.until_timeline(incident, "informed")
                await other.until_waiting(incident)
                first.send_signal(signal.SIGKILL)
            await other.say("sync_succeeded", ring=False)
            await other.pool.execute("update doorbells set created_at = created_at - interval '1 minute'")
            async with _worker_process(other) as second:
                await other.client.get_schedule_handle(RECONCILE).trigger()
                await other.until_timeline(incident, "recovering")
                await other.pass_time(incident, timedelta(minutes=11))
                assert (await other.result(incident))["resolution"] == "reported"
                second.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(second.wait(), PATIENCE) == 0
            assert len(other.alerts()) == 1
            assert len(other.mails_to("bob@techcorp.example")) == 2


async def _is_set_up(world: World) -> bool:
    with contextlib.suppress(RPCError):
        await world.client.get_schedule_handle(RECONCILE).describe()
        return True
    return False


@contextlib.asynccontextmanager
async def _worker_process(world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker"), env=os.environ | _environment(world), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
