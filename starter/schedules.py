"""What Relink needs of a Temporal server: namespace, search attributes, schedules. Create or update, at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.common import Priority
from temporalio.service import RPCError, RPCStatusCode

from starter.temporal import SEARCH_ATTRIBUTES
from workflows.contracts import PROBE_TASK_QUEUE, TASK_QUEUE
from workflows.monitoring import MonitorIntegrations, WarnOfExpiry
from workflows.reconciling import ReconcileIncidents
from workflows.reporting import SendDigests

_AGAIN = 2.0  # seconds after a failure
KEEP_EVERY = 20.0  # seconds; Temporal may have been wiped, and nothing else would notice
_RETENTION = Duration(seconds=int(timedelta(days=7).total_seconds()))
_log = structlog.get_logger()

RECONCILE, MONITOR, WARN, DIGEST = "reconcile-incidents", "monitor-integrations", "warn-of-expiry", "send-digests"


@dataclass(frozen=True)
class _Scheduled:
    """A workflow that is started again and again, unless its last run still goes on. Its id is the schedule's too."""

    id: str
    run: Callable[..., Awaitable[Any]]
    every: timedelta
    task_queue: str = TASK_QUEUE
    at_most: timedelta = timedelta(minutes=5)
    goes_first: bool = False  # before whatever else is queued, where the server knows priorities

    def schedule(self) -> Schedule:
        return Schedule(
            action=ScheduleActionStartWorkflow(
                self.run,
                id=self.id,
                task_queue=self.task_queue,
                execution_timeout=self.at_most,
                priority=Priority(priority_key=1) if self.goes_first else Priority.default,
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=self.every)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
        )


SCHEDULED = (
    # When a thousand responses begin at once, their outage is to be told before the last of them has had its turn.
    _Scheduled(RECONCILE, ReconcileIncidents.run, timedelta(seconds=15), goes_first=True),
    # A sweep lasts nearly a minute if nothing goes wrong; after one that did, the next comes soon.
    _Scheduled(MONITOR, MonitorIntegrations.run, timedelta(seconds=10), PROBE_TASK_QUEUE),
    _Scheduled(WARN, WarnOfExpiry.run, timedelta(hours=1), at_most=timedelta(minutes=50)),
    # Whose Monday morning has come is a question of rows, so the next start makes up for one that was missed. All time
    # zones differ by quarters of an hour. Slack lets 50 people a minute be found, hence the hours.
    _Scheduled(DIGEST, SendDigests.run, timedelta(minutes=15), at_most=timedelta(hours=4)),
)


@dataclass(frozen=True)
class SetUp:
    """What is there now, and the commands for what the server would not let us make."""

    search_attributes: tuple[str, ...]
    commands: tuple[str, ...]


async def set_up(client: Client) -> SetUp:
    """Makes what is missing. Raises RPCError if the server is away."""
    commands = await _ensure_namespace(client)
    known, missing = await _ensure_search_attributes(client)
    for scheduled in SCHEDULED:
        await _ensure_schedule(client, scheduled)
    return SetUp(known, tuple(commands + missing))


class Keeper:
    """Keeps a server set up while a worker runs; knows which search attributes may be used."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: tuple[str, ...] = ()

    def search_attributes(self) -> tuple[str, ...]:
        return self._known

    async def once(self) -> None:
        done = await set_up(self._client)
        if done.search_attributes != self._known and done.commands:
            _log.warning("Temporal lacks something that Relink could not make", run=list(done.commands))
        self._known = done.search_attributes

    async def forever(self) -> None:
        """Until cancelled. One failure is no outage: Temporal closes connections when they get old, and what was under
        way on one fails with it."""
        failed = 0
        while True:
            try:
                async with asyncio.timeout(10):  # not wait_for, which may lose a cancellation (Python 3.11)
                    await self.once()
                failed = 0
            except (RPCError, TimeoutError, RuntimeError) as error:
                failed += 1
                if failed > 1:
                    _log.warning("waiting for Temporal", error=str(error)[:200])
            await asyncio.sleep(_AGAIN if failed else KEEP_EVERY)


async def _ensure_namespace(client: Client) -> list[str]:
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            if error.status in _REFUSALS:
                return []  # a namespace-scoped key may not describe; the next call tells if it is missing
            raise
        try:
            await client.workflow_service.register_namespace(
                RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=_RETENTION)
            )
        except RPCError as refused:
            if refused.status not in _REFUSALS:
                raise
            return [f"temporal operator namespace create --namespace {client.namespace} --retention 7d"]
    return []


async def _ensure_search_attributes(client: Client) -> tuple[tuple[str, ...], list[str]]:
    """Those that may be used now, and the commands for those that the server would not let us add."""
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    try:
        found = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        known = dict(found.custom_attributes)
    except RPCError as error:
        if error.status not in _REFUSALS:
            raise
        return (), [_add_command(client, name) for name in SEARCH_ATTRIBUTES]
    # One of another type would fail every workflow that sets it: it is left off, and `doctor` shows it.
    usable = tuple(name for name in SEARCH_ATTRIBUTES if known.get(name) == keyword)
    commands = [_rename_command(client, name) for name in SEARCH_ATTRIBUTES if known.get(name, keyword) != keyword]
    missing = [name for name in SEARCH_ATTRIBUTES if name not in known]
    if not missing:
        return usable, commands
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=dict.fromkeys(missing, keyword))
        )
    except RPCError as error:
        if error.status not in _REFUSALS:
            raise
        commands += [_add_command(client, name) for name in missing]
    return usable, commands  # what was added takes a moment until it can be used; the next round finds it


def _add_command(client: Client, name: str) -> str:
    return f"tcld namespace search-attributes add --namespace {client.namespace} --sa {name}=Keyword"


def _rename_command(client: Client, name: str) -> str:
    return (
        f"tcld namespace search-attributes rename --namespace {client.namespace} --existing-name {name}"
        f" --new-name {name}Old  # it is no Keyword"
    )


_REFUSALS = {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.UNAUTHENTICATED}


async def _ensure_schedule(client: Client, scheduled: _Scheduled) -> None:
    schedule = scheduled.schedule()
    try:
        await client.create_schedule(scheduled.id, schedule)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(scheduled.id)
        existing = (await handle.describe()).schedule
        if _essence(existing) != _essence(schedule):
            schedule.state = existing.state  # a schedule that an operator paused stays paused
            await handle.update(lambda _: ScheduleUpdate(schedule))


def _essence(schedule: Schedule) -> tuple[object, ...]:
    """What a new version may have changed."""
    action = schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    policy = schedule.policy
    return (
        list(schedule.spec.intervals),
        policy.overlap,
        policy.catchup_window,
        action.workflow,
        action.task_queue,
        action.execution_timeout,
        action.priority,
    )
