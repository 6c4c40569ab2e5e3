"""What mails to a customer say beyond the facts: how the subject names the real fix (PRD-101 §5.2, FR-3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from activities import phrases
from activities.calls import Proposal
from activities.rendering_facts import NAME, REASON, UNNAMED, Telling
from activities.rendering_safety import Url, one_line, safe_url
from activities.views import IncidentView, Person
from workflows.domain.durations import how_long

# "Your Salesforce integration …", where connecting again is not the remedy
_NEEDS = {
    "token_expired": "needs new credentials",
    "token_revoked": "needs new credentials",
    "refresh_failed": "needs new credentials",
    "credentials_invalid": "needs new credentials",
    "consent_or_scope_missing": "needs additional permissions",
    "policy_blocked": "is blocked by a security policy",
    "account_suspended_or_plan": "needs a change to your account",
    "user_deactivated": "needs an active user",
    "endpoint_unreachable": "can't reach your endpoint",
    "endpoint_gone": "needs a new endpoint",
    "not_found": "can't find what it connects to",
    "webhook_rejected": "needs a change at your endpoint",
    "tls_invalid": "needs a valid certificate",
    "clock_skew": "needs a clock that is right",
    "sso_misconfigured": "needs a change to its settings",
    "sso_cert_expired": "needs a new certificate",
}
_SIGN_IN, _WEBHOOK = ("sso", "saml", "oidc"), ("webhook",)


def customer_facts(view: IncidentView, telling: Telling) -> dict[str, object]:
    """What a customer's mail or page may say; times in `telling.reader`'s zone, marked UTC where it has none."""
    contact = telling.reader
    where = telling.zone
    return {
        "product_name": one_line(telling.product_name, NAME),
        "provider": one_line(view.provider_name, NAME),
        "customer": one_line(view.customer_name, NAME),
        "greeting": _greeting(contact),
        "kind": view.kind,
        "condition": "degraded" if view.kind == "degraded" else "disconnected",
        "customer_acts": view.who_fixes in {"customer_user", "customer_admin"},
        "who_fixes": view.who_fixes,
        "reconnect_helps": view.self_serve_reconnect,
        "needs": "needs reauthorization" if view.self_serve_reconnect else _NEEDS.get(view.category, "needs attention"),
        "consequence": consequence(view),
        "customer_reason": telling.line(view.customer_reason, REASON),
        "steps": telling.lines(view.customer_steps),
        "minutes": view.customer_minutes,
        "since": phrases.moment_with_zone(view.opened_at, where),
        "until": phrases.moment_with_zone(view.closed_at or telling.now, where),
        "down_for": how_long(max(view.closed_at or telling.now, view.opened_at) - view.opened_at),
        "evidence": view.evidence,
        "ending": view.resolution,
        "csm": one_line(name, NAME) if (name := phrases.named(view.csm)) else None,
    }


def facts_of_several(broken: Sequence[tuple[IncidentView, str | None]], telling: Telling) -> dict[str, object]:
    """What one mail about several integrations may say: the customer's facts, and those of each integration."""
    integrations = [_one_of_several(view, link, telling) for view, link in broken]
    return {
        **customer_facts(broken[0][0], telling),
        "integrations": integrations,
        "names": phrases.together([str(integration["name"]) for integration in integrations]),
        "minutes": sum(view.customer_minutes for view, _ in broken),
        "needs": "need reauthorization" if all(view.self_serve_reconnect for view, _ in broken) else "need attention",
        "need_administrator": any(view.who_fixes == "customer_admin" for view, _ in broken),
    }


def _one_of_several(view: IncidentView, link: str | None, telling: Telling) -> dict[str, object]:
    name = one_line(view.integration_name, NAME) or UNNAMED
    return {
        **customer_facts(view, telling),
        "name": name,
        "reconnect_link": safe_url(link) if view.can_reconnect else Url(""),
    }


def call_facts(proposal: Proposal | None, telling: Telling) -> dict[str, object]:
    """The proposed times as the contact's clock will show them; `times_are` names the zone."""
    zone = telling.reader.timezone if telling.reader and telling.zone is not UTC else None
    return {
        "times": [phrases.slot(at, telling.zone) for at in proposal.times] if proposal else [],
        "call_minutes": proposal.minutes if proposal else 0,
        "times_are": f"in your time zone, {one_line(zone, NAME)}" if zone else "UTC",
    }


def _greeting(contact: Person | None) -> str:
    name = one_line(contact.name, NAME) if contact and contact.name else ""
    return f"Hi {name}," if name else "Hello,"


def consequence(view: IncidentView) -> str:
    """What does not work now: `data`, `sign_in` or `webhook`; templates put it into words."""
    about = f"{view.integration_type} {view.category}".casefold()
    if any(word in about for word in _SIGN_IN):
        return "sign_in"
    return "webhook" if any(word in about for word in _WEBHOOK) else "data"
