"""Rings an incident's bell: signal-with-start of its workflow, so that ringing is enough to make it run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.db.pool import UNAVAILABLE, Pool
from activities.db.sql import queries
from workflows.contracts import TASK_QUEUE, Bell, IncidentRef, disconnection_workflow_id
from workflows.disconnection import IntegrationDisconnectionResponse

PATIENCE = 0.5  # seconds that a request waits for Temporal; the reconciler makes up for the rest
_RPC_PATIENCE = 5.0
_SQL = queries("incidents")
_log = structlog.get_logger()


class Ring:
    """Everything that starts or wakes a response goes through here."""

    def __init__(self, client: Client, pool: Pool) -> None:
        self._client, self._pool = client, pool

    async def soon(self, incidents: Iterable[UUID]) -> None:
        """Rings what a request has just committed, within 500 ms in all; the reconciler rings what stays unrung."""
        try:
            await asyncio.wait_for(asyncio.gather(*(self.incident(i) for i in incidents)), PATIENCE)
        except (TimeoutError, RPCError, RuntimeError, *UNAVAILABLE) as error:  # RuntimeError: a first connection failed
            _log.warning("bell not rung yet; the reconciler will", error=type(error).__name__)

    async def incident(self, incident: UUID) -> None:
        """Rings every waiting bell of one incident and takes it off the door. Raises RPCError or TimeoutError."""
        bells = await self._pool.fetch(_SQL["doorbells_of"], incident)
        for kind in dict.fromkeys(bell["kind"] for bell in bells):
            first = bells[0]
            await self.start(incident, first["integration_health_id"], first["number"], Bell(kind))
        await self._pool.execute(_SQL["delete_doorbells"], [bell["id"] for bell in bells])

    async def start(self, incident: UUID, integration: UUID, number: int, bell: Bell = Bell.FAILURE_RECURRED) -> None:
        """Signal-with-start. A completed run means that a close covered every event, so it counts as rung."""
        try:
            # The SDK's call can block beyond rpc_timeout while the server is away.
            await asyncio.wait_for(
                self._client.start_workflow(
                    IntegrationDisconnectionResponse.run,
                    IncidentRef(incident_id=incident),
                    id=disconnection_workflow_id(integration, number),
                    task_queue=TASK_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    start_signal=bell.value,
                    static_summary=f"Response to incident {number}",
                ),
                _RPC_PATIENCE,
            )
        except WorkflowAlreadyStartedError:
            return

    async def running(self) -> set[str]:
        """The ids of all responses that are running, as far as Temporal's visibility knows."""
        query = "WorkflowType = 'IntegrationDisconnectionResponse' and ExecutionStatus = 'Running'"
        return {execution.id async for execution in self._client.list_workflows(query, page_size=1000)}
