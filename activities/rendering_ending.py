"""What may be said about a credential that ends soon, and about our own network."""

from __future__ import annotations

from datetime import UTC, datetime

from activities import phrases
from activities.rendering_facts import LINE, NAME, UNNAMED, Telling, slack_date
from activities.rendering_safety import Dated, one_line
from activities.views import EndingView


def ending_facts(view: EndingView, telling: Telling) -> dict[str, object]:
    """Everything that `credential_expiring` and `credential_expiring_customer` may print."""
    contact = next((c for c in view.contacts if c.email), None)
    reader, ends = telling.reader, telling.moment(view.ends_at)
    left = phrases.ahead(view.ends_at - telling.now)
    name = one_line(reader.name, NAME) if reader and reader.name else ""
    return {
        "product_name": one_line(telling.product_name, NAME),
        "customer": one_line(view.customer_name, NAME) or UNNAMED,
        "integration": one_line(view.integration_name, NAME) or UNNAMED,
        "provider": one_line(view.provider_name, NAME),
        "credential": one_line(view.label, LINE),
        "kind": view.kind,
        "customer_renews": view.only_customer_renews,
        "ends": Dated(phrases.moment_with_zone(view.ends_at, telling.zone), ends.token),
        "ends_on": phrases.day(view.ends_at, telling.zone),
        "ends_in": Dated(left, slack_date(view.ends_at, "{ago}", left)),
        "contact_name": one_line(phrases.named(contact) or "", NAME) or None,
        "mailed": contact is not None,
        "greeting": f"Hi {name}," if name else "Hello,",
        "reason": one_line(view.label, LINE),  # what a mail program shows beside the subject
        "times_are_utc": telling.zone is UTC,
    }


def outage_facts(began_at: datetime, telling: Telling) -> dict[str, object]:
    """Everything that `egress_outage` may print."""
    return {
        "product_name": one_line(telling.product_name, NAME),
        "since": telling.moment(began_at),
        "since_and_ago": telling.moment_and_ago(began_at),
        "reason": "Monitors get no answer from any host",
        "times_are_utc": telling.zone is UTC,
    }
