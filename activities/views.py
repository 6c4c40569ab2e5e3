"""What messages and pages know about an incident. These carry names and addresses: they never cross into a workflow."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Person(_View):
    """Somebody who can be told: `id` is None for a role that only the policy names (leadership, engineering)."""

    id: UUID | None = None
    name: str | None = None
    email: str | None = None
    slack: str | None = None  # a Slack user or channel id
    title: str | None = None
    timezone: str | None = None  # IANA name; None means UTC
    locale: str | None = None


class PreviousIncident(_View):
    opened_at: datetime
    closed_at: datetime | None


class CustomerMail(_View):
    """The newest mail with fix instructions to a technical contact, as its CSM sees it."""

    status: str  # of deliveries
    name: str | None
    sent_at: datetime | None
    opened_at: datetime | None
    held_until: datetime | None = None  # it waits, because this contact was written to a moment ago
    in_outage: bool = False  # no: because their provider fails for many at once
    others: int = 0  # integrations that the same mail tells of


class IncidentView(_View):
    """One incident with everything a reader needs; times are aware UTC, durations follow from them."""

    incident_id: UUID
    integration_health_id: UUID
    number: int
    kind: Literal["disconnected", "degraded"]
    status: Literal["open", "recovering", "closed", "cancelled"]
    severity: Literal["critical", "high", "medium", "low"]
    resolution: str | None
    category: str
    who_fixes: str
    occurrences: int
    opened_at: datetime
    detected_at: datetime
    alerted_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledgement_expired: bool = False  # acknowledged, not mended in time: anybody may take it over
    snoozed_until: datetime | None
    recovering_since: datetime | None
    quiet_until: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    resolution_note: str | None = None  # what that person wrote about it
    relapses: int
    error_code: str | None  # as received
    evidence: str | None  # verified, reported
    hinted_by: str | None = None  # whose word this recovery began with

    customer_id: UUID
    customer_external_id: str
    customer_name: str
    arr: Decimal | None
    csm: Person | None
    csm_stands_in: bool = False  # the policy's fallback, because the customer's own CSM has neither Slack nor email
    csm_manager: Person | None
    contacts: tuple[Person, ...]  # technical contacts, in order of preference
    engineering_named: bool = True  # the policy says whom to page when the fault is ours
    auto_send: bool  # False: fix instructions go out only when the CSM presses the button

    integration_type: str
    integration_id: str | None
    display_name: str | None
    is_critical: bool
    self_serve: bool
    reconnect_url: str | None

    provider_name: str  # "Salesforce"
    reason: str  # "OAuth token expired and refresh failed"
    explanation: str
    impact: tuple[str, ...]
    steps: tuple[str, ...]  # for the CSM
    customer_reason: str
    customer_steps: tuple[str, ...]
    customer_minutes: int
    self_serve_reconnect: bool  # reconnecting alone helps

    previous: PreviousIncident | None  # the last confirmed incident of this integration before this one
    previous_count: int
    customer_mail: CustomerMail | None
    customer_reported: bool
    told_in_digest: bool = False  # the alert of it waited for the end of a provider's outage

    @property
    def can_reconnect(self) -> bool:
        """The customer can mend this alone through the reconnect page."""
        return self.self_serve and self.self_serve_reconnect

    @property
    def integration_name(self) -> str:
        """What people call it: "Salesforce CRM Sync", or the provider's name."""
        return self.display_name or self.provider_name


class SlackMessage(_View):
    """Arguments of chat.postMessage: `text` is what notifications and screen readers say."""

    text: str
    blocks: tuple[dict[str, object], ...]


class Mail(_View):
    """Ready to be put into a MIME message: one-line subject, plain text, and HTML with inlined styles."""

    subject: str
    text: str
    html: str


class Wording(_View):
    """A message that is already in words, for each way it may go."""

    reader: Person
    slack: SlackMessage | None = None
    mail: Mail | None = None
    reply_to: Person | None = None


class EndingView(_View):
    """A credential that is about to end, with everything that its readers need; times are aware UTC."""

    integration_health_id: UUID
    customer_name: str
    csm: Person | None
    contacts: tuple[Person, ...]  # technical contacts, in order of preference
    integration_type: str
    integration_id: str | None
    display_name: str | None
    provider_name: str
    kind: str  # refresh_token, saml_certificate, tls_certificate, client_secret, api_key
    label: str
    ends_at: datetime
    only_customer_renews: bool

    @property
    def integration_name(self) -> str:
        return self.display_name or self.provider_name
