"""A customer's account at an OAuth provider, and the monitor that refreshes its grant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from activities.db.pool import Pool
from activities.probes.monitor import MONITOR, part
from activities.secrets import SecretBox
from tests.workflows.world import ENCRYPTION_KEYS, PATIENCE


async def give_monitor(pool: Pool, monitor: dict[str, Any]) -> None:
    """Gives TechCorp's Salesforce integration a monitor, as a PUT does."""
    integration = await pool.fetchval("select id from integration_health")
    shown, secrets = part(MONITOR.validate_python(monitor), {})
    sealed = SecretBox(ENCRYPTION_KEYS).seal(integration, secrets) if secrets else None
    await pool.execute(
        "update integration_health set monitor = $2, monitor_secrets = $3 where id = $1", integration, shown, sealed
    )


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
