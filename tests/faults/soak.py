"""`make soak`: random faults for as long as it is told, then an audit. Ends with 1 if anything was lost or twice.

`python -m tests.faults.soak --minutes 30 --seed 7`: the seed names the order of faults and events; their timing is the
machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from temporalio.worker import Replayer

from starter.embedded.inbox import Failure as MailFailure
from starter.embedded.slack import Failure as SlackFailure
from tests.faults.cluster import WORKERS, Cluster, cluster_in
from tests.faults.recovery import MEASURES
from tests.faults.scene import Integration, Scene, names
from workflows.disconnection import IntegrationDisconnectionResponse
from workflows.monitoring import MonitorIntegrations, SendNotices, WarnOfExpiry
from workflows.reconciling import ReconcileIncidents
from workflows.reporting import SendDigests, TellOfOutages

WORKFLOWS = [
    IntegrationDisconnectionResponse, MonitorIntegrations, SendNotices, WarnOfExpiry, ReconcileIncidents, SendDigests,
    TellOfOutages,
]  # fmt: skip
REPLAYED = "WorkflowType = 'IntegrationDisconnectionResponse' or WorkflowType = 'TellOfOutages'"
TRANSIENT = {"code": "timeout", "http_status": 504, "surface": "rest_api"}
ACTIONS = {"acknowledge": {}, "snooze": {"for": "5s"}, "resolve": {"reason": "fixed"}, "send-fix-instructions": {}}
console = Console(highlight=False, soft_wrap=True)


@dataclass
class Soak:
    """Integrations that break and are mended, and a machine room in which everything fails."""

    scene: Scene
    dice: random.Random
    done: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)
    histories: int = 0
    unreplayable: list[str] = field(default_factory=list)
    affected: list[Integration] = field(default_factory=list)  # by a provider's outage

    @property
    def cluster(self) -> Cluster:
        return self.scene.cluster

    async def run(self, minutes: float, count: int) -> None:
        integrations = await self.scene.integrations(count)
        ends_at = time.monotonic() + minutes * 60
        living = [asyncio.create_task(self._live(one, ends_at)) for one in integrations]
        living.append(asyncio.create_task(self._outages(ends_at)))
        while time.monotonic() < ends_at:
            await self._one_fault()
            await asyncio.sleep(self.dice.uniform(1, 6))
        await asyncio.gather(*living)
        await self._mend(integrations + self.affected)

    async def _live(self, one: Integration, ends_at: float) -> None:
        """What products and people do, all the time."""
        while time.monotonic() < ends_at:
            await asyncio.sleep(self.dice.expovariate(1 / 4))
            with contextlib.suppress(httpx.TransportError, TimeoutError):
                await self.dice.choice(self._doings())(one)

    async def _outages(self, ends_at: float) -> None:
        """Now and then a provider fails for all of its customers; most come back, and the rest later."""
        while time.monotonic() < ends_at:
            affected = await self.scene.of_one_provider(14, csms=3)
            self.done["provider's outage"] += 1
            for event_type, those in (("auth_failure", affected), ("sync_succeeded", affected[3:])):
                await self.scene.say_until_taken(*(one.event(event_type) for one in those), within=120)
                await asyncio.sleep(self.dice.uniform(5, 40))
            await self.scene.say_until_taken(*(one.event("sync_succeeded") for one in affected), within=120)
            self.affected += affected

    def _doings(self) -> list[Callable[[Integration], Awaitable[object]]]:
        say = self.scene.say_until_taken
        return [
            lambda one: say(one.event()),
            lambda one: say(one.event()),
            lambda one: say(one.event("sync_succeeded")),
            lambda one: say(one.event("sync_succeeded")),
            lambda one: say(one.event("reconnected")),
            lambda one: say(one.event("sync_error", error=TRANSIENT)),
            self._the_same_twice,
            self._somebody_acts,
        ]

    async def _the_same_twice(self, one: Integration) -> None:
        event = one.event()
        answers = await asyncio.gather(*(self.scene.say_until_taken(event) for _ in range(4)))
        outcomes = Counter(answer.json()["results"][0]["outcome"] for answer in answers)
        assert outcomes["accepted"] <= 1, outcomes

    async def _somebody_acts(self, one: Integration) -> None:
        found = await self.scene.http.get("/v1/incidents", params={"customer": one.customer, "limit": 1})
        for incident in found.json().get("items", []) if found.status_code == 200 else []:
            action = self.dice.choice(list(ACTIONS))
            answer = await self.scene.http.post(
                f"/v1/incidents/{incident['id']}/{action}", json={"by": "lena", **ACTIONS[action]}
            )
            assert answer.status_code in {202, 409, 422, 503}, answer.text

    async def _one_fault(self) -> None:
        faults = {
            self._kill_one: 4, self._kill_workers: 2, self._freeze_worker: 3, self._freeze_database: 1,
            self._slack_trouble: 3, self._mail_trouble: 3, self._cut_wires: 3, self._restart_gently: 2, self._wipe: 1,
        }  # fmt: skip
        fault = self.dice.choices(list(faults), list(faults.values()))[0]
        name = fault.__name__.strip("_").replace("_", " ")
        self.done[name] += 1
        console.print(f"{time.monotonic() - self.began:>7.0f} s  {name:<20}  {len(self.scene.accepted)} events so far")
        await fault()

    async def _kill_one(self) -> None:
        victim = self.dice.choice(["api", "postgres", "temporal", "probes", *WORKERS])
        await self.cluster.kill(victim)
        await asyncio.sleep(self.dice.uniform(0, 3))
        await self.cluster.start(victim)

    async def _kill_workers(self) -> None:
        await self.cluster.kill(*WORKERS)
        await asyncio.sleep(self.dice.uniform(0, 8))
        await self.cluster.start(*WORKERS)

    async def _freeze_worker(self) -> None:
        sleeper = self.dice.choice(WORKERS)
        self.cluster.freeze(sleeper)
        await asyncio.sleep(self.dice.uniform(1, 25))
        self.cluster.thaw(sleeper)

    async def _freeze_database(self) -> None:
        self.cluster.freeze("postgres")
        await asyncio.sleep(self.dice.uniform(1, 12))
        self.cluster.thaw("postgres")

    async def _slack_trouble(self) -> None:
        trouble = self.dice.choice([{"http_status": 429}, {"http_status": 500}, {"drop": True}, {"delay": 5}])
        self.cluster.slack.fail(SlackFailure(method="*", times=self.dice.randint(1, 6), **trouble))

    async def _mail_trouble(self) -> None:
        trouble = self.dice.choice([{"stage": "rcpt", "code": 451}, {"stage": "data", "code": 451}, {"stage": "data"}])
        self.cluster.inbox.fail(MailFailure(times=self.dice.randint(1, 3), **trouble))

    async def _cut_wires(self) -> None:
        for wire in (self.cluster.slack_wire, self.cluster.smtp_wire):
            wire.down = True
            wire.cut_all()
        await asyncio.sleep(self.dice.uniform(0.5, 5))
        for wire in (self.cluster.slack_wire, self.cluster.smtp_wire):
            wire.down = False
            wire.connections.clear()

    async def _restart_gently(self) -> None:
        name = self.dice.choice(["api", "probes", *WORKERS])
        code = await self.cluster.stop(name)
        assert code == 0, f"{name} ended with {code} on SIGTERM"
        await self.cluster.start(name)

    async def _wipe(self) -> None:
        await self.replay()
        await self.cluster.wipe_temporal()

    async def replay(self) -> None:
        """Replays all histories that Temporal has on this code."""
        client = await self.cluster.temporal()
        replayer = Replayer(workflows=WORKFLOWS, data_converter=client.data_converter)
        runs = client.list_workflows(REPLAYED)
        async with replayer.workflow_replay_iterator(runs.map_histories()) as results:
            async for result in results:
                self.histories += 1
                if result.replay_failure is not None:
                    self.unreplayable.append(f"{result.history.workflow_id}: {result.replay_failure}")

    async def _mend(self, integrations: list[Integration]) -> None:
        """Everything runs and works again; then each integration must come to rest."""
        await self.cluster.restore()
        for one in integrations:
            await self.scene.say_until_taken(one.event("sync_succeeded"))
        open_ = "select id from incidents where status in ('open', 'recovering') and relapses > 3"
        for row in await self.scene.pool.fetch(open_):  # their quiet window has grown to minutes
            decision = {"by": "lena", "reason": "no_longer_used"}
            await self.scene.http.post(f"/v1/incidents/{row['id']}/resolve", json=decision)
        await self.scene.until_over(*names(integrations), within=240)


async def soak(minutes: float, seed: int, count: int) -> bool:
    """Whether all was well."""
    folder = Path(tempfile.mkdtemp(prefix="relink-soak-"))
    console.print(f"{minutes} minutes of faults, {count} integrations, seed {seed}; logs: {folder}")
    async with cluster_in(folder) as cluster, cluster.pool() as pool, cluster.http() as http:
        soaking = Soak(Scene(cluster, pool, http), random.Random(seed))
        try:
            await soaking.run(minutes, count)
            await soaking.replay()
            recovery = [(measure, await measure.take(soaking.scene)) for measure in MEASURES]
            report = await soaking.scene.report()
        except AssertionError as error:
            console.print(f"[red]{error}[/]")
            return False
    console.print("\nFaults:", *(f"  {times:>5}  {fault}" for fault, times in soaking.done.most_common()), sep="\n")
    console.print("\nAudit:", str(report), f"  {soaking.histories:>7}  histories replayed on this code", sep="\n")
    for problem in soaking.unreplayable:
        console.print(f"[red]wrong: {problem}[/]")
    console.print("\nRecovery, in seconds:")
    console.print(*(f"  {took:>7.1f}  {measure}" for measure, took in recovery), sep="\n")
    late = [measure for measure, took in recovery if took > measure.limit]
    for what, wrong in report.wrong.items():
        console.print(f"[red]wrong: {wrong} {what}[/]")
    for measure in late:
        console.print(f"[red]wrong: {measure}: more than {measure.limit} s[/]")
    return not (report.wrong or soaking.unreplayable or late)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--integrations", type=int, default=20)
    asked = parser.parse_args()
    return 0 if asyncio.run(soak(asked.minutes, asked.seed, asked.integrations)) else 1


if __name__ == "__main__":
    sys.exit(main())
