"""How an integration and the response to its incident stand at a moment of a played past; in the service, rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from workflows.contracts import Kind, Resolution, Situation, Status
from workflows.domain.backtest_facts import Incident, Integration
from workflows.domain.mailing import longer_quiet_window
from workflows.domain.playbook import WhoFixes
from workflows.domain.policy import Policy, Role
from workflows.domain.status import Health, HealthStatus, is_evidence

MUTING = {Resolution.NO_LONGER_USED, Resolution.FALSE_ALARM}
_LOOK = timedelta(seconds=5)  # so long may a look at a connection take
_NOBODY = UUID(int=0)  # ids decide nothing


@dataclass
class Connection:
    """One integration as it is known."""

    of: Integration
    health: Health
    response: Response | None = None
    last_failure_at: datetime | None = None
    last_failure_by: str = WhoFixes.CUSTOMER_USER

    def works_again(self, succeeded_at: datetime | None) -> None:
        newest = max(filter(None, (self.health.last_success_at, succeeded_at)), default=None)
        self.health = replace(
            self.health,
            status=HealthStatus.HEALTHY,
            failing_since=None,
            last_success_at=newest,
            failures=tuple(f for f in self.health.failures if newest is None or f.at >= newest),
        )


@dataclass
class Response:
    """The response to one incident; what is counted of it stands in `became`."""

    became: Incident
    connection: Connection
    who_fixes: str
    quiet_window: timedelta
    status: Status = Status.OPEN
    acknowledged_at: datetime | None = None
    ack_expired_at: datetime | None = None
    snoozed_until: datetime | None = None
    unsnoozed_at: datetime | None = None
    informed: Kind | None = None
    hinted_at: datetime | None = None  # until it is followed up
    vouched_at: datetime | None = None
    quiet_until: datetime | None = None
    escalation_step: int = 0
    escalated: set[tuple[Role, datetime | None]] = field(default_factory=set)  # nobody twice before an acknowledgement
    reminders_sent: int = 0
    reminder_due_at: datetime | None = None
    reminder_waits_until: datetime | None = None
    mail_intended_at: datetime | None = None
    mail_waits_until: datetime | None = None
    mailed: bool = False

    @property
    def may_be_mailed(self) -> bool:
        """Its first mail waits, and there is still something to tell."""
        return self.mail_waits_until is not None and self.status is Status.OPEN

    @property
    def waiting(self) -> list[datetime]:
        """When its mails that wait are looked at again."""
        first = self.mail_waits_until if self.may_be_mailed else None
        return [at for at in (first, self.reminder_waits_until) if at is not None]

    def hint(self, now: datetime, *, by_person: bool = False) -> None:
        if self.status is Status.OPEN:
            self.hinted_at = now
            self.vouched_at = now if by_person else self.vouched_at

    def works(self, now: datetime) -> bool:
        """What following a hint up would have shown."""
        connection = self.connection
        if connection.of.monitored:
            return connection.of.works_at(now + _LOOK)
        succeeded_at = connection.health.last_success_at
        return is_evidence(connection.last_failure_at, succeeded_at=succeeded_at, vouched_at=self.vouched_at)

    def verify(self, now: datetime) -> None:
        """A hint is followed up: the connection has to hold from now on, or is as broken as before."""
        self.hinted_at = None
        if self.works(now):
            spoke_of_now = self.connection.of.monitored or self.vouched_at is not None
            self.status, self.quiet_until = Status.RECOVERING, now + self.quiet_window
            self.became.recovered_at = now
            self.connection.works_again(now if spoke_of_now else None)

    def end_of_quiet_window(self, now: datetime) -> None:
        """It held, or our look shows that it did not."""
        connection = self.connection
        if not connection.of.monitored:
            self.close(Resolution.REPORTED, now)
        elif connection.of.works_at(now + _LOOK):
            self.close(Resolution.VERIFIED, now)
        else:
            connection.health = replace(connection.health, status=HealthStatus.DISCONNECTED, failing_since=now)
            self.relapse()

    def relapse(self) -> None:
        self.status, self.quiet_until, self.became.recovered_at = Status.OPEN, None, None
        self.quiet_window = longer_quiet_window(self.quiet_window)

    def worsen(self, now: datetime) -> None:
        """From degraded to disconnected: people have the ladder's time from here."""
        self.became.kind, self.became.worsened_at = Kind.DISCONNECTED, now
        self.escalation_step, self.snoozed_until = 0, self.unsnoozed_at
        self.ack_expired_at = self.acknowledged_at
        self.who_fixes = self.connection.last_failure_by

    def close(self, resolution: Resolution, now: datetime) -> None:
        connection, became = self.connection, self.became
        if resolution not in MUTING | {Resolution.REMOVED}:
            connection.works_again(None if resolution is Resolution.REPORTED else now)
        if resolution in {Resolution.VERIFIED, Resolution.REPORTED}:
            became.all_clears = int(self.mailed)
        self.status = Status.CANCELLED if resolution is Resolution.REMOVED else Status.CLOSED
        became.closed_at, became.resolution = now, resolution
        connection.response = None
        connection.health = replace(
            connection.health,
            incident_open=False,
            failures=(),
            failing_since=None,
            last_closed_at=now,
            muted=resolution in MUTING,
        )

    def situation(self, policy: Policy) -> Situation:
        """What decides what happens next."""
        became = self.became
        ladder = policy.ladder(became.severity)
        return Situation(
            incident_id=_NOBODY,
            number=1,
            customer_id=_NOBODY,
            integration_type="",
            kind=became.kind,
            status=self.status,
            severity=became.severity,
            resolution=None,
            detected_at=became.detected_at,
            alerted_at=became.alerted_at,
            worsened_at=became.worsened_at,
            acknowledged_at=self.acknowledged_at,
            ack_expired_at=self.ack_expired_at,
            snoozed_until=self.snoozed_until,
            unsnoozed_at=self.unsnoozed_at,
            informed=self.informed is became.kind,
            recovery_hinted=self.hinted_at is not None,
            recheck_at=None,
            last_seq=1,
            quiet_until=self.quiet_until,
            escalation_step=self.escalation_step,
            reminders_sent=self.reminders_sent,
            customer_mailed=self.mailed,
            next_retry_at=min(self.waiting, default=None),
            hold=policy.notify.hold,
            ladder=ladder.steps,
            ack_timeout=ladder.ack_timeout,
            reminders=policy.customer.reminders,
        )
