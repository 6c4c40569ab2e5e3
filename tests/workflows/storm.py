"""One provider with twelve customers, two CSMs, and what happens to them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import UUID

from temporalio.testing import ActivityEnvironment

from activities.digest import Digests
from activities.events import Event
from activities.notices import Notices
from activities.reconciling import Reconciler
from tests.workflows.world import World, key_of
from workflows.contracts import DigestsAt, IncidentAt, ReconcileResult

BACK = """
    update incidents set status = 'recovering', recovering_since = now(), quiet_until = now() + interval '10 minutes'
    where id = any($1)"""
CUSTOMER = """
with c as (insert into customers (external_id, name, arr, health_score_base, health_score)
  values ($1, $1, 1000 * $3, 80, 80) returning id)
insert into people (customer_id, role, position, name, email)
select c.id, p.* from c, (values ('csm', 0, 'A CSM', $2), ('technical_contact', 0, 'Bob', 'bob@' || $1 || '.example'))
  as p (role, position, name, email)
"""


@dataclass
class Storm:
    """Twelve customers of one provider, two thirds of which are one CSM's."""

    REFUSED = MappingProxyType(
        {"code": "invalid_grant", "message": "expired", "http_status": 400, "surface": "token_endpoint"}
    )

    world: World
    customers: list[str]
    incidents: dict[str, UUID] = field(default_factory=dict)

    async def breaks(self, *customers: str) -> None:
        """All at once, in one request."""
        events = [self.event("auth_failure", customer, error=Storm.REFUSED) for customer in customers]
        outcomes, bells = await self.world.events.take(events)
        for customer, outcome in zip(customers, outcomes, strict=True):
            assert outcome.incident is not None
            self.incidents[customer] = outcome.incident
        await asyncio.gather(*(self.world.ring.incident(incident) for incident in bells))

    async def works_again(self, *customers: str) -> None:
        _, bells = await self.world.events.take([self.event("sync_succeeded", customer) for customer in customers])
        await asyncio.gather(*(self.world.ring.incident(incident) for incident in bells))
        for customer in customers:
            await self.world.until_timeline(self.incidents[customer], "recovering")

    def event(self, event_type: str, customer: str, **fields: object) -> Event:
        about = {"customer_external_id": customer, "integration_type": "hubspot", "event_type": event_type}
        return Event.model_validate(about | fields)

    async def until_informed(self, *customers: str) -> None:
        for customer in customers:
            await self.world.until_timeline(self.incidents[customer], "informed")

    async def look_after(self) -> bool:
        """The part of a round that looks after outages; whether digests wait."""
        _, waiting = await ActivityEnvironment().run(self.world.the(Reconciler)._outages.look_after)
        return waiting

    async def round(self) -> ReconcileResult:
        """What the schedule does, and the child that it starts."""
        result: ReconcileResult = await ActivityEnvironment().run(self.world.the(Reconciler).reconcile)
        if result.digests_waiting:
            await self.send()
        return result

    async def fails(self, *customers: str) -> None:
        """Their rows are there, and nobody works on them yet."""
        events = [self.event("auth_failure", customer, error=self.REFUSED) for customer in customers]
        outcomes, _ = await self.world.events.take(events)
        for customer, outcome in zip(customers, outcomes, strict=True):
            assert outcome.incident is not None
            self.incidents[customer] = outcome.incident

    async def notify(self, *customers: str, what: str = "notify_csm") -> None:
        """That step of their responses, one after the other."""
        notices = self.world.the(Notices)
        for customer in customers:
            at = IncidentAt(incident_id=self.incidents[customer], now=datetime.now(UTC))
            await ActivityEnvironment().run(getattr(notices, what), at)

    async def send(self) -> None:
        await ActivityEnvironment().run(self.world.the(Digests).send_digests, DigestsAt(now=datetime.now(UTC)))

    async def are_back(self, *customers: str) -> None:
        await self.world.pool.execute(BACK, [self.incidents[customer] for customer in customers])

    def mailed_texts(self, address: str) -> list[str]:
        bodies = [mail.message.get_body(("plain",)) for mail in self.world.mails_to(address)]
        return [body.get_content() for body in bodies if body is not None]

    def digests(self) -> list[str]:
        """What people see of it in Slack."""
        return sorted(str(m) for m in self.world.messages() if key_of(m).startswith("digest/"))

    def alerts(self) -> int:
        return len(self.world.alerts())

    def mailed(self) -> set[str]:
        return {mail.recipients[0] for mail in self.world.inbox.messages()}

    async def statuses(self, customer: str) -> dict[str, str]:
        return {template: status for _, template, status in await self.world.deliveries(self.incidents[customer])}
