"""A round of mending, started every few seconds by the schedule `reconcile-incidents`."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import Reconciler
    from workflows.contracts import ReconcileResult
    from workflows.reporting import TellOfOutages

_TELL = "tell-of-outages"


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
            await self._have_outages_told()
        return result

    async def _have_outages_told(self) -> None:
        """By a workflow of its own: a slow Slack must not hold up mending."""
        try:
            await workflow.start_child_workflow(
                TellOfOutages.run,
                id=_TELL,
                execution_timeout=timedelta(minutes=10),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return  # it is being done
