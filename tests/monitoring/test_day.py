"""A day of 500 integrations, through the real judges and the real database; only the peers and the clock are played."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID

from activities.db.incidents import IncidentStore
from activities.egress import Egress
from activities.events import Event
from activities.probes.http import NoAnswerError
from activities.probes.seen import Seen
from tests.monitoring.scene import API, Scene
from tests.monitoring.script import ALARMING, HOUR, MINUTE, SECOND, Script, Scripted, Trouble
from workflows.contracts import Check

INTERVALS = ("15m", "30m", "1h")
PHASES = 4  # looks that begin together
COLUMNS = ("last_success_at", "last_closed_at", "last_failure_at", "last_successful_sync", "failing_since")
# What stores stamp with the database's clock happened at the day's own time.
REAL_CLOCK = (
    "update integration_health set " + ", ".join(f"{name} = least({name}, $2)" for name in COLUMNS) + " where id = $1"
)


@dataclass
class Incident:
    """An incident, and what its response has come to."""

    id: UUID
    integration: UUID
    told: bool = False
    verify_at: datetime | None = None  # the end of the quiet window
    over: bool = False


@dataclass
class Day:
    """Plays the day: moves the clock, sweeps, and does what each incident's workflow would do."""

    scene: Scene
    script: Script
    now: datetime
    incidents: dict[UUID, Incident] = field(default_factory=dict)
    false_alarms: list[str] = field(default_factory=list)
    late_news: list[tuple[datetime, Scripted]] = field(default_factory=list)
    looks: int = 0

    def clock(self) -> float:
        return self.now.timestamp()

    async def look(self, integration: UUID) -> Seen:
        self.looks += 1
        return self.script.show(integration, self.now)

    async def play(self, end: datetime) -> None:
        sweeper = self.scene.sweeper()
        reports = sorted(self.reports(), key=lambda report: report[0])
        while self.now < end:
            due = await sweeper.store.next_due()
            checks = [i.verify_at for i in self.incidents.values() if i.verify_at and not i.over]
            following = min([due, *checks, *([reports[0][0]] if reports else [])])
            self.now = max(self.now, following) + SECOND
            while reports and reports[0][0] <= self.now:
                await self.report(*reports.pop(0)[1:])
            await sweeper.sweep(20, linger=False)
            for incident in dict.fromkeys(self.scene.bells.rung):
                await self.respond(incident)
            self.scene.bells.rung.clear()
            for incident in list(self.incidents.values()):
                if incident.verify_at and incident.verify_at <= self.now and not incident.over:
                    await self.resolve(incident)
            await self.watch_degraded()

    def reports(self) -> list[tuple[datetime, UUID, str, datetime]]:
        """What the product reports by itself: when, about whom, what, and when that happened."""
        found = []
        for trouble in self.script.all():
            if trouble.kind is Trouble.LOST_RACE:
                found.append((trouble.begins_at, trouble.integration, "auth_failure", trouble.begins_at))
            if trouble.kind is Trouble.LATE_NEWS:  # hours late, and so older than the newest success
                happened_at = trouble.begins_at - 20 * MINUTE
                found.append((trouble.begins_at, trouble.integration, "auth_failure", happened_at))
                found.append((trouble.begins_at, trouble.integration, "sync_error", happened_at))
        return found

    async def report(self, integration: UUID, event_type: str, at: datetime) -> None:
        row = await self.scene.health(integration)
        event: dict[str, Any] = {
            "customer_id": row["customer_id"],
            "integration_type": row["integration_type"],
            "integration_id": row["integration_id"],
            "event_type": event_type,
            "occurred_at": at,
            "error": {"code": "invalid_grant", "http_status": 400, "surface": "token_endpoint"},
        }
        _, bells = await self.scene.events.take([Event.model_validate(event)])
        self.scene.bells.rung += bells

    async def respond(self, id_: UUID) -> None:
        """What the workflow of a rung incident does first: look again, then tell people, or follow a hint up."""
        row = await self.scene.pool.fetchrow("select * from incidents where id = $1", id_)
        assert row is not None
        incident = self.incidents.setdefault(id_, Incident(id_, row["integration_health_id"]))
        failed_at = (await self.scene.health(incident.integration))["last_failure_at"]
        store, seen = IncidentStore(self.scene.pool), await self.look(incident.integration)
        if incident.over:
            return
        if row["confirmed_at"] is None:
            for later in (10 * SECOND, 20 * SECOND):
                if seen.check is Check.INCONCLUSIVE:
                    seen = self.script.show(incident.integration, self.now + later)
            await store.confirm(id_, seen.check, failed_at)
            incident.over = seen.check is Check.WORKING
            if not incident.over:
                self.tell(incident)
        elif row["status"] == "open" and row["hint_seq"] > row["checked_seq"]:
            hint = row["hint_seq"]
            await store.record_check(
                id_, seen.check, self.now, seen_hint=hint, seen_failure=failed_at, detail=seen.detail
            )
            incident.verify_at = self.now + 10 * MINUTE if seen.check is Check.WORKING else None
        await self.scene.pool.execute(REAL_CLOCK, incident.integration, self.now)

    async def resolve(self, incident: Incident) -> None:
        """The end of the quiet window."""
        row = await self.scene.pool.fetchrow("select * from incidents where id = $1", incident.id)
        assert row is not None
        incident.verify_at = None
        if row["status"] == "recovering" and (await self.look(incident.integration)).check is Check.WORKING:
            incident.over = await IncidentStore(self.scene.pool).close_recovered(incident.id, row["last_seq"])
            await self.scene.pool.execute(REAL_CLOCK, incident.integration, self.now)

    def tell(self, incident: Incident) -> None:
        """From here on people know."""
        incident.told = True
        trouble = self.script.alarming(incident.integration, self.now)
        if trouble is None or trouble.detected_at is not None:
            going_on = [str(t.kind) for t in self.script.by_integration[incident.integration] if t.holds(self.now)]
            self.false_alarms.append(f"{self.now:%H:%M:%S} {going_on}")
        else:
            trouble.detected_at = self.now

    async def watch_degraded(self) -> None:
        waiting = {t.integration: t for t in self.script.degraded if t.detected_at is None and t.holds(self.now)}
        rows = await self.scene.pool.fetch(
            "select id from integration_health where id = any($1) and status = 'degraded'", list(waiting)
        )
        for row in rows:
            waiting[row["id"]].detected_at = self.now


@dataclass
class Outside:
    """The world of the canaries."""

    day: Day

    async def request(self, method: str, url: str) -> None:
        if any(outage.holds(self.day.now) for outage in self.day.script.ours):
            raise NoAnswerError("ENETUNREACH", f"network is unreachable: {method} {url}")


async def test_a_day_of_500_integrations(scene: Scene) -> None:
    """No false alarm, no miss, and each detection within one interval and a minute."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=25)
    ids = [i for n in range(60) for i in await scene.add(9, monitor(n))][:500]
    chance = random.Random(101)
    day = Day(scene, Script(ids, start, chance), start)
    scene.now, scene.answer = lambda: day.now, day.look
    scene.egress = Egress(Outside(day), clock=day.clock)  # type: ignore[arg-type]  # all of it that is used
    scene.change("monitoring", canaries=("https://canary.example/",))
    for n, integration in enumerate(ids):
        phase = start + n % PHASES * 220 * SECOND
        await scene.pool.execute("update probes set due_at = $2 where integration_health_id = $1", integration, phase)
    await day.play(start + 24 * HOUR)
    await report(day)
    assert day.false_alarms == []
    intervals = dict(await scene.pool.fetch("select integration_health_id, every from probes"))
    for trouble in day.script.all():
        if trouble.kind in ALARMING | {Trouble.DEGRADED}:
            assert trouble.detected_at is not None, f"missed: {trouble}"
            assert trouble.detected_at - trouble.begins_at <= intervals[trouble.integration] + MINUTE, trouble
    assert await scene.count("egress_outages") == 2
    assert await scene.count("(select from incidents where status in ('open', 'recovering')) i") == 0, "all recovered"
    assert await scene.count("(select from integration_health where status <> 'healthy') h") == 0


def monitor(n: int) -> dict[str, Any]:
    endpoints = [{"name": name, "url": f"https://host{n}.example/{name}"} for name in ("contacts", "deals")]
    return API | {"interval": INTERVALS[n % 3], "endpoints": endpoints}


async def report(day: Day) -> None:
    """Prints what happened and what became of it (`pytest -s`)."""
    lines = [
        f"\n{len(day.script.ids)} integrations, 24 hours, {day.looks:,} looks",
        f"{'scripted trouble':<52}{'times':>6}{'looks':>8}{'alarms':>8}{'missed':>8}{'median':>9}{'longest':>9}",
    ]
    for kind in Trouble:
        troubles = [t for t in day.script.all() if t.kind is kind]
        delays = [t.detected_at - t.begins_at for t in troubles if t.detected_at]
        expected = len(troubles) if kind in ALARMING | {Trouble.DEGRADED} else 0
        found = f"{len(delays):>8}{expected - len(delays):>8}" if expected else f"{0:>8}{'-':>8}"
        times = f"{median(delays).seconds:>7} s{max(delays).seconds:>7} s" if delays else ""
        lines.append(f"{kind:<52}{len(troubles):>6}{sum(t.looks for t in troubles):>8}{found}{times}")
    ends = await day.scene.pool.fetch("select resolution, count(*) from incidents group by 1 order by 1")
    lines.append(f"incidents: {dict(ends)}; false alarms: {len(day.false_alarms)}")
    print("\n".join(lines))  # noqa: T201 - the table is what this test is read for
