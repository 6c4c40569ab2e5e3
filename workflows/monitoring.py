"""Watching integrations: the sweep, and the warnings about credentials that are about to end."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.monitoring import Forgetting, Monitoring
    from activities.warnings import Warnings
    from workflows.contracts import TASK_QUEUE, SweepResult
    from workflows.options import DATABASE, named

_SEND_NOTICES = "send-notices"


@workflow.defn
class MonitorIntegrations:
    """One sweep, started every few seconds by the schedule `monitor-integrations` unless one is under way."""

    @workflow.run
    async def run(self) -> SweepResult:
        result = await self._sweep()
        if result.notices_waiting:
            await self._have_notices_sent()
        return result

    async def _sweep(self) -> SweepResult:
        return await workflow.execute_activity_method(
            Monitoring.sweep,
            summary="Look at every integration that is due",
            start_to_close_timeout=timedelta(minutes=3),
            heartbeat_timeout=timedelta(seconds=8),  # a killed worker is noticed within this
            retry_policy=RetryPolicy(maximum_attempts=2),  # the next sweep comes in a few seconds anyway
        )

    async def _have_notices_sent(self) -> None:
        """By a workflow of its own on the other queue: telling people must not hold up looking, nor the reverse."""
        try:
            await workflow.start_child_workflow(
                SendNotices.run,
                id=_SEND_NOTICES,
                task_queue=TASK_QUEUE,
                execution_timeout=timedelta(minutes=10),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return  # it is being done


@workflow.defn
class SendNotices:
    """Sends what belongs to no incident: warnings, and that our own network failed."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity_method(
            Warnings.send_notices,
            summary="Send warnings that wait",
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=2),  # the next sweep asks again
        )


@workflow.defn
class WarnOfExpiry:
    """Once an hour: who is to be told of credentials that end soon, and what may be forgotten."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity_method(
            Warnings.warn_of_expiry, **named(DATABASE, "Which credentials end in 30, 14, 7 days or 1?")
        )
        await workflow.execute_activity_method(
            Forgetting.forget_metrics,
            summary="Forget old health metrics",
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_attempts=2),
        )
