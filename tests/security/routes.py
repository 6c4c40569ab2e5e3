"""Every route that the application has, and who may call it.

A new route is written down here, or the tests that go through all of them fail: that is the point.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
from starlette.routing import Mount

from activities.db.intents import CUSTOMER
from tests.api.calling import Api

PUBLIC = "public"  # anybody: says nothing about anybody
LINK = "link"  # a signed link: to one incident for one person
SLACK = "slack"  # Slack's signature
# Everything else is the scope of an API key.

INTEGRATION = "/v1/customers/{external_id}/integrations/{integration_type}/{integration_id}"
INCIDENT = "/v1/incidents/{incident}"
GUARDS = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,  # counts, of all customers together
    ("GET", "/r/{token}"): LINK,
    ("POST", "/r/{token}"): LINK,
    ("GET", "/r/{token}/returned"): LINK,
    ("POST", "/r/{token}/returned"): LINK,
    ("POST", "/slack/interactions"): SLACK,
    ("POST", "/v1/events"): "events",
    ("POST", "/v1/callbacks/reconnected"): "callbacks",  # or a Standard Webhooks signature
    ("POST", "/v1/deliveries/{delivery_key}/bounced"): "callbacks",
    ("GET", "/v1/customers"): "read",
    ("GET", "/v1/customers/{external_id}"): "read",
    ("PUT", "/v1/customers/{external_id}"): "admin",
    ("PUT", INTEGRATION): "admin",
    ("DELETE", INTEGRATION): "admin",
    ("GET", "/v1/integrations"): "read",
    ("GET", "/v1/integrations/{integration}"): "read",
    ("GET", "/v1/integrations/{integration}/events"): "read",
    ("GET", "/v1/integrations/{integration}/metrics"): "read",
    ("GET", "/v1/integrations/{integration}/reliability"): "read",
    ("GET", "/v1/credentials"): "read",
    ("GET", "/v1/fleet"): "read",
    ("GET", "/v1/fleet/customers"): "read",
    ("GET", "/v1/fleet/providers"): "read",
    ("GET", "/v1/fleet/providers/{integration_type}"): "read",
    ("GET", "/v1/incidents"): "read",
    ("GET", INCIDENT): "read",
    ("POST", f"{INCIDENT}/acknowledge"): "operate",
    ("POST", f"{INCIDENT}/snooze"): "operate",
    ("POST", f"{INCIDENT}/resolve"): "operate",
    ("POST", f"{INCIDENT}/send-fix-instructions"): "operate",
    ("POST", f"{INCIDENT}/schedule-tech-call"): "operate",
    ("GET", "/v1/customers/{external_id}/reliability"): "read",
    ("GET", "/v1/customers/{external_id}/health-score"): "read",
    ("GET", "/v1/metrics/success"): "read",
    ("GET", "/v1/maintenance"): "read",
    ("POST", "/v1/maintenance"): "admin",
    ("DELETE", "/v1/maintenance/{maintenance}"): "admin",
    ("POST", "/codec/decode"): "read",
}
# Narrowed by ?customer=
OF_ALL = {
    "/v1/credentials", "/v1/fleet", "/v1/incidents", "/v1/integrations", "/v1/maintenance", "/v1/metrics/success",
}  # fmt: skip
# Lists of customers: a key of one sees itself.
CUSTOMERS = {"/v1/customers", "/v1/fleet/customers"}
OF_ALL_CUSTOMERS = {
    "/codec/decode",
    "/v1/fleet/providers",
    "/v1/fleet/providers/{integration_type}",
}  # nothing for a key of one customer
# Staff's pages, for whoever is signed in (tests/site goes through all of them), how to get there, and what they load.
INCIDENT_PAGES = {"/incidents/{incident}", "/incidents/{incident}/{action}"}
RECORDS = ("/customers/{external_id}", "/integrations/{integration}")
TABLES = {
    "/fleet.csv",
    "/customers.csv",
    "/providers.csv",
    "/success.csv",
    "/providers/{integration_type}/failures.csv",
}
SITE = {"/fleet", "/customers", "/providers", "/providers/{integration_type}", "/success", *RECORDS} | INCIDENT_PAGES
SITE |= TABLES | {f"{page}/{{table}}.csv" for page in RECORDS}
SIGN_IN = {"/", "/sign-in", "/sign-in/link/{token}", "/sign-in/provider", "/sign-in/return", "/sign-out"}
FILES = {"/static/relink.css", "/static/{address}"}
# Not described in /openapi.json: these, the description itself, and what shows it.
HIDDEN = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc", "/static-offline-docs"} | SITE | SIGN_IN | FILES


def operations(api: Api) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation that the API describes: method, path, description."""
    for path, methods in api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def guarded(api: Api) -> list[tuple[str, str, str]]:
    """Method, path and scope of every operation that needs a key."""
    found = []
    for method, path, operation in operations(api):
        scopes = [scope for scheme in operation.get("security", []) for scope in scheme.get("apiKey", [])]
        if scopes:
            found.append((method, path, scopes[0]))
    return found


def routes(api: Api) -> list[Any]:
    """Everything that the application serves, described or not."""
    return list(_all(api.app.routes))


def hidden(api: Api) -> set[str]:
    """The paths of what the application serves and does not describe."""
    return {route.path for route in routes(api) if not getattr(route, "include_in_schema", False)}


def _all(routes: list[Any]) -> Iterator[Any]:
    for route in routes:
        router = getattr(route, "original_router", None)  # what include_router makes of it
        if router is not None:
            yield from _all(router.routes)
        else:
            assert hasattr(route, "include_in_schema") or isinstance(route, Mount), route
            yield route


MAINTENANCE = "00000000-0000-4000-8000-000000000001"


async def planned(api: Api, customer: str) -> None:
    """There is maintenance of this customer."""
    await api.pool.execute(
        "insert into maintenance_windows (id, customer_id, starts_at, ends_at)"
        " select $1, id, now(), now() + interval '1 hour' from customers where external_id = $2",
        UUID(MAINTENANCE),
        customer,
    )


def delivery_of(incident: str) -> str:
    return f"{incident}/email/{CUSTOMER}/somebody"


async def mailed(api: Api, incident: str) -> None:
    """The incident has a mail that was sent."""
    await api.pool.execute(
        "insert into deliveries (delivery_key, incident_id, channel, template, recipient, role, status)"
        " values ($1, $2, 'email', $3, 'bob@techcorp.example', 'technical_contact', 'sent')",
        delivery_of(incident),
        UUID(incident),
        CUSTOMER,
    )


def concrete(
    path: str, incident: str, integration: str, customer: str = "techcorp", token: str = "no-token-of-ours"
) -> str:
    values = {
        "external_id": customer,
        "integration_type": "salesforce",
        "integration_id": "crm",
        "incident": incident,
        "integration": integration,
        "delivery_key": delivery_of(incident),
        "maintenance": MAINTENANCE,
        "token": token,
        "address": "site.css",
        "table": "incidents",
        "action": "acknowledge",
    }
    return path.replace(":path", "").format(**values)


def body_for(path: str, customer: str) -> dict[str, Any] | None:
    """A body that the route would take."""
    event = {"customer_external_id": customer, "integration_type": "salesforce", "integration_id": "crm"}
    if path == "/v1/events":
        return event | {"event_type": "auth_failure"}
    if path == "/v1/callbacks/reconnected":
        return event
    if path == "/v1/maintenance":
        return {"customer": customer, "from": "2026-11-01T00:00:00Z", "until": "2026-11-01T01:00:00Z"}
    if path == "/codec/decode":
        return {"payloads": [{"data": base64.b64encode(b"7").decode()}]}
    if path.endswith("/bounced"):
        return {"reason": "no such mailbox"}
    if "/incidents/" in path:
        more = {"snooze": {"for": "1h"}, "resolve": {"reason": "fixed"}}
        return {"by": "dana"} | more.get(path.rpartition("/")[2], {})
    return {} if "integrations" in path else {"name": "Taken over", "technical_contacts": [{"email": "a@b.example"}]}


async def call(api: Api, method: str, path: str, headers: dict[str, str], customer: str = "techcorp") -> httpx.Response:
    async with api.anonymous() as http:
        body = body_for(path, customer) if method in {"PUT", "POST"} else None
        return await http.request(method, path, json=body, headers=headers)
