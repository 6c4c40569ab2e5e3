"""Is it really broken, is it really fixed? Our own check where there is a monitor, else later evidence."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
from temporalio import activity

from activities.beat import heartbeating
from activities.db.connections import ConnectionStore
from activities.db.incidents import IncidentStore, can_be_checked
from activities.errors import look_again
from activities.probes.check import Prober, Seen
from workflows.contracts import Check, CheckResult, IncidentAt, ResolveInput, Status
from workflows.domain.status import is_evidence

_FIRST_LOOKS = 3  # when the first look can't tell, so many looks, then what was reported stands
_LOOK_AGAIN = timedelta(seconds=10)


class Verification:
    def __init__(self, incidents: IncidentStore, connections: ConnectionStore, prober: Prober) -> None:
        self._incidents, self._connections, self._prober = incidents, connections, prober

    @activity.defn
    async def confirm_failure(self, at: IncidentAt) -> CheckResult:
        """The first step: a connection that passes our own check closes its incident as not_confirmed.

        Without a monitor the event is the confirmation.
        """
        row = await self._incidents.monitored(at.incident_id)
        if row["confirmed_at"] is not None or row["status"] != Status.OPEN:
            return CheckResult(check=Check.BROKEN)
        seen = await self._look(row) if can_be_checked(row) else Seen(Check.BROKEN, "no monitor: reported")
        may_look_again = activity.info().attempt < _FIRST_LOOKS
        if seen.check is Check.INCONCLUSIVE and may_look_again:
            raise look_again("the check could not tell", _LOOK_AGAIN)
        if not await self._incidents.confirm(at.incident_id, seen.check, row["last_failure_at"]):
            if may_look_again:
                raise look_again("it failed again after the check began", timedelta(0))
            await self._incidents.confirm(at.incident_id, Check.BROKEN, row["last_failure_at"])
        return CheckResult(check=seen.check)

    @activity.defn
    async def verify_connection(self, at: IncidentAt) -> CheckResult:
        """Follows a hint of recovery up, or looks again at the end of the quiet window; records what it saw."""
        row = await self._incidents.monitored(at.incident_id)
        if row["status"] == Status.RECOVERING:
            seen = (
                await self._look(row) if can_be_checked(row) else Seen(Check.REPORTED_WORKING, "nothing failed since")
            )
            await self._incidents.record_hold(at.incident_id, seen.check, at.now, seen.detail)
        else:
            seen = await self._look(row) if can_be_checked(row) else _evidence(row)
            await self._incidents.record_check(
                at.incident_id,
                seen.check,
                at.now,
                seen_hint=row["hint_seq"],
                seen_failure=row["last_failure_at"],
                detail=seen.detail,
            )
        return CheckResult(check=seen.check)

    @activity.defn
    async def close_incident(self, incident: ResolveInput) -> bool:
        """Closes what recovered and held; False if something arrived that the workflow has not seen."""
        return await self._incidents.close_recovered(incident.incident_id, incident.seen_seq)

    async def _look(self, row: asyncpg.Record) -> Seen:
        # Forced: a look that began before the failure or the hint came in says nothing about either.
        async with heartbeating():
            return await self._connections.look(row["integration_health_id"], self._prober, force=True)


def _evidence(row: asyncpg.Record) -> Seen:
    """Without a monitor: a success later than the last failure, or a named person's word."""
    vouched_at = row["hinted_at"] if row["hint_kind"] == "person" else None
    if is_evidence(row["last_failure_at"], succeeded_at=row["last_success_at"], vouched_at=vouched_at):
        return Seen(Check.REPORTED_WORKING, f"reported by {row['hint_kind']}")
    return Seen(Check.BROKEN, "no success since the last failure")
