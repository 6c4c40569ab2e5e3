"""Digests: of the week (every quarter of an hour it is Monday morning somewhere) and of providers' outages."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.digest import Digests
    from workflows.contracts import DigestsAt


@workflow.defn
class SendDigests:
    """Tells every CSM whose Monday morning has come of their week; started by the schedule `send-digests`."""

    @workflow.run
    async def run(self) -> None:
        while (again_at := await _send_some()) is not None:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new()  # everything is in the rows, so nothing is carried over
            if (wait := again_at - workflow.now()) > timedelta(0):
                await workflow.sleep(wait, summary="until more can be sent")


@workflow.defn
class TellOfOutages:
    """Sends, and brings up to date, what is to be told of providers' outages now. Started by each round of reconciling
    for as long as there is something, so it waits for nothing itself."""

    @workflow.run
    async def run(self) -> None:
        await _send_some()


async def _send_some() -> datetime | None:
    sent = await workflow.execute_activity_method(
        Digests.send_digests,
        DigestsAt(now=workflow.now()),
        summary="Send the digests that are due",
        start_to_close_timeout=timedelta(minutes=5),
        heartbeat_timeout=timedelta(seconds=20),  # longer than one attempt; a killed worker is noticed within this
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
    )
    return sent.again_at
