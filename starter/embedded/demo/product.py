"""Acme, a software company in miniature: the product that TechCorp uses and that integrates with Salesforce.

It does what a product does: keeps a customer's OAuth grant, tells Relink when a refresh is refused, and offers the
settings page on which the customer authorises the connection again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

CUSTOMER = "techcorp"
INTEGRATION = "/v1/customers/techcorp/integrations/salesforce/crm-sync"
IDENTITY = {"customer_external_id": CUSTOMER, "integration_type": "salesforce", "integration_id": "crm-sync"}
RECONNECT_PATH = "/settings/integrations/salesforce/reconnect"
CALLBACK_PATH = "/oauth/callback"
CLIENT = ("acme", "acme-client-secret")
MONITOR_INTERVAL = "5m"


@dataclass
class Product:
    """`relink` is a client of Relink's API with a key; `url` is where the product's own pages are."""

    relink: httpx.AsyncClient
    web: httpx.AsyncClient
    provider_url: str
    url: str = ""
    refresh_token: str = ""
    _pending: dict[str, str] = field(default_factory=dict)  # state of an authorisation -> where to go afterwards

    def app(self) -> Starlette:
        """The product's pages."""
        return Starlette(routes=[Route(RECONNECT_PATH, self._reconnect), Route(CALLBACK_PATH, self._authorised)])

    async def register(self) -> httpx.Response:
        """Tells Relink about the integration and its grant, as after every change of it."""
        return await self.relink.put(
            INTEGRATION,
            json={
                "display_name": "Salesforce CRM Sync",
                "is_critical": True,
                "self_serve": True,
                "reconnect_url": f"{self.url}{RECONNECT_PATH}",
                "monitor": {
                    "kind": "oauth2",
                    "token_url": f"{self.provider_url}/oauth2/token",
                    "client_id": CLIENT[0],
                    "client_secret": CLIENT[1],
                    "refresh_token": self.refresh_token,
                    "interval": MONITOR_INTERVAL,
                },
            },
        )

    async def sync(self) -> httpx.Response:
        """Refreshes the grant, as a sync does first; gives the provider's answer."""
        return await self._token({"grant_type": "refresh_token", "refresh_token": self.refresh_token})

    async def report(self, refused: httpx.Response) -> httpx.Response:
        """Tells Relink that the provider refused the refresh; with what it said, which is all that a product knows."""
        said = refused.json()
        return await self.relink.post(
            "/v1/events",
            json={
                **IDENTITY,
                "event_id": f"sync-{secrets.token_hex(8)}",
                "source": "acme",
                "event_type": "auth_failure",
                "error": {
                    "code": said["error"],
                    "message": said.get("error_description"),
                    "http_status": refused.status_code,
                    "surface": "token_endpoint",
                    "body": refused.text,
                },
            },
        )

    def authorisation_url(self, return_url: str) -> str:
        """Where the provider asks the customer for their consent."""
        state = secrets.token_urlsafe(16)
        self._pending[state] = return_url
        query = {
            "response_type": "code",
            "client_id": CLIENT[0],
            "redirect_uri": f"{self.url}{CALLBACK_PATH}",
            "scope": "openid email",
            "state": state,
        }
        return f"{self.provider_url}/oauth2/authorize?{urlencode(query)}"

    async def _reconnect(self, request: Request) -> Response:
        return RedirectResponse(self.authorisation_url(request.query_params.get("return_url", "")), 303)

    async def _authorised(self, request: Request) -> Response:
        """The provider sends the customer back: exchange the code, store the grant, ring Relink."""
        return_url = self._pending.pop(request.query_params.get("state", ""), None)
        if return_url is None:
            return PlainTextResponse("This authorisation was not started here.", 400)
        callback = f"{self.url}{CALLBACK_PATH}"
        code = request.query_params.get("code", "")
        try:
            granted = await self._token({"grant_type": "authorization_code", "code": code, "redirect_uri": callback})
            self.refresh_token = granted.raise_for_status().json()["refresh_token"]
            (await self.register()).raise_for_status()
            (await self.relink.post("/v1/callbacks/reconnected", json=IDENTITY)).raise_for_status()
        except httpx.HTTPStatusError as refused:
            return PlainTextResponse(f"{refused}\n{refused.response.text}", 502)
        return RedirectResponse(return_url, 303) if return_url else PlainTextResponse("Connected.")

    async def _token(self, form: dict[str, str]) -> httpx.Response:
        return await self.web.post(f"{self.provider_url}/oauth2/token", data=form, auth=CLIENT)
