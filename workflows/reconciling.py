"""A round of mending, started every few seconds by the schedule `reconcile-incidents`."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import Reconciler
    from workflows.contracts import ReconcileResult


@workflow.defn
class ReconcileIncidents:
    @workflow.run
    async def run(self) -> ReconcileResult:
        return await workflow.execute_activity_method(
            Reconciler.reconcile,
            summary="Ring unrung bells, start missing responses",
            start_to_close_timeout=timedelta(minutes=2),
            heartbeat_timeout=timedelta(seconds=15),
            retry_policy=RetryPolicy(maximum_attempts=2),  # the next round comes in a few seconds anyway
        )
