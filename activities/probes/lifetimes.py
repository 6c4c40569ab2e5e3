"""How long refresh tokens live where the token endpoint does not say so, from the providers' documentation.

Two ends: unused for `idle` (each refresh starts that anew), and `absolute` from the day of consent, which only the
customer can renew. Providers without an entry promise no end, or let each app choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from activities.probes.seen import Expiry, Grant
from workflows.domain.diagnosis import Catalogue


@dataclass(frozen=True)
class Lifetime:
    idle: timedelta | None = None
    absolute: timedelta | None = None


_DAY = timedelta(days=1)
# By a name that the playbooks know, so that every alias and integration type finds it.
_LIFETIMES = {
    "google": Lifetime(idle=180 * _DAY),
    "microsoft entra": Lifetime(idle=90 * _DAY),
    "atlassian": Lifetime(idle=90 * _DAY, absolute=365 * _DAY),
    "xero": Lifetime(idle=60 * _DAY),
    "quickbooks": Lifetime(idle=100 * _DAY, absolute=1825 * _DAY),
    "zoom": Lifetime(idle=90 * _DAY),
    "github": Lifetime(idle=182 * _DAY),
}


def lifetime_of(provider: str, catalogue: Catalogue) -> Lifetime:
    """Nothing known if the provider is unknown."""
    playbook = catalogue.find(provider)
    if playbook is None:
        return Lifetime()
    return next((life for name, life in _LIFETIMES.items() if catalogue.find(name) is playbook), Lifetime())


def expiries_of(grant: Grant, provider: str, catalogue: Catalogue) -> tuple[Expiry, ...]:
    """The known ends of this grant. What the token endpoint said goes before what the documentation says."""
    life = lifetime_of(provider, catalogue)
    found: list[Expiry] = []
    if grant.refresh_expires_at is not None:
        by: Literal["us", "customer"] = "us" if grant.slides else "customer"
        found.append(Expiry("refresh_token", grant.refresh_expires_at, by, f"{provider} refresh token"))
    elif life.idle is not None and grant.refreshed_at is not None:
        found.append(
            Expiry("refresh_token", grant.refreshed_at + life.idle, "us", f"{provider} refresh token, if unused")
        )
    if life.absolute is not None and grant.since is not None:
        found.append(Expiry("refresh_token", grant.since + life.absolute, "customer", f"{provider} consent"))
    return tuple(found)
