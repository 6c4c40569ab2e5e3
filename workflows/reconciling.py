"""A round of mending, started every few seconds by the schedule `reconcile-incidents`."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import Reconciler
    from workflows.contracts import ReconcileResult
    from workflows.reporting import SendDigests

_SEND_DIGESTS = "send-digests-of-outages"


@workflow.defn
class ReconcileIncidents:
    @workflow.run
    async def run(self) -> ReconcileResult:
        result = await workflow.execute_activity_method(
            Reconciler.reconcile,
            summary="Ring unrung bells, start missing responses, look after outages",
            start_to_close_timeout=timedelta(minutes=2),
            heartbeat_timeout=timedelta(seconds=15),
            retry_policy=RetryPolicy(maximum_attempts=2),  # the next round comes in a few seconds anyway
        )
        if result.digests_waiting:
            await self._have_digests_sent()
        return result

    async def _have_digests_sent(self) -> None:
        """By a workflow of its own: a slow Slack must not hold up mending."""
        try:
            await workflow.start_child_workflow(
                SendDigests.run,
                id=_SEND_DIGESTS,
                execution_timeout=timedelta(minutes=30),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return  # it is being done
