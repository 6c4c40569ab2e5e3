"""A small world for the response: real PostgreSQL, Temporal with time skipping, SMTP, Slack's protocol, a provider."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from activities.db.actions import Actions
from activities.db.events import EventStore, Outcome
from activities.db.integrations import IntegrationStore
from activities.db.pool import Pool
from activities.events import Event
from activities.policy import PolicySource
from activities.settings import Settings
from starter.embedded.inbox import Inbox, Mail
from starter.embedded.slack import SlackServer
from starter.ring import Ring
from starter.schedules import Keeper
from workflows.contracts import Bell, Resolution, disconnection_workflow_id
from workflows.domain.policy import Policy

T = TypeVar("T")
ENCRYPTION_KEYS = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PATIENCE = 180.0  # seconds; what a test waits for comes much sooner, but not on every machine
SECRET_KEY = "test-secret-key-of-at-least-32-characters"
CSM = "maria@vendor.example"
SLACK_ALERT = "integration_disconnected_alert"
CUSTOMER_MAIL = "integration_disconnected_customer"


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

    def the(self, kind: type[T]) -> T:
        """The activity object of this kind."""
        return next(made for made in self.objects() if isinstance(made, kind))

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


def ago(**span: float) -> str:
    """A time in the past, as events carry it."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat()
