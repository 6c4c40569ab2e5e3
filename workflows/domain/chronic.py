"""Which connections are fragile (US-4), why, and what would have to change so that they are not. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from workflows.domain.durations import how_long, words_for
from workflows.domain.intervals import Span, total
from workflows.domain.playbook import Category, WhoFixes
from workflows.domain.policy import Chronic
from workflows.domain.reliability import Cause, History, Incident, times


@dataclass(frozen=True)
class Fragile:
    """Both texts are whole sentences, for a CSM."""

    reason: str
    suggestion: str


@dataclass(frozen=True)
class _Family:
    """Causes that the same change would end."""

    what: str
    change: str


_PERSONAL = _Family(
    "one person's login expiring, being revoked or deactivated",
    "Connect it through a service account that belongs to no person, so that a changed password, a holiday or somebody "
    "leaving does not end it.",
)
_LOGIN = _Family(
    "the login expiring or being revoked",
    "Ask their administrator to exempt this app from session and token limits, or to connect it through a service "
    "account.",
)
_KEYS = _Family(
    "keys or passwords that were changed",
    "Agree on how keys are changed: the new one is stored here before the old one is withdrawn, and somebody owns it.",
)
_RENEWAL = _Family(
    "secrets or certificates running out",
    "Their end is known long before: name who renews them and put it into their calendar, or have it renewed "
    "automatically.",
)
_ADMIN = _Family(
    "permissions or policies on the customer's side",
    "Have their administrator approve the app once for the whole organisation, with all that it needs, instead of user "
    "by user.",
)
_ACCOUNT = _Family(
    "the account being suspended or its plan lacking access",
    "Talk about it at the renewal: the account behind this connection needs a plan with API access, and an owner who "
    "gets its invoices.",
)
_ENDPOINT = _Family(
    "the receiving address moving, refusing or not answering",
    "Ask for a stable address with a named owner on their side, and to hear of changes before they are made.",
)
_CERTIFICATE = _Family(
    "certificates of their server",
    "Ask for automatic renewal of the server's certificate, and for somebody who watches it.",
)
_SSO = _Family(
    "settings of the single sign-on",
    "Have both sides read each other's metadata from an address instead of copying it by hand, and test changes with "
    "one user first.",
)
_CLOCK = _Family("clocks that differ", "Ask for time synchronisation (NTP) on the server that signs the requests.")
_OURS = _Family(
    "faults of ours",
    "Nothing that the customer does will help: ask our engineering for the root cause and a date, and tell the "
    "customer both.",
)
_PROVIDER = _Family(
    "the provider failing or refusing calls",
    "Nothing that the customer does will help: raise it with the provider, and let our engineering spread the "
    "calls out and retry for longer.",
)
_UNKNOWN = _Family(
    "failures whose cause nobody knows",
    "Report the error's code and text with each failure, or give the integration a monitor, so that the cause is seen.",
)

_FAMILIES: dict[str, _Family] = {
    Category.TOKEN_EXPIRED: _LOGIN,
    Category.TOKEN_REVOKED: _LOGIN,
    Category.REFRESH_FAILED: _LOGIN,
    Category.USER_DEACTIVATED: _PERSONAL,
    Category.CREDENTIALS_INVALID: _KEYS,
    Category.CLIENT_SECRET_EXPIRED: _RENEWAL,
    Category.SSO_CERT_EXPIRED: _RENEWAL,
    Category.CONSENT_OR_SCOPE_MISSING: _ADMIN,
    Category.POLICY_BLOCKED: _ADMIN,
    Category.APP_MISCONFIGURED: _ADMIN,
    Category.ACCOUNT_SUSPENDED_OR_PLAN: _ACCOUNT,
    Category.ENDPOINT_UNREACHABLE: _ENDPOINT,
    Category.ENDPOINT_GONE: _ENDPOINT,
    Category.NOT_FOUND: _ENDPOINT,
    Category.WEBHOOK_REJECTED: _ENDPOINT,
    Category.TLS_INVALID: _CERTIFICATE,
    Category.SSO_MISCONFIGURED: _SSO,
    Category.CLOCK_SKEW: _CLOCK,
}


def fragile(history: History, until: datetime, policy: Chronic) -> Fragile | None:
    """By the policy's `[chronic]`: so many incidents that began in its window, or more time down in it than its uptime
    allows. The latter is measured against the whole window, so that one bad hour does not condemn a young integration.
    What was removed, or is not used any more, is not fragile any more.
    """
    if history.ended_at is not None:
        return None
    window = Span(until - policy.window, until)
    down = total(times([history], window).down)
    begun = history.begun_in(window)
    allowed = policy.window * (1 - policy.uptime)
    span = words_for(policy.window)
    if len(begun) >= policy.incidents:
        reason = f"{len(begun)} disconnection{'' if len(begun) == 1 else 's'} in {span}, down for {how_long(down)}."
        return Fragile(reason, _suggest_by_number(begun))
    if down > allowed:
        reason = f"Down for {how_long(down)} in {span}; {policy.uptime * 100:.4g} % uptime allows {how_long(allowed)}."
        return Fragile(reason, _suggest_by_time(history, window))
    return None


def _suggest_by_number(incidents: Sequence[Incident]) -> str:
    """What would end most of them; of equally many, the newest kind."""
    families = [_family(incident) for incident in incidents]
    family, count = max(Counter(reversed(families)).items(), key=lambda item: item[1])
    return f"{_how_often(count, len(families))} was {family.what}. {family.change}"


def _how_often(count: int, of: int) -> str:
    if count == of:
        return {1: "The reason", 2: "Both times the reason"}.get(count, f"All {count} times the reason")
    return "The reasons differ; the last" if count == 1 else f"{count} of {of} times the reason"


def _suggest_by_time(history: History, window: Span) -> str:
    """What would end most of the downtime."""
    down: dict[_Family, timedelta] = {}
    for incident in history.disconnections:
        alone = times([replace(history, incidents=(incident,))], window).down
        down[_family(incident)] = down.get(_family(incident), timedelta(0)) + total(alone)
    family, longest = max(down.items(), key=lambda item: item[1])
    all_of_it = longest == sum(down.values(), timedelta(0))
    return f"{'The' if all_of_it else f'For {how_long(longest)} of that the'} reason was {family.what}. {family.change}"


def _family(incident: Incident) -> _Family:
    if incident.cause is Cause.UNKNOWN:
        return _UNKNOWN
    if incident.cause is Cause.US and incident.category not in (
        Category.CLIENT_SECRET_EXPIRED,
        Category.SSO_CERT_EXPIRED,
    ):
        return _OURS
    if incident.cause is Cause.PROVIDER:
        return _PROVIDER
    family = _FAMILIES.get(incident.category, _UNKNOWN)
    return _PERSONAL if family is _LOGIN and incident.who_fixes == WhoFixes.CUSTOMER_USER else family
