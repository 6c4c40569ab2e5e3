"""The report to attach (`relink report --html`), opened by itself: it loads nothing, fits, and shuts nobody out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from markupsafe import escape

from activities.db.reliability import Subject
from activities.policy import load_policy
from activities.reliability import CustomerReport, FleetReport, IntegrationReport, SuccessReport
from activities.rendering import Renderer
from starter.reporting import customer_facts, fleet_facts
from tests.browser.judges import BOTH, LOOKS, Picture, Tab, faults, overflow
from workflows.contracts import Kind, Resolution
from workflows.domain import success
from workflows.domain.chronic import fragile
from workflows.domain.intervals import Span
from workflows.domain.reliability import History, Incident
from workflows.domain.status import HealthStatus

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = Span(NOW - 90 * DAY, NOW)
HOSTILE = '<img src="https://evil.example/" onerror="alert(1)"> {{ 7*7 }}'
NAMES = ("Salesforce CRM Sync", "Datensicherungsschnittstellenverwaltung" * 3, HOSTILE, "نظام الفوترة")


def incident(number: int, days_ago: float, hours: float | None, category: str, who: str) -> Incident:
    opened = NOW - days_ago * DAY
    ended = None if hours is None else opened + timedelta(hours=hours)
    return Incident(
        id=UUID(int=number),
        kind=Kind.DISCONNECTED,
        category=category,
        who_fixes=who,
        opened_at=opened,
        detected_at=opened + timedelta(minutes=4),
        recovered_at=ended,
        closed_at=ended,
        resolution=None if ended is None else Resolution.VERIFIED,
    )


def integration(number: int, name: str) -> IntegrationReport:
    incidents = (
        incident(number * 10, 3, None if number == 0 else 5, "token_expired", "customer_user"),
        incident(number * 10 + 1, 12, 0.2, "provider_outage", "nobody (retry)"),
        incident(number * 10 + 2, 25, 40, "app_misconfigured", "our_engineering"),
        incident(number * 10 + 3, 80, 3, "unknown", "customer_admin"),
    )
    history = History(integration=UUID(int=number), created_at=NOW - 60 * number * DAY - 85 * DAY, incidents=incidents)
    subject = Subject(
        customer=UUID(int=99),
        customer_external_id="techcorp",
        customer_name="TechCorp",
        integration_type="salesforce",
        integration_id=None,
        display_name=name,
        is_critical=number == 0,
        status=HealthStatus.DISCONNECTED if number == 0 else HealthStatus.HEALTHY,
        removed_at=None,
        history=history,
    )
    return IntegrationReport(subject=subject, window=WINDOW, fragile=fragile(history, NOW, load_policy().chronic))


def facts(about: str) -> dict[str, Any]:
    known = tuple(integration(n, name) for n, name in enumerate(NAMES)) if about != "nothing" else ()
    customer = CustomerReport(id=UUID(int=99), external_id="techcorp", name="TechCorp", window=WINDOW, known=known)
    if about != "fleet":
        return customer_facts(customer)
    histories = [one.subject.history for one in known]
    measures = (
        success.detected(histories, WINDOW),
        success.unnoticed(histories, WINDOW),
        success.tickets([UUID(int=1)], WINDOW, None),
        success.uptime(histories, WINDOW),
    )
    return fleet_facts(
        FleetReport(window=WINDOW, customers=(customer,)), SuccessReport(window=WINDOW, measures=measures)
    )


@pytest.mark.parametrize("about", ["customer", "fleet", "nothing"])
async def test_the_report_stands_alone(about: str, tab: Tab, picture: Picture) -> None:
    """No sideways scrolling, nothing loaded, no complaint, no fault that axe-core finds; names are texts."""
    html = Renderer(product_name="Acme", public_url="").page("report.html", **facts(about))
    await tab.page.set_content(html)
    for look in LOOKS:
        await look.apply(tab.page)
        assert await overflow(tab.page) == 0, look.name
        await picture(tab.page, f"report-{about}-{look.name}")
    for look in BOTH:
        await look.apply(tab.page)
        assert await faults(tab.page) == [], look.name
    assert tab.complaints == []
    assert tab.requests == []
    if about != "nothing":
        assert HOSTILE in await tab.page.locator("main").inner_text()


@pytest.mark.parametrize("about", ["customer", "fleet"])
def test_what_is_for_the_csm_is_not_sent_to_the_customer(about: str) -> None:
    """A customer's report says what happened; what to ask of them is in the one about all customers, which says that it
    is internal."""
    given = facts(about)
    html = Renderer(product_name="Acme", public_url="").page("report.html", **given)
    advised = [one["suggestion"] for one in given["integrations"] if one["suggestion"]]
    assert advised
    assert all((escape(text) in html) == (about == "fleet") for text in advised)
    assert all(escape(one["reason"]) in html for one in given["integrations"] if one["reason"])
    assert ("Internal" in html) == (about == "fleet")
