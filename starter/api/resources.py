"""The collaborators of the HTTP API, opened once and handed to every route."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends, Request
from temporalio.client import Client

from activities.bounces import Bounces
from activities.codec import EncryptingCodec
from activities.db.actions import Actions
from activities.db.customers import CustomerStore
from activities.db.events import EventStore
from activities.db.fleet import Fleet
from activities.db.incidents import IncidentStore
from activities.db.integrations import IntegrationStore
from activities.db.keys import KeyStore
from activities.db.metrics import MetricStore
from activities.db.overview import Overview
from activities.db.pool import Pool
from activities.db.reading import Reader
from activities.db.reliability import ReliabilityStore
from activities.db.spent import SpentTokens
from activities.db.views import ViewLoader
from activities.links import Links
from activities.playbooks.loader import load_catalogue
from activities.policy import PolicySource
from activities.reliability import Reliability
from activities.rendering import Renderer
from activities.secrets import Keys, SecretBox
from activities.settings import Settings
from starter.api.cursors import Cursors
from starter.api.limits import KeyCache, Throttle
from starter.site.assets import Assets
from starter.site.provider import Provider
from starter.site.recent import RecentSuccess
from starter.site.sessions import Sessions
from starter.site.staff import Staff


class Bells(Protocol):
    """Wakes the responses of incidents, soon; starter.ring.Ring, or a recording stand-in in tests."""

    async def soon(self, incidents: Iterable[UUID]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Open `pool` before the first request. `temporal` is only asked whether it is there, by /readyz.

    `stopping` is set once this process takes no more requests soon.
    """

    settings: Settings
    pool: Pool
    policy: PolicySource
    bells: Bells
    temporal: Client | None
    renderer: Renderer
    links: Links
    box: SecretBox
    codec: EncryptingCodec
    cursors: Cursors
    keys: KeyCache
    events: EventStore
    incidents: IncidentStore
    customers: CustomerStore
    integrations: IntegrationStore
    reader: Reader
    reliability_store: ReliabilityStore
    reliability: Reliability
    recent_success: RecentSuccess
    fleet: Fleet
    overview: Overview
    metrics: MetricStore
    actions: Actions
    views: ViewLoader
    bounces: Bounces
    assets: Assets
    sessions: Sessions
    provider: Provider | None  # where staff sign in
    base_path: str  # what every address of ours begins with, if public_url has a path
    throttle: Throttle = field(default_factory=Throttle)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def assemble(
        cls, settings: Settings, *, pool: Pool, policy: PolicySource, bells: Bells, temporal: Client | None
    ) -> Resources:
        """Everything that follows from the settings. Raises SecretsError, TemplatesError, CatalogueError.

        Needs secret_key and public_url.
        """
        assert settings.secret_key is not None  # Settings.load insisted on both
        assert settings.public_url is not None
        secret = settings.secret_key.get_secret_value()
        box = SecretBox(settings.encryption_keys)
        incidents, views, store = IncidentStore(pool), ViewLoader(pool), ReliabilityStore(pool)
        reliability = Reliability(store, lambda: policy.current)
        renderer = Renderer(
            product_name=settings.product_name, public_url=settings.public_url, templates_dir=settings.templates_dir
        )
        staff = Staff.listed(settings.operators, settings.viewers)
        return cls(
            settings=settings,
            pool=pool,
            policy=policy,
            bells=bells,
            temporal=temporal,
            renderer=renderer,
            links=Links(settings.public_url, settings.secret_keys),
            box=box,
            codec=EncryptingCodec(Keys(settings.encryption_keys)),
            cursors=Cursors(secret),
            keys=KeyCache(KeyStore(pool)),
            events=EventStore(pool, lambda: policy.current, load_catalogue()),
            incidents=incidents,
            customers=CustomerStore(pool),
            integrations=IntegrationStore(pool, box),
            reader=Reader(pool),
            reliability_store=store,
            reliability=reliability,
            recent_success=RecentSuccess(reliability),
            fleet=Fleet(pool),
            overview=Overview(pool),
            metrics=MetricStore(pool),
            actions=Actions(pool),
            views=views,
            bounces=Bounces(pool, views),
            assets=Assets(renderer),
            sessions=Sessions(secret, settings.public_url, staff, SpentTokens(pool)),
            provider=_provider(settings),
            base_path=urlsplit(settings.public_url).path.rstrip("/"),
        )


def _provider(settings: Settings) -> Provider | None:
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else None
    return_to = f"{str(settings.public_url).rstrip('/')}/sign-in/return"
    return Provider(settings.oidc_issuer, settings.oidc_client_id, secret, return_to)


def resources_of(request: Request) -> Resources:
    """The application's collaborators."""
    found: Resources = request.app.state.resources
    return found


Use = Annotated[Resources, Depends(resources_of)]
