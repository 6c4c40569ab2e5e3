"""The served API with a customer for each page, and the product to which customers are led."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from starter.site.sessions import Session
from starter.site.staff import Role
from tests.api.calling import Api


@dataclass(frozen=True)
class Site:
    """`url` is where people find the API's pages, `product` the product's own reconnect flow."""

    api: Api
    url: str
    product: str

    async def newcomer(self) -> Site:
        """The same with a customer whom nobody else knows."""
        own = replace(self.api, name=f"corp-{uuid4().hex[:12]}")
        await own.customer()
        return replace(self, api=own)

    def session(self, role: Role) -> Any:
        """The cookie of somebody who is signed in."""
        sessions = self.api.resources.sessions
        said = Session.begin("vera@vendor.example", role).dump()
        return {"name": sessions.cookie_name, "value": sessions._cookies.sign(said), "url": self.url}


def product() -> Starlette:
    """A product's settings page, from which people come back by a link."""

    async def settings(request: Request) -> Response:
        back = request.query_params["return_url"]
        head = "<!doctype html><html lang=en><title>Acme</title><link rel=icon href='data:,'>"
        return HTMLResponse(f"{head}<h1>Acme settings</h1><a href='{back}'>Authorized, back to Relink</a>")

    return Starlette(routes=[Route("/reconnect", settings)])
