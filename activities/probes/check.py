"""Looks at one connection now, as its monitor says, and tells working from broken from not knowing."""

from __future__ import annotations

from activities.probes.api import ApiProbe
from activities.probes.heartbeat import look_at_heartbeat
from activities.probes.http import ProbeClient, UnaskableError
from activities.probes.logins import with_logins
from activities.probes.monitor import (
    ApiMonitor,
    HeartbeatMonitor,
    Monitor,
    OAuth2Monitor,
    OidcMonitor,
    SamlMonitor,
    WebhookMonitor,
    secrets_of,
)
from activities.probes.oauth2 import OAuth2Probe
from activities.probes.oidc import OidcProbe
from activities.probes.saml import SamlProbe
from activities.probes.seen import MONITOR_SOURCE, EndpointSeen, Expiry, Grant, Known, Renewal, Seen
from activities.probes.verdict import Judge, ready_to_store
from activities.probes.webhook import WebhookProbe
from workflows.contracts import Check
from workflows.domain.diagnosis import Catalogue, Surface

__all__ = ["MONITOR_SOURCE", "EndpointSeen", "Expiry", "Grant", "Known", "Prober", "Renewal", "Seen"]


class Prober:
    """Asks peers; never raises for what a peer does."""

    def __init__(self, client: ProbeClient, catalogue: Catalogue) -> None:
        judge = Judge(catalogue)
        self._judge = judge
        self._oauth2, self._api = OAuth2Probe(client, judge), ApiProbe(client, judge)
        self._webhook, self._saml, self._oidc = (
            WebhookProbe(client, judge),
            SamlProbe(client, judge),
            OidcProbe(client, judge),
        )

    async def look(
        self, integration_type: str, monitor: Monitor, known: Known | None = None, *, force: bool = False
    ) -> Seen:
        """One look at the connection, of at most 10 s a request and three requests in a row. `force` wants evidence
        that is worth a verification: a refresh rather than an introspection.

        A `renewal` in the result must be stored at once: use ConnectionStore.look, which does.
        """
        try:
            seen = await self._look(integration_type, monitor, known or Known(), force=force)
        except UnaskableError as error:
            seen = Seen(Check.INCONCLUSIVE, str(error))
        return ready_to_store(seen, secrets_of(monitor).values())

    async def _look(self, provider: str, monitor: Monitor, known: Known, *, force: bool) -> Seen:
        match monitor:
            case OAuth2Monitor():
                return await self._oauth2.look(provider, monitor, known, force=force)
            case ApiMonitor():
                return await self._api.look(provider, monitor, known)
            case WebhookMonitor():
                return await self._webhook.look(provider, monitor, known)
            case SamlMonitor():
                seen = await self._saml.look(provider, monitor, known)
                return with_logins(self._judge, provider, Surface.SAML, seen, known)
            case OidcMonitor():
                seen = await self._oidc.look(provider, monitor)
                return with_logins(self._judge, provider, Surface.OIDC, seen, known)
            case HeartbeatMonitor():
                return look_at_heartbeat(self._judge, provider, monitor, known)
