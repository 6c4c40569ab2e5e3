"""The API in this process, called as its users call it; bells are recorded instead of rung."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

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
    app: FastAPI
    resources: Resources
    bells: RecordedBells
    pool: Pool
    name: str = "techcorp"  # the customer that the helpers below mean

    async def key(self, *scopes: str, customer: str | None = None) -> dict[str, str]:
        """Headers with a new key."""
        _, key = await KeyStore(self.pool).create("test", scopes or list(Scope), customer)
        return {"Authorization": f"Bearer {key}"}

    def anonymous(self) -> httpx.AsyncClient:
        """Somebody without a key."""
        return client_of(self.app)

    async def customer(self, external_id: str | None = None, **changes: Any) -> dict[str, Any]:
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
        response = await self.http.put(f"/v1/customers/{external_id or self.name}", json=body | changes)
        assert response.status_code in {200, 201}, response.text
        return dict(response.json())

    def address(self, integration: str = "salesforce/crm") -> str:
        """Where an integration is PUT and DELETEd."""
        return f"/v1/customers/{self.name}/integrations/{integration}"

    async def integration(self, integration: str = "salesforce/crm", **body: Any) -> dict[str, Any]:
        """Puts an integration."""
        response = await self.http.put(self.address(integration), json=body)
        assert response.status_code in {200, 201}, response.text
        return dict(response.json())

    async def event(self, **changes: Any) -> dict[str, Any]:
        """Sends one event; returns its result."""
        body = {
            "source": self.name,
            "customer_external_id": self.name,
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

    async def show(self, incident: str) -> dict[str, Any]:
        """The incident in full."""
        response = await self.http.get(f"/v1/incidents/{incident}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def act(self, incident: str, action: str, **body: Any) -> httpx.Response:
        """Does something about an incident, as Dana unless said otherwise."""
        return await self.http.post(f"/v1/incidents/{incident}/{action}", json={"by": "dana@acme.example"} | body)

    def rung(self, incident: str) -> int:
        """How often this incident's bell was rung."""
        return self.bells.rung.count(UUID(incident))

    async def timeline(self, incident: str) -> list[str]:
        rows = await self.pool.fetch("select kind from incident_timeline where incident_id = $1 order by id", incident)
        return [row["kind"] for row in rows]

    async def doorbells(self, incident: str) -> list[str]:
        rows = await self.pool.fetch("select kind from doorbells where incident_id = $1 order by id", incident)
        return [row["kind"] for row in rows]


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://relink.test", headers=headers)


def assemble(pool: Pool, bells: RecordedBells, **settings: Any) -> Resources:
    return Resources.assemble(
        settings_for_tests(**settings), pool=pool, policy=PolicySource(), bells=bells, temporal=None
    )


@asynccontextmanager
async def opened(pool: Pool, **settings: Any) -> AsyncIterator[Api]:
    bells = RecordedBells()
    resources = assemble(pool, bells, **settings)
    app = create_app(resources)
    _, key = await KeyStore(pool).create("everything", list(Scope))
    async with client_of(app, Authorization=f"Bearer {key}") as http:
        yield Api(http, app, resources, bells, pool)


def with_settings(api: Api, **changes: Any) -> Api:
    """The same API with other settings."""
    resources = assemble(api.pool, api.bells, **changes)
    app = create_app(resources)
    http = client_of(app, Authorization=api.http.headers["authorization"])
    return replace(api, resources=resources, app=app, http=http)
