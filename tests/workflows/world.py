"""A small world for the response: real PostgreSQL, Temporal with time skipping, SMTP, Slack's protocol, a provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from activities.db.actions import Actions
from activities.db.events import EventStore, Outcome
from activities.db.integrations import IntegrationStore
from activities.db.pool import Pool
from activities.events import Event
from activities.playbooks import load_catalogue
from activities.policy import PolicySource
from activities.probes.http import ProbeClient
from activities.probes.monitor import MONITOR, part
from activities.secrets import SecretBox
from activities.settings import Settings
from starter.embedded.inbox import Inbox, Mail, inbox
from starter.embedded.slack import SlackServer, slack
from starter.embedded.temporal import binary
from starter.ring import Ring
from starter.schedules import SCHEDULED, Keeper
from worker import activities, make_probe_worker, make_worker, probing
from workflows.contracts import Bell, Resolution, disconnection_workflow_id
from workflows.domain.policy import Policy

ENCRYPTION_KEYS = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PATIENCE = 180.0  # seconds; what a test waits for comes much sooner, but not on every machine
SECRET_KEY = "test-secret-key-of-at-least-32-characters"
CSM = "maria@vendor.example"
SLACK_ALERT = "integration_disconnected_alert"
CUSTOMER_MAIL = "integration_disconnected_customer"

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


@dataclass
class World:
    """One service with its surroundings; `say` sends an event as a product would."""

    database: str
    pool: Pool
    environment: WorkflowEnvironment
    client: Client
    inbox: Inbox
    slack: SlackServer
    policy: PolicySource
    settings: Settings
    events: EventStore
    actions: Actions
    integrations: IntegrationStore
    ring: Ring
    keeper: Keeper
    make_worker: Callable[[], AbstractAsyncContextManager[None]]
    objects: Callable[[], list[object]]
    started: list[WorkflowHandle[Any, Any]] = field(default_factory=list)  # by a test, beside the responses

    def set_policy(self, **tables: Any) -> None:
        """Another policy for the incidents that begin from now on: their tables are merged key by key."""
        wanted = self.policy.current.model_dump(mode="json")
        for name, table in tables.items():
            wanted[name] |= table
        self.policy.current = Policy.model_validate(wanted)

    async def say(self, event_type: str, *, ring: bool = True, **fields: Any) -> Outcome:
        """An event about TechCorp's Salesforce integration."""
        body = {
            "customer_external_id": "techcorp",
            "integration_type": "salesforce",
            "integration_id": "crm-sync",
            "event_type": event_type,
            **fields,
        }
        outcomes, bells = await self.events.take([Event.model_validate(body)])
        if ring:
            for incident in bells:
                await self.ring.incident(incident)
        return outcomes[0]

    async def disconnect(self, **fields: Any) -> UUID:
        """The refresh token was refused; returns the incident."""
        error = {"code": "invalid_grant", "message": "expired access/refresh token", "http_status": 400}
        outcome = await self.say("auth_failure", **{"error": {**error, "surface": "token_endpoint"}, **fields})
        assert outcome.incident is not None
        return outcome.incident

    async def handle(self, incident: UUID) -> WorkflowHandle[Any, Any]:
        row = await self.row(incident)
        return self.client.get_workflow_handle(disconnection_workflow_id(row["integration_health_id"], row["number"]))

    async def row(self, incident: UUID) -> asyncpg.Record:
        row = await self.pool.fetchrow("select * from incidents where id = $1", incident)
        assert row is not None
        return row

    async def health(self) -> asyncpg.Record:
        """TechCorp's Salesforce integration."""
        row = await self.pool.fetchrow("select * from integration_health where integration_type = 'salesforce'")
        assert row is not None
        return row

    async def value(self, statement: str, *arguments: Any) -> Any:
        return await self.pool.fetchval(statement, *arguments)

    async def deliveries(self, incident: UUID) -> list[tuple[str, str, str]]:
        rows = await self.pool.fetch(
            "select channel, template, status from deliveries where incident_id = $1 order by created_at, delivery_key",
            incident,
        )
        return [tuple(row) for row in rows]

    async def delivery(self, incident: UUID, template: str, channel: str) -> asyncpg.Record | None:
        return await self.pool.fetchrow(
            "select * from deliveries where incident_id = $1 and template = $2 and channel = $3 order by created_at",
            incident,
            template,
            channel,
        )

    async def until_delivery(
        self, incident: UUID, template: str, channel: str, status: str, *, within: float = PATIENCE
    ) -> asyncpg.Record:
        """Waits until the first delivery of this kind has this status."""

        async def seen() -> asyncpg.Record | None:
            row = await self.delivery(incident, template, channel)
            return row if row is not None and row["status"] == status else None

        found: asyncpg.Record = await self.until(seen, within=within)
        return found

    async def timeline(self, incident: UUID) -> list[str]:
        rows = await self.pool.fetch("select kind from incident_timeline where incident_id = $1 order by id", incident)
        return [row["kind"] for row in rows]

    async def timeline_texts(self) -> list[str]:
        """All lines of all incidents, as they are stored."""
        rows = await self.pool.fetch("select concat_ws(' ', kind, actor, details::text) as line from incident_timeline")
        return [row["line"] for row in rows]

    async def told_of(self, incident: UUID, kind: str) -> list[dict[str, Any]]:
        """The details of all lines of one kind in the timeline."""
        rows = await self.pool.fetch(
            "select details from incident_timeline where incident_id = $1 and kind = $2 order by id", incident, kind
        )
        return [row["details"] for row in rows]

    async def notes(self, incident: UUID) -> list[str]:
        """The kinds of the lines that were intended for the CSM's thread, in order."""
        rows = await self.pool.fetch(
            "select details ->> 'kind' as kind from deliveries"
            " where incident_id = $1 and template = 'integration_disconnected_note' order by created_at",
            incident,
        )
        return [row["kind"] for row in rows]

    async def hint(self, incident: UUID, kind: str = "callback") -> None:
        """The product says that it was reconnected, or its CSM says so (`kind` "person")."""
        if kind == "person":
            await self.actions.report_fixed(incident, CSM)
        else:
            await self.actions.hint(incident, kind)
        await self.ring.incident(incident)

    async def close_by_hand(self, incident: UUID, resolution: Resolution) -> None:
        await self.actions.close(incident, CSM, resolution)
        await self.ring.incident(incident)

    async def acknowledge(self, incident: UUID) -> None:
        assert await self.actions.acknowledge(incident, CSM)
        await self.ring.incident(incident)

    async def snooze(self, incident: UUID, span: timedelta) -> None:
        assert await self.actions.snooze(incident, CSM, datetime.now(UTC) + span)
        await self.ring.incident(incident)

    async def remove(self) -> None:
        """The integration is deleted, as by DELETE."""
        customer = await self.value("select id from customers")
        for incident in await self.integrations.remove(customer, "salesforce", "crm-sync"):
            await self.ring.incident(incident)

    async def ring_bell(self, incident: UUID, bell: Bell) -> None:
        row = await self.row(incident)
        await self.ring.start(incident, row["integration_health_id"], row["number"], bell)

    async def until(self, seen: Callable[[], Awaitable[Any]], *, within: float = PATIENCE) -> Any:
        """Waits for a condition that is observed; fails with its last value."""
        end = asyncio.get_running_loop().time() + within
        while True:
            if found := await seen():
                return found
            assert asyncio.get_running_loop().time() < end, f"not seen within {within} s: {found!r}"
            await asyncio.sleep(0.02)

    async def until_timeline(self, incident: UUID, kind: str, times: int = 1, *, within: float = PATIENCE) -> None:
        """Waits until the incident's timeline has this line so many times."""
        end = asyncio.get_running_loop().time() + within
        while (lines := await self.timeline(incident)).count(kind) < times:
            assert asyncio.get_running_loop().time() < end, f"no {kind} x {times} within {within} s in {lines}"
            await asyncio.sleep(0.02)

    async def until_waiting(self, incident: UUID, *, within: float = PATIENCE) -> None:
        """Waits until the workflow has nothing to do but to wait."""
        handle = await self.handle(incident)

        async def idle() -> bool:
            description = await handle.describe()
            raw = description.raw_description
            return not raw.pending_activities and not raw.HasField("pending_workflow_task")

        await self.until(idle, within=within)

    async def pass_time(self, incident: UUID, duration: timedelta) -> None:
        """Moves this workflow's clock forward; the timers on the way fire."""
        skipper = self.environment
        await skipper.fast_forward(await self.handle(incident), duration)  # type: ignore[attr-defined]

    async def result(self, incident: UUID, *, within: float = PATIENCE) -> Any:
        return await asyncio.wait_for((await self.handle(incident)).result(), within)

    async def histories(self) -> list[WorkflowHistory]:
        """The histories of all responses that have begun, in the order of their incidents; then of the rest."""
        rows = await self.pool.fetch("select id from incidents order by number")
        found = []
        for handle in [*[await self.handle(row["id"]) for row in rows], *self.started]:
            try:
                found.append(await handle.fetch_history())
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
        return found

    def mails_to(self, address: str) -> list[Mail]:
        return [mail for mail in self.inbox.messages() if address in mail.recipients]

    def posted(self) -> list[Mapping[str, Any]]:
        """The Slack messages that were really posted, in order, threads included."""
        return [call for call in self.slack.calls("chat.postMessage") if call["response"].get("ok")]

    def messages(self) -> list[dict[str, Any]]:
        """The Slack messages that people see outside of threads, as they stand now."""
        store = self.slack.store
        everything = {"oldest": 0, "latest": 2**62, "limit": 1000}
        return [body for channel in store.channels() for body in store.history(channel.id, **everything)]

    def alerts(self) -> list[dict[str, Any]]:
        """The visible alerts."""
        return [m for m in self.messages() if f"/{SLACK_ALERT}/" in key_of(m)]

    def thread(self) -> list[str]:
        """What was answered below the one visible alert, in order."""
        (alert,) = self.alerts()
        channel = next(c for c in self.slack.store.channels() if self.slack.store.message(c.id, alert["ts"]))
        return [reply["text"] for reply in self.slack.store.replies(channel.id, alert["ts"])]


def key_of(message: Mapping[str, Any]) -> str:
    """The delivery key that a Slack message carries."""
    return str(message.get("metadata", {}).get("event_payload", {}).get("delivery_key", ""))


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


async def give_monitor(pool: Pool, monitor: dict[str, Any]) -> None:
    """Gives TechCorp's Salesforce integration a monitor, as a PUT does."""
    integration = await pool.fetchval("select id from integration_health")
    shown, secrets = part(MONITOR.validate_python(monitor), {})
    sealed = SecretBox(ENCRYPTION_KEYS).seal(integration, secrets) if secrets else None
    await pool.execute(
        "update integration_health set monitor = $2, monitor_secrets = $3 where id = $1", integration, shown, sealed
    )


def ago(**span: float) -> str:
    """A time in the past, as events carry it."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


@dataclass(frozen=True)
class Account:
    """One user's grant at oidc-provider-mock."""

    issuer: str
    user: str

    async def monitor(self) -> dict[str, Any]:
        """A monitor that refreshes a fresh grant of this user."""
        return {
            "kind": "oauth2",
            "token_url": f"{self.issuer}/oauth2/token",
            "client_id": "relink",
            "client_secret": "secret",
            "refresh_token": await grant(self.issuer, self.user),
        }

    async def revoke(self) -> None:
        """The customer takes the grant back."""
        async with httpx.AsyncClient(base_url=self.issuer, timeout=PATIENCE) as http:
            (await http.post(f"/users/{self.user}/revoke-tokens")).raise_for_status()

    async def reconnect(self, pool: Pool) -> None:
        """The customer authorises again, and the product stores the new token."""
        await give_monitor(pool, await self.monitor())


async def grant(issuer: str, user: str = "bob") -> str:
    """A refresh token from oidc-provider-mock, through its authorization code flow."""
    async with httpx.AsyncClient(base_url=issuer, follow_redirects=False, timeout=PATIENCE) as http:
        query = {
            "client_id": "relink",
            "redirect_uri": "https://product.example/callback",
            "response_type": "code",
            "scope": "openid",
            "state": "s",
        }
        answer = await http.post("/oauth2/authorize", params=query, data={"sub": user})
        code = httpx.URL(answer.headers["location"]).params["code"]
        tokens = await http.post(
            "/oauth2/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": "https://product.example/callback",
                "client_id": "relink",
                "client_secret": "secret",
            },
        )
        return str(tokens.json()["refresh_token"])
