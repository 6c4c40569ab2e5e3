"""A broken integration whose contact was mailed a link, and all that somebody with that link could change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from activities.db.ledger import CUSTOMER, Intent, intend
from activities.links import LIFETIMES, Purpose
from tests.api.calling import Api

RECONNECT_URL = "https://app.acme.example/settings?tab=integrations"
EXPIRED = {"code": "invalid_grant", "message": "expired access/refresh token"}


@dataclass(frozen=True)
class Story:
    """`bob` is the contact who was mailed."""

    api: Api
    integration: str
    incident: str
    bob: UUID

    def link(self, purpose: Purpose = Purpose.RECONNECT, *, ago: timedelta = timedelta()) -> str:
        token = self.api.resources.links.sign(purpose, UUID(self.incident), self.bob, datetime.now(UTC) - ago)
        return f"/r/{token}" + ("/returned" if purpose is Purpose.RETURN else "")

    def old_link(self, purpose: Purpose = Purpose.RECONNECT) -> str:
        return self.link(purpose, ago=LIFETIMES[purpose] + timedelta(seconds=5))

    async def facts(self) -> dict[str, Any]:
        """Everything that a visitor could change, but for the lines that say that a page was fetched."""
        row = await self.api.pool.fetchrow(
            "select i.*, h.status as health, h.updated_at as touched from incidents i"
            " join integration_health h on h.id = i.integration_health_id where i.id = $1",
            self.incident,
        )
        assert row is not None
        lines = [kind for kind in await self.api.timeline(self.incident) if kind != "page_fetched"]
        mails = await self.api.pool.fetch("select * from deliveries where incident_id = $1", self.incident)
        return {**row, "timeline": lines, "mails": mails, "bells": await self.api.doorbells(self.incident)}

    async def opened_at(self) -> datetime | None:
        query = "select opened_at from deliveries where incident_id = $1 and template = $2"
        found: datetime | None = await self.api.pool.fetchval(query, self.incident, CUSTOMER)
        return found


async def begin(api: Api, *, error: dict[str, Any] | None = None, **integration: Any) -> Story:
    """The customer's integration breaks, and Bob is mailed. `integration` is what is PUT."""
    await api.integration(**{"reconnect_url": RECONNECT_URL, **integration})
    found = await api.event(error=error or EXPIRED)
    incident = str(found["incident"])
    bob = (await api.http.get(f"/v1/customers/{api.name}")).json()["technical_contacts"][0]["id"]
    async with api.pool.acquire() as connection:
        to = "bob@techcorp.example"
        await intend(connection, Intent(UUID(incident), "email", CUSTOMER, "technical_contact", to, UUID(bob)))
    await api.pool.execute(
        "update deliveries set status = 'sent', sent_at = now(), created_at = now() - interval '1 hour'"
        " where incident_id = $1",
        incident,
    )
    return Story(api, str(found["integration"]), incident, UUID(bob))
