"""The pages that people see, in every state. A new one is a line in PAGES, and all of test_pages.py judges it."""

from __future__ import annotations

from dataclasses import dataclass

from activities.links import Purpose
from starter.site.staff import Role
from tests.browser import scenes
from tests.browser.scenes import Scene


@dataclass(frozen=True)
class Page:
    """`heading` is the heading or a part of it, `staff` the role of whoever is signed in.

    `button` is the name of the only button, and pressing it leads to a page with the heading `then`.
    """

    name: str
    scene: Scene
    heading: str
    button: str = ""
    then: str = ""
    status: int = 200
    staff: Role | None = None


RECONNECT, DONE, MAIL = "Reconnect Salesforce", "I have reconnected it", "Send me a new link"
WORKS, INVALID, STATUS = "Salesforce is working again", "This link no longer works", "Salesforce CRM Sync"
INCIDENT = "Salesforce CRM Sync at TechCorp"
BACK = Purpose.RETURN

PAGES = (
    # What the customer's technical contact sees.
    Page("reconnect", scenes.reconnect(), RECONNECT, RECONNECT, then="Acme settings"),
    Page("reconnect-by-hand", scenes.reconnect(reconnect_url=None), RECONNECT, DONE, then="Thank you"),
    Page(
        "reconnect-degraded", scenes.reconnect(set_to="kind = 'degraded'"), RECONNECT, RECONNECT, then="Acme settings"
    ),
    Page("reconnect-not-self-serve", scenes.reconnect(self_serve=False), "Fix your Salesforce integration"),
    Page("reconnect-blocked", scenes.reconnect(error=scenes.BLOCKED), "Fix your Salesforce integration"),
    Page("reconnect-our-fault", scenes.reconnect(error=scenes.OURS), "No action needed for Salesforce"),
    Page("reconnect-long", scenes.reconnect_long, RECONNECT, RECONNECT, then="Acme settings"),
    Page("reconnect-recovering", scenes.reconnect(set_to="status = 'recovering'"), WORKS),
    Page("reconnect-fixed", scenes.reconnect(set_to="status = 'closed', resolution = 'verified'"), WORKS),
    Page("reconnect-no-longer-used", scenes.no_longer_used, "There is nothing left to fix"),
    Page("reconnect-expired", scenes.expired, INVALID, MAIL, then="Check your inbox", status=410),
    Page("reconnect-tampered", scenes.tampered, INVALID, MAIL, then="Check your inbox", status=410),
    Page("returned", scenes.reconnect(BACK), "Did you reconnect Salesforce?", DONE, then="Thank you"),
    Page("returned-recovering", scenes.reconnect(BACK, set_to="status = 'recovering'"), WORKS),
    # What staff see.
    Page("sign-in", scenes.at("/sign-in"), "Sign in"),
    Page("sign-in-link", scenes.sign_in_link, "Sign in as dana", "Sign in", then="integrations"),
    Page("sign-in-used", scenes.at("/sign-in/link/used"), "This link does not work any more", status=403),
    Page("fleet", scenes.fleet, "integrations down", staff=Role.VIEWER),
    Page(
        "fleet-filtered",
        scenes.fleet_by("?severity=critical&q=schiff"),
        "integrations down",
        staff=Role.VIEWER,
    ),
    Page("fleet-nothing", scenes.fleet_by("?q=nothing-is-called-so"), "integrations down", staff=Role.VIEWER),
    Page("fleet-wrong", scenes.at("/fleet?show=nonsense"), "That can't be shown", status=422, staff=Role.VIEWER),
    Page("incident", scenes.incident(), INCIDENT, staff=Role.OPERATOR),
    Page("incident-viewer", scenes.incident(), INCIDENT, staff=Role.VIEWER),
    Page("incident-over", scenes.incident(is_over=True), INCIDENT, staff=Role.OPERATOR),
    Page("incident-unknown", scenes.unknown_incident, "There is nothing here", status=404, staff=Role.OPERATOR),
    Page("customers", scenes.after_life("/customers"), "Customers", staff=Role.VIEWER),
    Page("customers-nobody", scenes.at("/customers?q=nobody-is-called-so"), "Customers", staff=Role.VIEWER),
    Page("customer", scenes.customer, scenes.LONG["name"], staff=Role.VIEWER),
    Page("customer-untouched", scenes.untouched_customer, "TechCorp", staff=Role.VIEWER),
    Page("integration", scenes.integration, "Salesforce", staff=Role.VIEWER),
    Page("providers", scenes.after_life("/providers"), "Providers", staff=Role.VIEWER),
    Page("provider", scenes.after_life("/providers/salesforce"), "Salesforce", staff=Role.VIEWER),
    Page("success", scenes.after_life("/success"), "targets met", staff=Role.VIEWER),
    Page("success-uptime", scenes.after_life("/success?measure=uptime&window=180d"), "targets", staff=Role.VIEWER),
    # What View Integration Status opens.
    Page("status", scenes.status(), STATUS),
    Page("status-long", scenes.status_long, STATUS),
    Page("status-over", scenes.status(is_over=True), STATUS),
    Page("status-healthy", scenes.healthy, "Salesforce"),
    Page("status-removed", scenes.removed, "Salesforce"),
    Page("status-expired", scenes.old_status, "This link is too old", status=403),
    Page("status-tampered", scenes.cut_off_status, "This link does not work", status=403),
    Page("status-unknown", scenes.unknown_status, "There is nothing here", status=404),
)
