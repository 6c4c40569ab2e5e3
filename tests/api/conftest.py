"""The API in this process on a real database; bells are recorded instead of rung."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
import pytest_asyncio

from activities.db.keys import KeyStore, Scope
from activities.db.pool import Pool
from activities.policy import PolicySource
from activities.settings import Settings
from starter.api.app import Resources, create_app

SECRET_KEY = "a-secret-of-this-test-run-and-no-other-0123456789"
ENCRYPTION_KEYS = "k1:" + "A" * 43 + "="


@dataclass
class RecordedBells:
    """Remembers which incidents were rung."""

    rung: list[UUID] = field(default_factory=list)

    async def soon(self, incidents: Iterable[UUID]) -> None:
        self.rung += incidents


def settings_for_tests(**changes: Any) -> Settings:
    """Settings that depend on nothing outside this test."""
    values: dict[str, Any] = {
        "secret_key": SECRET_KEY,
        "public_url": "https://relink.test",
        "encryption_keys": ENCRYPTION_KEYS,
        "slack_bot_token": "xoxb-test",
        "slack_signing_secret": "slack-signing-secret",
        "slack_api_url": "http://127.0.0.1:9/api/",
        "email_from": "Relink <relink@acme.example>",
    }
    return Settings(_env_file=None, **(values | changes))


@dataclass
class Api:
    """The API as its callers see it; `http` sends a key that may do everything."""

    http: httpx.AsyncClient
    resources: Resources
    bells: RecordedBells
    pool: Pool

    async def key(self, *scopes: str, customer: str | None = None) -> dict[str, str]:
        """Headers with a new key."""
        _, key = await KeyStore(self.pool).create("test", scopes or list(Scope), customer)
        return {"Authorization": f"Bearer {key}"}

    def anonymous(self) -> httpx.AsyncClient:
        return client_of(self.resources)

    async def customer(self, external_id: str = "techcorp", **changes: Any) -> dict[str, Any]:
        """Puts a customer with people."""
        body: dict[str, Any] = {
            "name": "TechCorp",
            "arr": 200_000,
            "csm": {
                "name": "Dana Kim",
                "email": "dana@acme.example",
                "slack_user_id": "U0DANA",
                "manager": {"name": "Max Boss", "email": "max@acme.example", "slack_user_id": "U0MAX"},
            },
            "technical_contacts": [{"name": "Bob Smith", "email": "bob@techcorp.example", "role": "IT Admin"}],
        }
        response = await self.http.put(f"/v1/customers/{external_id}", json=body | changes)
        assert response.status_code in {200, 201}, response.text
        return dict(response.json())

    async def integration(self, path: str = "techcorp/integrations/salesforce/crm", **body: Any) -> dict[str, Any]:
        response = await self.http.put(f"/v1/customers/{path}", json=body)
        assert response.status_code in {200, 201}, response.text
        return dict(response.json())

    async def event(self, **changes: Any) -> dict[str, Any]:
        """Sends one event; returns its result."""
        body = {
            "customer_external_id": "techcorp",
            "integration_type": "salesforce",
            "integration_id": "crm",
            "event_type": "auth_failure",
        }
        response = await self.http.post("/v1/events", json=body | changes)
        assert response.status_code == 202, response.text
        return dict(response.json()["results"][0])

    async def incident(self, **changes: Any) -> str:
        """Opens an incident; returns its id."""
        return str((await self.event(**changes))["incident"])

    async def timeline(self, incident: str) -> list[str]:
        rows = await self.pool.fetch("select kind from incident_timeline where incident_id = $1 order by id", incident)
        return [row["kind"] for row in rows]

    async def doorbells(self, incident: str) -> list[str]:
        rows = await self.pool.fetch("select kind from doorbells where incident_id = $1 order by id", incident)
        return [row["kind"] for row in rows]


def client_of(resources: Resources, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(resources))
    return httpx.AsyncClient(transport=transport, base_url="https://relink.test", headers=headers)


def assemble(pool: Pool, bells: RecordedBells, **settings: Any) -> Resources:
    return Resources.assemble(
        settings_for_tests(**settings), pool=pool, policy=PolicySource(), bells=bells, temporal=None
    )


@pytest_asyncio.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    bells = RecordedBells()
    resources = assemble(pool, bells)
    _, key = await KeyStore(pool).create("everything", list(Scope))
    async with client_of(resources, Authorization=f"Bearer {key}") as http:
        yield Api(http, resources, bells, pool)


def with_settings(api: Api, **changes: Any) -> Api:
    """The same API with other settings."""
    resources = assemble(api.pool, api.bells, **changes)
    return replace(api, resources=resources, http=client_of(resources, **dict(api.http.headers)))
