"""Puts incidents into words: Slack messages (PRD-101 §5.1), mails (§5.2) and pages, from the files under templates/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from activities.calls import Proposal
from activities.digest_facts import DigestView, digest_facts
from activities.provider_outage_facts import OutageView, provider_outage_facts
from activities.rendering_document import parse_document
from activities.rendering_ending import ending_facts, outage_facts
from activities.rendering_facts import NAME, Telling, incident_facts
from activities.rendering_mail import call_facts, customer_facts, facts_of_several
from activities.rendering_notes import note_facts
from activities.rendering_safety import Url, one_line, safe_url
from activities.rendering_slack import to_slack
from activities.rendering_templates import Templates, TemplatesError
from activities.views import EndingView, IncidentView, Mail, Person, SlackMessage

__all__ = ["NOTICES", "Renderer", "TemplatesError"]

NOTICES = {  # the kinds of slack_as_mail, and the Slack templates that they share
    "csm_alert": "integration_disconnected_alert",
    "escalation": "integration_escalated_manager",
    "engineering_page": "integration_disconnected_engineering",
    "resolved": "integration_resolved_csm",
}


class Renderer:
    """All messages and pages of one product. Pure but for reading the templates: `now` is given, nothing is sent.

    Raises TemplatesError if a file of `templates_dir` is not a valid template.
    """

    def __init__(self, *, product_name: str, public_url: str, templates_dir: Path | None = None) -> None:
        self._product_name = product_name
        self._base_path = urlsplit(public_url).path.rstrip("/")
        self._templates = Templates(templates_dir)

    def csm_alert(self, view: IncidentView, *, now: datetime, reader: Person, status_url: str) -> SlackMessage:
        """PRD-101 §5.1; later the same layout with what has changed, until only View Integration Status is left."""
        return self._message(NOTICES["csm_alert"], view, self._telling(now, reader), status_url)

    def csm_note(
        self, view: IncidentView, *, kind: str, details: Mapping[str, Any], now: datetime, reader: Person
    ) -> SlackMessage:
        """A reply in the alert's thread. `kind` and the details that each may bring: rendering_notes.NOTES.

        Raises KeyError for an unknown kind.
        """
        telling = self._telling(now, reader)
        return self._message(f"notes/{kind}", view, telling, "", **note_facts(kind, details, telling))

    def escalation(
        self, view: IncidentView, *, role: str, now: datetime, reader: Person, status_url: str
    ) -> SlackMessage:
        """To `csm_manager` or `cs_leadership`: how long, who was told when, and what is needed of them."""
        return self._message(NOTICES["escalation"], view, self._telling(now, reader), status_url, role=role)

    def engineering_page(self, view: IncidentView, *, now: datetime, reader: Person, status_url: str) -> SlackMessage:
        """The fault is ours: our engineers are told, and that the customer is not asked to act."""
        return self._message(NOTICES["engineering_page"], view, self._telling(now, reader), status_url)

    def slack_as_mail(
        self,
        message_kind: str,
        view: IncidentView,
        *,
        now: datetime,
        reader: Person,
        status_url: str,
        role: str = "csm_manager",
    ) -> Mail:
        """The same content for somebody without Slack; `message_kind` is one of NOTICES, `role` is an escalation's.

        Raises KeyError for an unknown kind.
        """
        facts = {**incident_facts(view, self._telling(now, reader)), "role": role}
        return self._notice(NOTICES[message_kind], facts, status_url)

    def customer_mail(
        self, view: IncidentView, *, contact: Person, now: datetime, reconnect_link: str | None, reminder: int = 0
    ) -> Mail:
        """PRD-101 §5.2. The button only where reconnecting helps; `reminder` 1, 2, … says that it is still broken."""
        link = safe_url(reconnect_link) if view.can_reconnect else Url("")
        name = "integration_disconnected_customer"
        return self._mail(name, view, contact, now, reconnect_link=link, reminder=reminder)

    def customer_mail_of_several(
        self, broken: Sequence[tuple[IncidentView, str | None]], *, contact: Person, now: datetime, reminder: int = 0
    ) -> Mail:
        """One mail about several integrations of one customer, each with its fix and its own reconnect link."""
        facts = {**facts_of_several(broken, self._telling(now, contact)), "reminder": reminder}
        return self._templates.mail("integrations_disconnected_customer", contact.locale, facts)

    def customer_all_clear(self, view: IncidentView, *, contact: Person, now: datetime) -> Mail:
        """It works again, how long it did not, and that nothing is left to do."""
        return self._mail("integration_resolved_customer", view, contact, now)

    def tech_call_invitation(
        self,
        view: IncidentView,
        *,
        contact: Person,
        now: datetime,
        booking_url: str,
        proposal: Proposal | None = None,
    ) -> Mail:
        """Offers a call: at the proposed times, by the booking page, or else by asking for times that suit."""
        when = call_facts(proposal, self._telling(now, contact))
        link = safe_url(booking_url)
        return self._mail("tech_call_invitation_customer", view, contact, now, booking_url=link, **when)

    def ending(self, view: EndingView, *, now: datetime, reader: Person, status_url: str) -> SlackMessage:
        """To a CSM or an engineer: a credential ends soon."""
        facts = ending_facts(view, self._telling(now, reader))
        return self._slack("credential_expiring", facts, view.integration_health_id, status_url)

    def ending_as_mail(self, view: EndingView, *, now: datetime, reader: Person, status_url: str) -> Mail:
        """The same for somebody without Slack."""
        return self._notice("credential_expiring", ending_facts(view, self._telling(now, reader)), status_url)

    def ending_mail(self, view: EndingView, *, contact: Person, now: datetime) -> Mail:
        """To the technical contact, where only the customer can renew it."""
        facts = ending_facts(view, self._telling(now, contact))
        return self._templates.mail("credential_expiring_customer", contact.locale, facts)

    def our_network(self, outage: UUID, *, began_at: datetime, now: datetime, reader: Person) -> SlackMessage:
        """To our engineers: nobody answers us."""
        return self._slack("egress_outage", outage_facts(began_at, self._telling(now, reader)), outage, "")

    def our_network_as_mail(self, *, began_at: datetime, now: datetime, reader: Person) -> Mail:
        """The same for somebody without Slack."""
        return self._notice("egress_outage", outage_facts(began_at, self._telling(now, reader)), "")

    def digest(self, digest: UUID, view: DigestView, *, now: datetime, reader: Person, fleet_url: str) -> SlackMessage:
        """To a CSM, on Monday morning: how their customers' integrations were."""
        return self._slack("weekly_digest", digest_facts(view, self._telling(now, reader)), digest, fleet_url)

    def digest_as_mail(self, view: DigestView, *, now: datetime, reader: Person, fleet_url: str) -> Mail:
        """The same for somebody without Slack."""
        return self._notice("weekly_digest", digest_facts(view, self._telling(now, reader)), fleet_url)

    def provider_outage(
        self, digest: UUID, view: OutageView, *, now: datetime, reader: Person, url: str
    ) -> SlackMessage:
        """To a CSM, or to our engineers: a provider fails for many at once, or no longer does."""
        return self._slack("provider_outage", provider_outage_facts(view, self._telling(now, reader)), digest, url)

    def provider_outage_as_mail(self, view: OutageView, *, now: datetime, reader: Person, url: str) -> Mail:
        """The same for somebody without Slack."""
        return self._notice("provider_outage", provider_outage_facts(view, self._telling(now, reader)), url)

    def facts(self, view: IncidentView, *, now: datetime, reader: Person) -> dict[str, object]:
        """An incident in the words of its messages, for `integration.html`."""
        return incident_facts(view, self._telling(now, reader))

    def customer_facts(self, view: IncidentView, *, now: datetime, contact: Person) -> dict[str, object]:
        """An incident in the words of the customer's mail, for `reconnect.html` and `reconnect_returned.html`."""
        return customer_facts(view, self._telling(now, contact))

    def page(self, template: str, **context: object) -> str:
        """A page of templates/pages/, for example `message.html`; each file says at its top what it needs."""
        base = {
            "product_name": one_line(self._product_name, NAME),
            "stylesheet": f"{self._base_path}/static/relink.css",
            "lang": "en",
        }
        return self._templates.page(template, {**base, **context})

    def stylesheet(self, name: str = "relink.css") -> str:
        """A style sheet of templates/pages/: that of all pages, or `site/site.css` of staff's."""
        return self._templates.source(f"pages/{name}")

    def _message(
        self, name: str, view: IncidentView, telling: Telling, status_url: str, **extra: object
    ) -> SlackMessage:
        return self._slack(name, {**incident_facts(view, telling), **extra}, view.incident_id, status_url)

    def _slack(self, name: str, facts: Mapping[str, object], about: UUID, status_url: str) -> SlackMessage:
        """Slack shows times in the zone of whoever reads them, so no message has to name one."""
        document = parse_document(self._templates.slack(name, {**facts, "times_are_utc": False}))
        return to_slack(document, incident_id=about, status_url=safe_url(status_url))

    def _notice(self, name: str, facts: Mapping[str, object], status_url: str) -> Mail:
        document = parse_document(self._templates.document(name, facts))
        return self._templates.mail("notice", None, {**facts, "document": document, "status_url": safe_url(status_url)})

    def _mail(self, name: str, view: IncidentView, contact: Person, now: datetime, **extra: object) -> Mail:
        facts = customer_facts(view, self._telling(now, contact))
        return self._templates.mail(name, contact.locale, {**facts, **extra})

    def _telling(self, now: datetime, reader: Person) -> Telling:
        return Telling(now, self._product_name, reader)
