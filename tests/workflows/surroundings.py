"""The servers around a world, and how it is made of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from activities.db.actions import Actions
from activities.db.events import EventStore
from activities.db.integrations import IntegrationStore
from activities.db.pool import Pool
from activities.playbooks import load_catalogue
from activities.policy import PolicySource
from activities.probes.http import ProbeClient
from activities.secrets import SecretBox
from activities.settings import Settings
from starter.embedded.inbox import Inbox, inbox
from starter.embedded.slack import SlackServer, slack
from starter.embedded.temporal import binary
from starter.ring import Ring
from starter.schedules import SCHEDULED, Keeper
from tests.workflows.world import ENCRYPTION_KEYS, SECRET_KEY, World
from worker import activities, make_probe_worker, make_worker, probing

DYNAMIC_CONFIG = (
    "frontend.WorkflowTimeSkippingEnabled=true",
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    "history.visibilityProcessorMaxPollRPS=2000",
    'history.timerProcessorMaxTimeShift="5ms"',  # else each skip of time costs up to a second
)


@asynccontextmanager
async def temporal_with_time_skipping(
    *dynamic_config: str, converter: DataConverter = pydantic_data_converter
) -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server on which a workflow's own clock can be moved forward."""
    path = binary()
    assert path is not None
    extra = [argument for value in (*DYNAMIC_CONFIG, *dynamic_config) for argument in ("--dynamic-config-value", value)]
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(path),
        dev_server_extra_args=extra,
        dev_server_log_level="error",
        ts_config=TimeSkippingConfig(enabled=False),  # clocks move only when a test says so
        data_converter=converter,
    )
    async with environment:
        yield environment


async def without_schedules(client: Client) -> Keeper:
    """Sets the server up, then takes the schedules away: a test starts a round of reconciling when it wants one."""
    keeper = Keeper(client)
    await keeper.once()
    await keeper.once()  # the first may have made the search attributes, the second finds them
    for scheduled in SCHEDULED:
        with suppress(RPCError):
            await client.get_schedule_handle(scheduled.id).delete()
    return keeper


DATABASE_URL = """
select format('postgresql://%s@%s:%s/%s',
  current_user, host(inet_server_addr()), inet_server_port(), current_database())
"""
CUSTOMER = """
with c as (
  insert into customers (external_id, name, arr, health_score_base, health_score)
  values ('techcorp', 'TechCorp', 200000, 82, 82) returning id
)
insert into people (customer_id, role, position, name, email, title, timezone)
select c.id, p.* from c, (values
  ('csm', 0, 'Maria Lopez', 'maria@vendor.example', null, 'UTC'),
  ('csm_manager', 0, 'Tom Reed', 'tom@vendor.example', null, 'UTC'),
  ('technical_contact', 0, 'Bob Smith', 'bob@techcorp.example', 'IT Admin', 'UTC'),
  ('technical_contact', 1, 'Ann Lee', 'ann@techcorp.example', 'Developer', null)
) as p (role, position, name, email, title, timezone)
"""
INTEGRATION = """
insert into integration_health (customer_id, integration_type, integration_id, display_name, is_critical, reconnect_url)
select id, 'salesforce', 'crm-sync', 'Salesforce CRM Sync', true, 'https://product.example/reconnect' from customers
"""


@dataclass(frozen=True)
class Surroundings:
    """The servers that several worlds can share, one after the other."""

    environment: WorkflowEnvironment
    keeper: Keeper
    inbox: Inbox
    slack: SlackServer
    probes: ProbeClient


@asynccontextmanager
async def surroundings(environment: WorkflowEnvironment, folder: Path) -> AsyncIterator[Surroundings]:
    """An inbox and a Slack beside a Temporal server that is set up."""
    async with AsyncExitStack() as stack:
        mails = await stack.enter_async_context(inbox(folder / f"mail-{uuid4().hex[:8]}"))
        workspace = await stack.enter_async_context(slack(folder / f"slack-{uuid4().hex[:8]}.sqlite"))
        probes = await stack.enter_async_context(ProbeClient(allow_private=True))
        yield Surroundings(environment, await without_schedules(environment.client), mails, workspace, probes)


@asynccontextmanager
async def world(
    pool: Pool, environment: WorkflowEnvironment, folder: Path, policy_file: Path | None = None
) -> AsyncIterator[World]:
    """Everything up but the worker: start it with `async with world.make_worker()`."""
    async with surroundings(environment, folder) as around, world_in(around, pool, policy_file) as made:
        yield made


@asynccontextmanager
async def world_in(
    around: Surroundings, pool: Pool, policy_file: Path | None = None, *, is_new: bool = True
) -> AsyncIterator[World]:
    """The same in surroundings that are there already; they are left as they were. `is_new`: TechCorp is added."""
    client = around.environment.client
    policy = PolicySource(policy_file)
    settings = settings_for(around.inbox, around.slack)
    if is_new:
        await pool.execute(CUSTOMER)
        await pool.execute(INTEGRATION)

    def objects() -> list[object]:
        return activities(made.settings, policy, pool, client, around.probes, made.keeper)

    @asynccontextmanager
    async def workers() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(make_worker(client, objects()))
            if await pool.fetchval("select exists (select from integration_health where monitor is not null)"):
                probes = probing(made.settings, policy, pool, client, around.probes)
                await stack.enter_async_context(make_probe_worker(client, probes))
            yield

    made = World(
        database=await pool.fetchval(DATABASE_URL),
        pool=pool,
        environment=around.environment,
        client=client,
        inbox=around.inbox,
        slack=around.slack,
        policy=policy,
        settings=settings,
        events=EventStore(pool, lambda: policy.current, load_catalogue()),
        actions=Actions(pool),
        integrations=IntegrationStore(pool, SecretBox(ENCRYPTION_KEYS)),
        ring=Ring(client, pool),
        keeper=around.keeper,
        make_worker=workers,
        objects=objects,
    )
    try:
        yield made
    finally:
        await _end_what_runs(made)
        around.inbox.clear()
        around.slack.clear()


async def _end_what_runs(world: World) -> None:
    """No workflow of this test may find the next test's worker."""
    for row in await world.pool.fetch("select id from incidents"):
        try:
            await (await world.handle(row["id"])).terminate("the test is over")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


def settings_for(mails: Inbox, workspace: SlackServer) -> Settings:
    return Settings(
        database_url="unused: the pool is given",
        secret_key=SecretStr(SECRET_KEY),
        public_url="https://relink.example",
        smtp_url=SecretStr(mails.smtp_url),
        email_from="Acme Integrations <integrations@acme.example>",
        product_name="Acme",
        encryption_keys=SecretStr(ENCRYPTION_KEYS),
        slack_bot_token=SecretStr(workspace.token),
        slack_api_url=workspace.api_url,
    )
