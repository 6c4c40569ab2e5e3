"""The HTTP API put together: routes, errors, description, and the process that serves them."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel

from starter.api import (
    actions,
    callbacks,
    codec,
    customers,
    deliveries,
    events,
    fleet,
    health,
    incidents,
    integration_history,
    integrations,
    maintenance,
    overview,
    reconnect,
    reliability,
    slack,
)
from starter.api.armour import Armour
from starter.api.openapi import BODIES, describe
from starter.api.problems import handle_errors
from starter.api.resources import Resources
from starter.api.serving import serve
from starter.site import customer, files, incident, integration, providers, sign_in, success
from starter.site import customers as customers_page
from starter.site import fleet as fleet_page

__all__ = ["Resources", "create_app", "serve"]

PAGES = (files, sign_in, fleet_page, customers_page, customer, incident, integration, providers, success)
_ABOUT = """Notices when a customer's integration disconnects, and runs the whole response.

Send what you see to `POST /v1/events`; the rest follows. Errors are RFC 9457 problem details whose `errors` name the
field. Times are RFC 3339. Every list is paged: pass `next_cursor` as `cursor`."""


def create_app(resources: Resources) -> FastAPI:
    """The application. Whoever calls it opens and closes what is in `resources`."""
    app: FastAPI = FastAPIOffline(
        title=f"{resources.settings.product_name} API",
        version="1",
        description=_ABOUT,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.resources = resources
    about = (customers, integrations, integration_history, incidents, fleet, overview, reliability)
    for part in (events, *about, actions, callbacks, deliveries, maintenance, codec, reconnect, slack, health, *PAGES):
        app.include_router(part.router)
    slack.add_slack(app.state, resources)
    handle_errors(app)
    app.add_middleware(Armour, renderer=resources.renderer)
    app.add_middleware(codec.CodecCors, ui_url=resources.settings.temporal_ui_url)
    app.openapi = describe(app, _bodies())  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _bodies() -> list[type[BaseModel]]:
    return [
        *BODIES,
        *actions.ACTION_BODIES,
        callbacks.ReconnectedWrite,
        deliveries.BouncedWrite,
        maintenance.MaintenanceWrite,
        codec.PayloadsBody,
    ]
