"""Incidents: what is the situation, and the changes that a workflow or a person makes to it, each one transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from activities.db.ledger import ALL_CLEAR, NOTE, Intent, intend, intend_note
from activities.db.pool import Connection, Pool
from activities.db.sql import queries
from activities.db.timeline import add_to_timeline
from activities.probes.monitor import has_active_check
from workflows.contracts import Check, Resolution, Situation, Status
from workflows.domain.policy import Policy, Severity
from workflows.domain.status import HealthStatus

_SQL = queries("incidents")

_GOOD_ENDS = {Resolution.VERIFIED, Resolution.REPORTED}
_MUTING_ENDS = {Resolution.NO_LONGER_USED, Resolution.FALSE_ALARM}
_RECHECK_AFTER = timedelta(minutes=1)
_FAILING = {Check.BROKEN: HealthStatus.DISCONNECTED, Check.DEGRADED: HealthStatus.DEGRADED}


_HELD_IN_VAIN = timedelta(hours=1)


def _patience(since: datetime | None, now: datetime) -> timedelta:
    """How long until the next look after one that could not tell: a quarter of the time waited, within bounds."""
    waited = now - since if since else _RECHECK_AFTER
    return min(max(waited / 4, _RECHECK_AFTER), timedelta(minutes=30))


class UnknownIncidentError(LookupError):
    """There is no incident of this id."""


async def reopen(connection: Connection, incident: UUID) -> None:
    """A relapse inside the quiet window: the same incident goes on, silently but for a line in the thread."""
    relapses = await connection.fetchval(_SQL["reopen"], incident)
    if relapses is not None:
        await add_to_timeline(connection, incident, "relapsed", relapses=relapses)
        await intend_note(connection, incident, "relapsed", relapses)


async def lock(connection: Connection, incident: UUID) -> tuple[asyncpg.Record, asyncpg.Record]:
    """Locks the integration, then its incident (the one order in which everybody locks); returns both rows.

    Raises UnknownIncidentError.
    """
    health = await connection.fetchrow(_SQL["lock"], incident)
    row = await connection.fetchrow(_SQL["lock_incident"], incident)
    if health is None or row is None:
        raise UnknownIncidentError(str(incident))
    return health, row


async def close(
    connection: Connection,
    health: asyncpg.Record,
    row: asyncpg.Record,
    resolution: Resolution,
    *,
    actor: str = "relink",
    by: str | None = None,
    note: str | None = None,
) -> None:
    """Ends a locked incident with all that hangs on it: task, risk signal, score, and the messages that say so."""
    incident, integration = row["id"], health["integration_health_id"]
    status = Status.CANCELLED if resolution is Resolution.REMOVED else Status.CLOSED
    await connection.execute(_SQL["close"], incident, status, resolution, by, note)
    if resolution in _GOOD_ENDS or resolution is Resolution.NOT_CONFIRMED:
        await _works_again(connection, integration, by_check=resolution is not Resolution.REPORTED)
    await connection.execute(_SQL["resolved"], integration, resolution in _MUTING_ENDS)
    ending = "completed" if resolution in _GOOD_ENDS else "cancelled"
    task = await connection.execute(_SQL["finish_task"], incident, ending)
    await connection.execute(_SQL["resolve_signal"], incident)
    await add_to_timeline(connection, incident, "closed", actor, resolution=resolution)
    given_back = await _give_score_back(connection, row)
    if resolution in _GOOD_ENDS:
        done = {"task_completed": task != "UPDATE 0", "score_restored": given_back}
        fixed_by = await connection.fetchval(_SQL["fixed_by"], incident)
        await intend_note(connection, incident, "resolved", fixed_by=fixed_by, **done)
        await _tell_the_others(connection, incident, "resolved", fixed_by=fixed_by)
        await _intend_all_clear(connection, incident)
    elif resolution is not Resolution.NOT_CONFIRMED:
        kind = "removed" if resolution is Resolution.REMOVED else "closed"
        await intend_note(connection, incident, kind)
        await _tell_the_others(connection, incident, kind)


async def _tell_the_others(connection: Connection, incident: UUID, kind: str, **details: Any) -> None:
    """Whoever was escalated to, or paged, hears that it is over: below that message, or by mail as it came."""
    for told in await connection.fetch(_SQL["escalated_to"], incident):
        below = {"below": told["delivery_key"]} if told["channel"] == "slack" else {}
        await intend(
            connection,
            Intent(
                incident,
                told["channel"],
                NOTE,
                told["role"],
                told["recipient"],
                told["person_id"],
                ordinal=f"{kind}/{told['id']}",
                details={"kind": kind, **below, **details},
            ),
        )


async def _give_score_back(connection: Connection, row: asyncpg.Record) -> int:
    """Returns the points given back."""
    charged = await connection.fetchrow(_SQL["charged"], row["id"])
    restore = Policy.stored(row["policy"]).health_score.restore_on_resolution
    if charged is None or not restore or charged["given_back"] or charged["adjustment"] >= 0:
        return 0
    back = -charged["adjustment"]
    reason = "Critical integration reconnected"
    await connection.fetchval(_SQL["adjust_health_score"], charged["customer_id"], row["id"], back, reason)
    await add_to_timeline(connection, row["id"], "health_score_adjusted", adjustment=back)
    return int(back)


async def _intend_all_clear(connection: Connection, incident: UUID) -> None:
    for mailed in await connection.fetch(_SQL["mailed_contacts"], incident):
        await intend(
            connection,
            Intent(incident, "email", ALL_CLEAR, "technical_contact", mailed["recipient"], mailed["person_id"]),
        )


class IncidentStore:
    """What the workflow's activities read and change."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def situation(self, incident: UUID) -> Situation:
        """Everything that decides what happens next. Raises UnknownIncidentError."""
        row = await self._pool.fetchrow(_SQL["situation"], incident)
        if row is None:
            raise UnknownIncidentError(str(incident))
        policy = Policy.stored(row["policy"])
        ladder = policy.ladder(Severity(row["severity"]))
        return Situation(
            **{key: value for key, value in row.items() if key not in {"policy", "monitor"}},
            can_be_checked=can_be_checked(row),
            hold=policy.notify.hold,
            ladder=ladder.steps,
            ack_timeout=ladder.ack_timeout,
            reminders=policy.customer.reminders,
        )

    async def change(self, statement: str, incident: UUID, *arguments: Any, kind: str, **details: Any) -> bool:
        """Runs one named statement; if it changed something, adds a line to the timeline. False if it had been done."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.execute(_SQL[statement], incident, *arguments) == "UPDATE 0":
                return False
            await add_to_timeline(connection, incident, kind, **details)
            return True

    async def end_snooze(self, incident: UUID, now: datetime) -> None:
        """The snooze is over and the connection still broken: its CSM hears of it again."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.execute(_SQL["mark_snooze_ended"], incident, now) != "UPDATE 0":
                await add_to_timeline(connection, incident, "snooze_ended")
                await intend_note(connection, incident, "snooze_ended", int(now.timestamp()))

    async def expire_acknowledgement(self, incident: UUID, now: datetime) -> None:
        """Acknowledged and forgotten: escalation goes on, with the last step again if all were taken."""
        async with self._pool.acquire() as connection, connection.transaction():
            _, row = await lock(connection, incident)
            ladder = Policy.stored(row["policy"]).ladder(Severity(row["severity"]))
            steps = ladder.steps
            marked = await connection.execute(_SQL["mark_ack_expired"], incident, len(steps), ladder.ack_timeout, now)
            if marked != "UPDATE 0":
                await add_to_timeline(connection, incident, "acknowledgement_expired")
                await intend_note(connection, incident, "ack_expired", int(now.timestamp()))

    async def confirm(self, incident: UUID, check: Check, seen_failure: datetime | None) -> bool:
        """Records what the first look showed: the incident is confirmed, or closed before anybody was told.

        False if it would have closed over a failure newer than `seen_failure`.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            health, row = await lock(connection, incident)
            if row["status"] != Status.OPEN or row["confirmed_at"] is not None:
                return True
            if check is not Check.WORKING:
                await connection.execute(_SQL["mark_confirmed"], incident)
                looked = check if can_be_checked(health) else "none: the event is the confirmation"
                await add_to_timeline(connection, incident, "confirmed", check=looked)
            elif health["last_failure_at"] != seen_failure:
                return False
            else:
                await close(connection, health, row, Resolution.NOT_CONFIRMED)
            return True

    async def record_check(
        self, incident: UUID, check: Check, now: datetime, *, seen_hint: int, seen_failure: datetime | None, detail: str
    ) -> None:
        """Records what a hint of recovery turned out to be: recovering, still broken, or to be looked at again.

        A failure that arrived since the check began wins: the hint then stays open and is looked at again.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            health, row = await lock(connection, incident)
            if row["status"] != Status.OPEN:
                return
            if check in {Check.WORKING, Check.REPORTED_WORKING}:
                if health["last_failure_at"] == seen_failure:
                    await _begin_recovery(connection, health, row, check, now)
                else:
                    await connection.execute(_SQL["recheck_later"], incident, now, _RECHECK_AFTER)
            elif check in _FAILING:
                await connection.execute(_SQL["hint_checked"], incident, seen_hint)
                kind = "check_failed" if can_be_checked(health) else "hint_unverified"
                await add_to_timeline(connection, incident, kind, hint=row["hint_kind"], seen=detail)
                if row["hint_kind"] in {"callback", "person"}:
                    every_ten_minutes = int(now.timestamp()) // 600
                    await intend_note(
                        connection, incident, kind, every_ten_minutes, hint=row["hint_kind"], reason=detail
                    )
            else:
                later = _patience(row["hinted_at"], now)
                await connection.execute(_SQL["recheck_later"], incident, now, later)
                await add_to_timeline(connection, incident, "check_inconclusive", seen=detail)
                if row["hint_kind"] in {"callback", "person"}:  # once: somebody waits to hear of it
                    await intend_note(connection, incident, "check_inconclusive", seen_hint, next_at=now + later)

    async def record_hold(self, incident: UUID, check: Check, now: datetime, detail: str) -> None:
        """Records the look at the end of the quiet window: broken reopens, inconclusive holds a little longer."""
        async with self._pool.acquire() as connection, connection.transaction():
            health, row = await lock(connection, incident)
            if row["status"] != Status.RECOVERING:
                return
            if check in _FAILING:
                await connection.execute(_SQL["failing_again"], health["integration_health_id"], _FAILING[check])
                await add_to_timeline(connection, incident, "check_failed", hint="quiet_window", seen=detail)
                await reopen(connection, incident)
            elif check is Check.INCONCLUSIVE:
                await connection.execute(
                    _SQL["hold_longer"], incident, now, _patience(row["recovering_since"] + row["quiet_window"], now)
                )
                await add_to_timeline(connection, incident, "check_inconclusive", seen=detail)
                if now - row["recovering_since"] > row["quiet_window"] + _HELD_IN_VAIN:
                    await reopen(connection, incident)  # nobody can tell any more: people must hear of it again

    async def close_recovered(self, incident: UUID, seen_seq: int) -> bool:
        """Compare-and-set: closes only what is still recovering and got nothing since `seen_seq`."""
        async with self._pool.acquire() as connection, connection.transaction():
            health, row = await lock(connection, incident)
            if row["status"] != Status.RECOVERING or row["last_seq"] != seen_seq:
                return False
            await close(connection, health, row, Resolution(row["evidence"]))
            return True

    async def monitored(self, incident: UUID) -> asyncpg.Record:
        """The incident with its integration's monitor, as they are now. Raises UnknownIncidentError."""
        row = await self._pool.fetchrow(_SQL["monitored"], incident)
        if row is None:
            raise UnknownIncidentError(str(incident))
        return row


async def _begin_recovery(
    connection: Connection, health: asyncpg.Record, row: asyncpg.Record, check: Check, now: datetime
) -> None:
    evidence = Resolution.VERIFIED if check is Check.WORKING else Resolution.REPORTED
    quiet_until = await connection.fetchval(_SQL["begin_recovery"], row["id"], now, evidence)
    by_check, by_person = check is Check.WORKING, row["hint_kind"] == "person"
    await _works_again(connection, health["integration_health_id"], by_check=by_check, by_person=by_person)
    await add_to_timeline(connection, row["id"], "recovering", evidence=evidence, quiet_until=quiet_until)
    await intend_note(connection, row["id"], "recovering", row["relapses"])


async def _works_again(connection: Connection, integration: UUID, *, by_check: bool, by_person: bool = False) -> None:
    """Healthy. Our check and a person speak of now; an event spoke of its own time, and what failed after that and is
    still on its way must count."""
    await connection.execute(_SQL["healthy_again"], integration, by_check, by_check or by_person)


def can_be_checked(row: asyncpg.Record) -> bool:
    """Whether the integration's monitor can be asked now."""
    return has_active_check(row["monitor"])
