"""Which connections are fragile, why, and what should change: in sentences for a CSM."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from workflows.contracts import Kind, Resolution
from workflows.domain.chronic import Fragile, fragile
from workflows.domain.playbook import Category, WhoFixes
from workflows.domain.policy import Chronic
from workflows.domain.reliability import History, Incident

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
POLICY = Chronic(incidents=3, window=timedelta(days=30), uptime=0.99)


def incident(
    days_ago: float, lasted: timedelta = HOUR, category: str = "token_expired", who: str = "customer_user"
) -> Incident:
    opened = NOW - days_ago * DAY
    return Incident(
        id=UUID(int=int(days_ago * 1000)),
        kind=Kind.DISCONNECTED,
        category=category,
        who_fixes=who,
        opened_at=opened,
        detected_at=opened,
        recovered_at=opened + lasted,
        closed_at=opened + lasted,
        resolution=Resolution.VERIFIED,
    )


def judged(*incidents: Incident, created: float = 300, ended: datetime | None = None) -> Fragile | None:
    history = History(integration=UUID(int=1), created_at=NOW - created * DAY, ended_at=ended, incidents=incidents)
    return fragile(history, NOW, POLICY)


def test_three_expiries_of_one_persons_login_want_a_service_account() -> None:
    found = judged(incident(1), incident(8), incident(15))
    assert found is not None
    assert found.reason == "3 disconnections in 30 days, down for 3 h."
    assert found.suggestion.startswith("All 3 times the reason was one person's login")
    assert "service account" in found.suggestion


def test_where_the_reasons_differ_the_last_one_is_told() -> None:
    """One of three would sound like a pattern."""
    found = judged(
        incident(1), incident(8, category="policy_blocked", who="customer_admin"), incident(15, category="x")
    )
    assert found is not None
    assert found.suggestion.startswith("The reasons differ; the last was one person's login")
    found = judged(incident(1, category="x"), incident(8), incident(15))
    assert found is not None
    assert found.suggestion.startswith("2 of 3 times the reason was one person's login")


@pytest.mark.parametrize(
    ("ago", "is_fragile"), [((1, 2), False), ((1, 2, 30.001), False), ((1, 2, 30), True), ((1, 2, 29), True)]
)
def test_so_many_that_began_in_the_window(ago: tuple[float, ...], is_fragile: bool) -> None:
    """Inclusive, as all thresholds; one that began before the window does not count."""
    assert (judged(*map(incident, ago)) is not None) is is_fragile


def test_one_long_outage_is_enough_if_it_is_longer_than_the_uptime_allows() -> None:
    """1 % of 30 days are 7 h 12 min."""
    assert judged(incident(3, timedelta(hours=7, minutes=12))) is None
    found = judged(incident(3, timedelta(hours=7, minutes=13), category="provider_outage", who="nobody (retry)"))
    assert found is not None
    assert found.reason == "Down for 7 h 13 min in 30 days; 99 % uptime allows 7 h 12 min."
    assert found.suggestion.startswith("The reason was the provider failing")


def test_what_took_longest_decides_what_should_change() -> None:
    """Where the downtime is the reason, not the number."""
    found = judged(
        incident(3, 9 * HOUR, "tls_invalid", "customer_admin"), incident(1, HOUR, "policy_blocked", "customer_admin")
    )
    assert found is not None
    assert found.suggestion.startswith("For 9 h of that the reason was certificates")


def test_one_bad_hour_does_not_condemn_a_young_integration() -> None:
    """It is measured against the whole window."""
    assert judged(incident(0.1, timedelta(hours=2)), created=0.2) is None


def test_what_began_before_the_window_and_still_lasts_is_explained_too() -> None:
    old = incident(40)
    lasting = Incident(**{**old.__dict__, "recovered_at": None, "closed_at": None, "resolution": None})
    found = judged(lasting)
    assert found is not None
    assert found.reason.startswith("Down for 30 days in 30 days")
    assert "service account" in found.suggestion


def test_what_is_gone_is_not_fragile_any_more() -> None:
    assert judged(incident(1), incident(2), incident(3), ended=NOW - HOUR) is None


@pytest.mark.parametrize("category", Category)
@pytest.mark.parametrize("who", WhoFixes)
def test_every_cause_has_something_that_should_change(category: Category, who: WhoFixes) -> None:
    """Two whole sentences; and where the fault is ours or the provider's, nothing is asked of the customer."""
    found = judged(*(incident(n, category=category, who=who) for n in (1, 2, 3)))
    assert found is not None
    assert found.suggestion.count(". ") >= 1
    assert found.suggestion.endswith(".")
    renewed = {Category.CLIENT_SECRET_EXPIRED, Category.SSO_CERT_EXPIRED, Category.UNKNOWN}
    if who in {WhoFixes.OUR_ENGINEERING, WhoFixes.PROVIDER} and category not in renewed:
        assert "Nothing that the customer does will help" in found.suggestion
