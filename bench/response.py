"""From an event to the CSM's alert, against an empty workflow with one empty activity on the same server."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.db.migrate import migrate
from activities.db.pool import create_pool
from bench.measure import Figure, compare, median_seconds
from starter.embedded.postgres import postgres
from tests.workflows.surroundings import temporal_with_time_skipping, world
from tests.workflows.world import World


@activity.defn
async def nothing() -> None:
    return


@workflow.defn(name="Floor")
class Floor:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=5))


@contextlib.asynccontextmanager
async def _world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="relink-bench-") as folder:
        path = Path(folder)
        async with (
            postgres(path / "postgres") as server,
            create_pool(server.url) as pool,
            temporal_with_time_skipping() as environment,
        ):
            await migrate(pool)
            async with world(pool, environment, path) as made:
                yield made


async def figures() -> list[Figure]:
    """One incident at a time, on idle servers."""
    async with _world() as made, made.make_worker():
        async with Worker(
            made.client,
            task_queue="floor",
            workflows=[Floor],
            activities=[nothing],
            workflow_runner=UnsandboxedWorkflowRunner(),  # a floor has nothing to protect
        ):
            floor = await median_seconds(lambda: _run_floor(made.client), times=30)
        alerted = await median_seconds(lambda: _until_alerted(made), times=30)
    return [compare("Event to the CSM's alert in Slack", alerted, floor, "empty workflow, one empty activity")]


async def _run_floor(client: Client) -> None:
    await client.execute_workflow(Floor.run, id=f"floor-{uuid4()}", task_queue="floor")


async def _until_alerted(made: World) -> None:
    before = len(made.posted())
    await made.say("auth_failure", integration_id=uuid4().hex, error={"code": "invalid_grant"})
    while len(made.posted()) == before:  # noqa: ASYNC110 - what is timed is the stand-in's own record
        await asyncio.sleep(0.002)
