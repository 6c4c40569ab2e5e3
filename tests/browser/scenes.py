"""What has happened before somebody opens a page: each scene is played for a customer of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from activities.db.ledger import CUSTOMER
from activities.db.metrics import Observed, add_metrics
from activities.links import LIFETIMES, Purpose
from starter.site.sessions import sign_in_link as sign_in_link_for
from starter.site.staff import Role
from tests.api.calling import SECRET_KEY, Api
from tests.api.story import begin
from tests.browser.site import Site

Scene = Callable[[Site], Awaitable[str]]
"""Gives the address of the page, below the site's."""

OURS = {"code": "invalid_client", "http_status": 401, "surface": "token_endpoint"}
BLOCKED = {"code": "invalid_grant", "message": "app must be installed into org", "http_status": 400}


def reconnect(
    purpose: Purpose = Purpose.RECONNECT, *, set_to: str = "", error: dict[str, Any] | None = None, **integration: Any
) -> Scene:
    """The customer's page; `set_to` puts the incident into another state, in SQL."""

    async def scene(site: Site) -> str:
        story = await begin(site.api, error=error, **{"reconnect_url": site.product, **integration})
        if set_to:
            await site.api.pool.execute(f"update incidents set {set_to} where id = $1", story.incident)
        return story.link(purpose)

    return scene


LONG = {
    "name": "Donaudampfschifffahrt" * 9,
    "technical_contacts": [{"name": "م" * 190, "email": "bob@techcorp.example"}],
}


async def reconnect_long(site: Site) -> str:
    """Names that nobody can break."""
    await site.api.customer(**LONG)
    return await reconnect()(site)


async def status_long(site: Site) -> str:
    await site.api.customer(**LONG)
    return await status()(site)


async def expired(site: Site) -> str:
    return (await begin(site.api)).old_link()


async def tampered(site: Site) -> str:
    return (await begin(site.api)).link()[:-5]


async def no_longer_used(site: Site) -> str:
    story = await begin(site.api)
    assert (await site.api.act(story.incident, "resolve", reason="no_longer_used")).status_code == 202
    return story.link()


def at(address: str) -> Scene:
    """As it is found."""

    async def scene(site: Site) -> str:
        return address

    return scene


async def sign_in_link(site: Site) -> str:
    link = sign_in_link_for(site.url, SECRET_KEY, "dana@acme.example", Role.OPERATOR)
    return link.removeprefix(site.url)


async def fleet(site: Site) -> str:
    """At least one integration is down, for a customer with a name that nobody can break."""
    await site.api.customer(**LONG)
    await begin(site.api, is_critical=True)
    return "/fleet"


def fleet_by(query: str) -> Scene:
    """The same, filtered."""

    async def scene(site: Site) -> str:
        return await fleet(site) + query

    return scene


def incident(*, is_over: bool = False) -> Scene:
    """One incident at its fullest: messages sent and held back, checks, and what it did to the score."""

    async def scene(site: Site) -> str:
        api = site.api
        story = await begin(api, is_critical=True, display_name="Salesforce CRM Sync")
        to_bob = {"template": CUSTOMER, "role": "technical_contact", "person": str(story.bob)}
        later = (datetime.now(UTC) + timedelta(minutes=40)).isoformat()
        for kind, details in (
            ("health_score_adjusted", {"adjustment": -10}),
            ("notice_held", to_bob | {"rule": "they were written to a moment ago", "until": later}),
            ("escalated", {"to": "csm_manager", "skipped": []}),
            ("check_failed", {"hint": "monitor", "seen": "the token endpoint answered 400 invalid_grant"}),
        ):
            await api.pool.execute(
                "insert into incident_timeline (incident_id, kind, actor, details) values ($1, $2, 'relink', $3)",
                UUID(story.incident),
                kind,
                details,
            )
        await api.pool.execute(
            "insert into health_score_adjustments (customer_id, incident_id, adjustment, reason)"
            " select customer_id, id, -10, 'Critical integration disconnected' from incidents where id = $1",
            UUID(story.incident),
        )
        if is_over:
            await api.act(story.incident, "resolve", reason="no_longer_used")
        return f"/incidents/{story.incident}"

    return scene


async def unknown_incident(site: Site) -> str:
    return f"/incidents/{uuid4()}"


async def lived(site: Site) -> str:
    """A customer with names that nobody can break, two integrations, and everything that its pages can show of them;
    gives the id of the integration that is down."""
    api = site.api
    await api.customer(**LONG)
    await api.integration("slack/alerts", display_name="Donaudampfschifffahrt" * 4)
    await api.event(integration_type="slack", integration_id="alerts")
    story = await begin(api, is_critical=True)
    id_, now = UUID(story.integration), datetime.now(UTC)
    await api.pool.execute("update integration_health set created_at = now() - interval '80 days' where id = $1", id_)
    for n, ending in enumerate(("verified", "reported", "no_longer_used", "false_alarm")):
        await api.pool.execute(
            "insert into incidents select r.* from incidents i, jsonb_populate_record(i, jsonb_build_object("
            " 'id', gen_random_uuid(), 'number', 100 + $2::integer, 'status', 'closed', 'resolution', $3::text,"
            " 'opened_at', now() - $4 * interval '1 day', 'detected_at', now() - $4 * interval '1 day',"
            " 'closed_at', now() - ($4 - 0.7) * interval '1 day')) r where i.id = $1",
            UUID(story.incident), n, ending, 9 * n + 5,
        )  # fmt: skip
    for n, (label, who) in enumerate((("Refresh token", "customer"), ("SAML-Signatur" * 9, "us"), ("Secret", "us"))):
        await api.pool.execute(
            "insert into credential_ends values ($1, 'certificate', $2, now() + $3 * interval '15 days', $4, now())",
            id_, label, n - 0.1, who,
        )  # fmt: skip
    async with api.pool.acquire() as connection:
        for n in range(60):
            seen = Observed(id_, now - timedelta(minutes=23 * n), n % 7 != 0, timedelta(milliseconds=90 + 7 * (n % 13)))
            await add_metrics(connection, [seen], timedelta(minutes=15))
    return str(id_)


async def customer(site: Site) -> str:
    await lived(site)
    return f"/customers/{site.api.name}"


async def untouched_customer(site: Site) -> str:
    await site.api.customer()
    return f"/customers/{site.api.name}"


async def integration(site: Site) -> str:
    return f"/integrations/{await lived(site)}"


def after_life(address: str) -> Scene:
    """A page of all customers, one of whom has lived."""

    async def scene(site: Site) -> str:
        await lived(site)
        return address

    return scene


def status_of(api: Api, integration: str, *, ago: timedelta = timedelta()) -> str:
    token = api.resources.links.sign(Purpose.STATUS, UUID(integration), None, datetime.now(UTC) - ago)
    return f"/integrations/{integration}?token={token}"


def status(*, is_over: bool = False) -> Scene:
    """The staff's page at its fullest: an earlier incident, a running one, and an action of every kind."""

    async def scene(site: Site) -> str:
        api = site.api
        monitor = {"kind": "oidc", "issuer": "https://id.example.com", "interval": "5m"}
        broken = {"is_critical": True, "display_name": "Salesforce CRM Sync", "monitor": monitor}
        first = await begin(api, **broken)
        await api.act(first.incident, "resolve", reason="false_alarm")
        await api.event(event_type="sync_succeeded")
        story = await begin(api, **broken)
        for action, body in (
            ("acknowledge", {}),
            ("send-fix-instructions", {}),
            ("schedule-tech-call", {}),
            ("snooze", {"for": "4h"}),
        ):
            assert (await api.act(story.incident, action, **body)).status_code == 202
        if is_over:
            await api.act(story.incident, "resolve", reason="no_longer_used")
        return status_of(api, story.integration)

    return scene


async def healthy(site: Site) -> str:
    return status_of(site.api, (await site.api.integration())["id"])


async def removed(site: Site) -> str:
    story = await begin(site.api)
    await site.api.http.delete(site.api.address())
    return status_of(site.api, story.integration)


async def old_status(site: Site) -> str:
    age = LIFETIMES[Purpose.STATUS] + timedelta(seconds=5)
    return status_of(site.api, (await site.api.integration())["id"], ago=age)


async def cut_off_status(site: Site) -> str:
    return (await healthy(site))[:-5]


async def unknown_status(site: Site) -> str:
    return status_of(site.api, str(uuid4()))
