"""PRD-101's own example (§5.1, §5.2) in every state that a message or a page may have to tell. Data only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from activities.views import CustomerMail, IncidentView, Person, PreviousIncident

OPENED = datetime(2026, 1, 29, 15, 45, tzinfo=UTC)  # 10:45 AM in New York: PRD-101 §5.1's own example
NOW = OPENED + timedelta(hours=3)
CSM = Person(
    id=UUID(int=11),
    name="Dana Kim",
    email="dana@acme.example",
    slack="U0DANA",
    title="Customer Success Manager",
    timezone="America/New_York",
)
MANAGER = Person(id=UUID(int=12), name="Max Lee", email="max@acme.example", timezone="America/New_York")
CONTACT = Person(
    id=UUID(int=13),
    name="Bob Smith",
    email="bob@techcorp.example",
    title="IT Admin",
    timezone="America/Chicago",
    locale="en-US",
)
STATUS_URL = "https://relink.acme.example/integrations/00000000-0000-0000-0000-000000000002"
RECONNECT_LINK = (
    "https://relink.acme.example/r/eyJpIjoiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAxIn0.c2lnbmF0dXJl"
)

DISCONNECTED = IncidentView(
    incident_id=UUID(int=1),
    integration_health_id=UUID(int=2),
    number=1,
    kind="disconnected",
    status="open",
    severity="critical",
    resolution=None,
    category="refresh_failed",
    who_fixes="customer_user",
    occurrences=1,
    opened_at=OPENED,
    detected_at=OPENED + timedelta(minutes=2),
    alerted_at=None,
    acknowledged_at=None,
    acknowledged_by=None,
    snoozed_until=None,
    recovering_since=None,
    quiet_until=None,
    closed_at=None,
    closed_by=None,
    relapses=0,
    error_code="invalid_grant",
    evidence=None,
    customer_id=UUID(int=3),
    customer_external_id="techcorp",
    customer_name="TechCorp",
    arr=Decimal(200_000),
    csm=CSM,
    csm_manager=MANAGER,
    contacts=(CONTACT,),
    auto_send=True,
    integration_type="salesforce",
    integration_id="org-1",
    display_name="Salesforce CRM Sync",
    is_critical=True,
    self_serve=True,
    reconnect_url="https://app.acme.example/settings/integrations/salesforce/reconnect",
    provider_name="Salesforce",
    reason="OAuth token expired and refresh failed",
    explanation=(
        "Salesforce no longer accepts the authorization that somebody at the customer once gave us. "
        "Until they give it again, nothing flows between Acme and Salesforce. What to say: it is a small thing that "
        "they can fix themselves in a few minutes, and you are glad to stay with them while they do."
    ),
    impact=("CRM data sync stopped", "Health score updates not pushing to Salesforce"),
    steps=(
        "Customer needs to reauthorize Salesforce connection",
        "Direct them to: Settings > Integrations > Salesforce > Reconnect",
        "If issue persists, check Salesforce API permissions",
    ),
    customer_reason="The authorization that connects Salesforce has expired and could not be renewed.",
    customer_steps=(
        "Log in to {product_name}",
        "Go to Settings > Integrations > Salesforce",
        'Click "Reconnect" and authorize the connection',
    ),
    customer_minutes=2,
    self_serve_reconnect=True,
    previous=None,
    previous_count=0,
    customer_mail=None,
    customer_reported=False,
)

_DUE_BACK = NOW + timedelta(minutes=8)
_MAIL = CustomerMail(status="sent", name="Bob Smith", sent_at=NOW - timedelta(minutes=20), opened_at=None)
_ENDED = {"status": "closed", "closed_at": NOW, "alerted_at": OPENED, "evidence": "verified"}

STATES: dict[str, dict[str, object]] = {  # what changes in DISCONNECTED
    "open": {},
    "told": {"alerted_at": NOW - timedelta(minutes=30), "customer_mail": _MAIL, "occurrences": 12},
    "acknowledged": {
        "alerted_at": NOW - timedelta(minutes=30),
        "acknowledged_at": NOW - timedelta(minutes=10),
        "acknowledged_by": "Dana Kim",
        "customer_mail": _MAIL.model_copy(update={"opened_at": NOW - timedelta(minutes=4)}),
    },
    "snoozed": {"snoozed_until": NOW + timedelta(hours=4)},
    "recovering": {
        "status": "recovering",
        "recovering_since": NOW - timedelta(minutes=2),
        "quiet_until": _DUE_BACK,
        "evidence": "verified",
    },
    "resolved": {**_ENDED, "resolution": "verified"},
    "reported": {**_ENDED, "resolution": "reported", "evidence": "reported"},
    "vouched_for": {**_ENDED, "resolution": "reported", "evidence": "reported", "hinted_by": "Dana Kim"},
    "no_longer_used": {**_ENDED, "resolution": "no_longer_used", "closed_by": "Dana Kim"},
    "false_alarm": {**_ENDED, "resolution": "false_alarm", "closed_by": "Dana Kim"},
    "removed": {**_ENDED, "status": "cancelled", "resolution": "removed"},
    "degraded": {"kind": "degraded", "severity": "low", "is_critical": False},
    "no_contact": {"contacts": ()},
    "held_back": {"auto_send": False},
    "ours": {
        "category": "client_secret_expired",
        "who_fixes": "our_engineering",
        "self_serve_reconnect": False,
        "error_code": "invalid_client",
        "reason": "Our app's secret for Salesforce has expired",
        "explanation": "Salesforce refuses our application itself. What to say if they ask: the fault is on our side.",
        "steps": (
            "No action is needed from the customer; do not ask them to change anything",
            "Our engineering has to fix it; follow the progress in this thread",
        ),
        "customer_reason": "A credential of ours has expired.",
        "customer_steps": (
            "There is nothing you need to do. We are fixing this on our side and will tell you when it works again.",
        ),
        "customer_minutes": 0,
    },
    "administrator": {
        "category": "policy_blocked",
        "who_fixes": "customer_admin",
        "self_serve_reconnect": False,
        "error_code": "app_not_approved",
        "reason": "Blocked by a security policy of the customer's Salesforce",
        "customer_reason": "A security policy of your Salesforce organization no longer allows this connection.",
        "customer_steps": (
            "Open Setup > Connected Apps > Manage Connected Apps in Salesforce",
            "Choose {product_name}, then Edit Policies, and set Permitted Users so that it is allowed",
            "There is no need to connect again afterwards; we check by ourselves and tell you when it works",
        ),
        "customer_minutes": 10,
    },
    "sign_in": {
        "incident_id": UUID(int=4),
        "integration_type": "sso_okta",
        "display_name": "Okta",
        "provider_name": "Okta",
        "customer_reason": "The permission that somebody at your company gave us was withdrawn.",
        "customer_steps": ("Log in to {product_name}", "Go to Settings > Integrations > Okta", 'Click "Reconnect"'),
    },
    "again": {
        "previous": PreviousIncident(
            opened_at=datetime(2025, 3, 3, 15, tzinfo=UTC), closed_at=datetime(2025, 3, 3, 17, 10, tzinfo=UTC)
        ),
        "previous_count": 3,
    },
}

NOTE_SAMPLES: dict[str, dict[str, object]] = {
    "acknowledged": {"by": "Dana Kim", "until": NOW + timedelta(hours=4)},
    "snoozed": {"by": "Dana Kim", "until": NOW + timedelta(hours=4)},
    "ack_expired": {"by": "Dana Kim"},
    "escalated": {"role": "csm_manager", "to": "Max Lee", "channel": "slack"},
    "escalation_skipped": {"role": "cs_leadership", "reason": "nobody is named for it in the policy"},
    "hint_unverified": {"hint": "callback"},
    "check_failed": {"hint": "callback", "reason": "Salesforce still answers invalid_grant"},
    "check_inconclusive": {"reason": "Salesforce did not answer", "next_at": NOW + timedelta(minutes=5)},
    "relapsed": {"reason": "Salesforce refused the new token"},
    "resolved": {"fixed_by": "customer", "task_completed": True, "score_restored": 10},
    "closed": {"by": "Dana Kim", "note": "They moved to HubSpot in December."},
    "removed": {"by": "Dana Kim"},
    "mail_sent": {"name": "Bob Smith", "by": "Dana Kim", "together": 2},
    "mail_held": {"name": "Bob Smith", "until": NOW + timedelta(minutes=9)},
    "mail_failed": {"name": "Bob Smith", "reason": "the mailbox does not exist", "next_name": "Eve Jones"},
    "page_opened": {"name": "Bob Smith"},
    "tech_call_requested": {"by": "Dana Kim", "name": "Bob Smith", "times": [NOW + timedelta(days=1)]},
}
NOTE_STATES = {
    "acknowledged": "acknowledged",
    "ack_expired": "acknowledged",
    "snoozed": "snoozed",
    "recovering": "recovering",
    "resolved": "resolved",
    "closed": "no_longer_used",
    "removed": "removed",
}


def sample(state: str = "open") -> IncidentView:
    """PRD-101's own example in one of STATES."""
    return DISCONNECTED.model_copy(update=STATES[state])
