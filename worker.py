"""Composition root of the worker: settings, resources, activity objects, workers. Nothing imports it.

Run it as `relink worker` or `python -m worker`; with `--queue incidents` or `--queue probes` it does one half only, so
that the two can be scaled apart.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeAlias

import structlog
from temporalio.client import Client
from temporalio.worker import Worker

from activities.db.calendar import CalendarStore
from activities.db.connections import ConnectionStore
from activities.db.digest import DigestStore
from activities.db.events import EventStore
from activities.db.incidents import IncidentStore
from activities.db.ledger import Ledger
from activities.db.metrics import MetricStore
from activities.db.migrate import MigrationError, until_migrated
from activities.db.monitoring import ProbeStore
from activities.db.outage_digests import OutageDigestStore
from activities.db.outages import OutageStore
from activities.db.pool import Pool, create_pool
from activities.db.provider_outages import ProviderOutageStore
from activities.db.reliability import ReliabilityStore
from activities.db.views import ViewLoader
from activities.db.warnings import NoticeStore
from activities.digest import Digests
from activities.discretion import Discretion
from activities.egress import Egress
from activities.email import EmailSender, SmtpServer
from activities.health_score import HealthScores
from activities.impact import Impact
from activities.incidents import Incidents
from activities.links import Links
from activities.monitoring import Forgetting, Monitoring
from activities.notices import Notices
from activities.playbooks import load_catalogue
from activities.policy import PolicyError, PolicySource
from activities.probes.check import Prober
from activities.probes.http import ProbeClient
from activities.provider_outages import ProviderOutages
from activities.reconciling import Reconciler
from activities.reliability import Reliability
from activities.rendering import Renderer
from activities.rendering_templates import TemplatesError
from activities.secrets import SecretBox, SecretsError
from activities.settings import Settings, SettingsError
from activities.slack import SlackSender
from activities.slack_client import slack_client
from activities.sweeping import Sweeper
from activities.tasks import Tasks
from activities.verification import Verification
from activities.warnings import Warnings
from starter.logs import set_up_logs
from starter.ring import Ring
from starter.schedules import Keeper
from starter.temporal import connect
from workflows.contracts import PROBE_TASK_QUEUE, TASK_QUEUE
from workflows.disconnection import IntegrationDisconnectionResponse
from workflows.monitoring import MonitorIntegrations, SendNotices, WarnOfExpiry
from workflows.reconciling import ReconcileIncidents
from workflows.reporting import SendDigests, TellOfOutages

REQUIRED = ("database_url", "secret_key", "public_url", "smtp_url", "email_from")
_log = structlog.get_logger()

Queue: TypeAlias = Literal["incidents", "probes", "all"]


def activities(
    settings: Settings, policy: PolicySource, pool: Pool, client: Client, probes: ProbeClient, keeper: Keeper
) -> list[object]:
    """The activity objects, each with its collaborators."""
    assert settings.public_url is not None  # REQUIRED, like the next two
    assert settings.smtp_url is not None
    assert settings.email_from is not None
    catalogue = load_catalogue()
    ledger, views, incidents = Ledger(pool), ViewLoader(pool), IncidentStore(pool)
    links = Links(settings.public_url, settings.secret_keys)
    render = Renderer(
        product_name=settings.product_name, public_url=settings.public_url, templates_dir=settings.templates_dir
    )
    slack = SlackSender(slack_client(settings), pool, ledger, views, render, links)
    smtp = SmtpServer.parse(settings.smtp_url.get_secret_value())
    email = EmailSender(smtp, settings.email_from, ledger, views, render, links)
    connections = ConnectionStore(pool, SecretBox(settings.encryption_keys))
    notices = NoticeStore(pool, catalogue)
    reliability = Reliability(ReliabilityStore(pool), lambda: policy.current)
    events, digests = EventStore(pool, lambda: policy.current, catalogue), DigestStore(pool, catalogue)
    outage_digests = OutageDigestStore(pool, digests, catalogue)
    outages = ProviderOutages(ProviderOutageStore(pool), outage_digests, slack, lambda: policy.current)
    return [
        Incidents(incidents, keeper.search_attributes),
        Impact(pool, views),
        Notices(pool, ledger, views, slack, email),
        Tasks(pool, views),
        HealthScores(pool),
        Verification(incidents, connections, Prober(probes, catalogue)),
        Reconciler(pool, events, outages, Ring(client, pool)),
        Warnings(CalendarStore(pool), notices, ledger, slack, email, render, links, lambda: policy.current),
        Digests(digests, ledger, slack, email, render, links, reliability, outage_digests, lambda: policy.current),
        Forgetting(MetricStore(pool), lambda: policy.current),
    ]


def probing(settings: Settings, policy: PolicySource, pool: Pool, client: Client, probes: ProbeClient) -> list[object]:
    """The activity objects of the probe queue."""
    catalogue = load_catalogue()
    connections = ConnectionStore(pool, SecretBox(settings.encryption_keys))
    prober = Prober(probes, catalogue)
    sweeper = Sweeper(
        ProbeStore(pool, EventStore(pool, lambda: policy.current, catalogue), catalogue),
        OutageStore(pool),
        look=partial(connections.look, prober=prober),
        egress=Egress(probes),
        rings=Ring(client, pool),
        policy=lambda: policy.current,
    )
    return [Monitoring(pool, sweeper), Verification(IncidentStore(pool), connections, prober)]


def methods(objects: list[object]) -> list[object]:
    """Every method of these objects that is an activity."""
    found = [getattr(obj, name) for obj in objects for name in dir(type(obj)) if not name.startswith("_")]
    return [method for method in found if hasattr(method, "__temporal_activity_definition")]


def make_worker(client: Client, objects: list[object]) -> Worker:
    """The worker of the incident queue."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[
            IntegrationDisconnectionResponse,
            ReconcileIncidents,
            WarnOfExpiry,
            SendNotices,
            SendDigests,
            TellOfOutages,
        ],
        activities=methods(objects),  # type: ignore[arg-type]  # found by their definitions
        interceptors=[Discretion()],
        max_cached_workflows=2_000,  # about 76 KB each; replay is cheap
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),  # how long a killed worker's tasks wait for it
        graceful_shutdown_timeout=timedelta(seconds=15),  # longer than any notice may take
    )


def make_probe_worker(client: Client, objects: list[object]) -> Worker:
    """The worker of the probe queue, so that slow providers never delay a notice."""
    return Worker(
        client,
        task_queue=PROBE_TASK_QUEUE,
        workflows=[MonitorIntegrations],
        activities=methods(objects),  # type: ignore[arg-type]  # found by their definitions
        interceptors=[Discretion()],
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(seconds=40),  # longer than any look: one that renews a grant must end
    )


async def serve(settings: Settings, stop: asyncio.Event, queue: Queue = "all") -> None:
    """Works until `stop` is set, then lets running activities finish. Whatever is away is waited for."""
    policy = PolicySource(settings.policy_file)
    _reload_on_hangup(policy)
    assert settings.database_url
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(create_pool(settings.database_url, size=20))
        probes = await stack.enter_async_context(ProbeClient(allow_private=settings.probe_allow_private))
        await _first(until_migrated(pool), stop)
        while not stop.is_set():
            client = await _connected(settings, stop)
            if client is None:
                return
            keeper = Keeper(client)
            workers = []
            if queue in {"incidents", "all"}:
                workers.append(make_worker(client, activities(settings, policy, pool, client, probes, keeper)))
            if queue in {"probes", "all"}:
                workers.append(make_probe_worker(client, probing(settings, policy, pool, client, probes)))
            await _work(workers, keeper, stop)


async def _work(workers: list[Worker], keeper: Keeper, stop: asyncio.Event) -> None:
    """Runs the workers until `stop` is set or one of them stops by itself."""
    keeping = asyncio.create_task(keeper.forever())
    stopping = asyncio.create_task(stop.wait())
    try:
        running = [asyncio.create_task(worker.run()) for worker in workers]
        _log.info("worker started", task_queues=[worker.task_queue for worker in workers])
        await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in running if task.done()]
        if not ended:
            _log.info("stopping: running activities may finish")
        others = [worker for worker, task in zip(workers, running, strict=True) if task not in ended]
        await asyncio.gather(*(worker.shutdown() for worker in others))
        await asyncio.gather(*running, return_exceptions=True)
        if ended:
            _log.warning("the worker stopped; starting again", error=str(ended[0].exception()))
            await asyncio.sleep(1)
    finally:
        for task in (keeping, stopping):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _first(awaited: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Waits for this, unless it is to stop before."""
    waiting, stopping = asyncio.create_task(awaited), asyncio.create_task(stop.wait())
    done, others = await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if waiting in done:
        await waiting


async def _connected(settings: Settings, stop: asyncio.Event) -> Client | None:
    while not stop.is_set():
        try:
            return await asyncio.wait_for(connect(settings), 10)
        except (ConnectionError, TimeoutError) as error:
            _log.warning("waiting for Temporal", error=str(error)[:200])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 2)
    return None


def _reload_on_hangup(policy: PolicySource) -> None:
    def reload() -> None:
        try:
            policy.reload()
            _log.info("policy read again")
        except PolicyError as error:
            _log.error("the changed policy is wrong; the old one stays in force", problem=str(error))

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


async def main() -> int:
    """0 after a clean stop; 1 if a setting or the policy is wrong, naming it."""
    parser = argparse.ArgumentParser(prog="relink worker")
    parser.add_argument("--queue", choices=("incidents", "probes", "all"), default="all", help="what to work on")
    queue: Queue = parser.parse_args().queue
    try:
        settings = Settings.load(*REQUIRED)
        set_up_logs(settings.log_format)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(settings, stop, queue)
    except (SettingsError, PolicyError, SecretsError, TemplatesError, MigrationError, ValueError) as error:
        sys.stderr.write(f"relink worker: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
