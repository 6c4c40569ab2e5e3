"""Is it the customers, or the provider that they all use: by how many fail at once, else by what their errors say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from workflows.contracts import Kind
from workflows.domain.blame import Blame, Verdict, blame
from workflows.domain.policy import Outage
from workflows.domain.reliability import Cause, History, Incident

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
POLICY = Outage(min_integrations=3, min_share=0.3, window=10 * MINUTE)
WHOSE = {
    "customer": ("token_expired", "customer_user"),
    "provider": ("provider_outage", "nobody (retry)"),
    "us": ("client_secret_expired", "our_engineering"),
    "unknown": ("unknown", "customer_admin"),
}


def connection(number: int, *failed: int, whose: str = "customer", **over: datetime) -> tuple[UUID, History]:
    """Of a customer of its own, which failed so many minutes ago and has not worked since unless it says so."""
    category, who = WHOSE[whose]
    incidents = tuple(
        Incident(
            id=UUID(int=1000 * number + ago),
            kind=Kind.DISCONNECTED,
            category=category,
            who_fixes=who,
            opened_at=NOW - ago * MINUTE,
            detected_at=NOW - ago * MINUTE,
            recovered_at=over.get("recovered_at"),
        )
        for ago in failed
    )
    history = History(
        integration=UUID(int=number), created_at=NOW - DAY, ended_at=over.get("ended_at"), incidents=incidents
    )
    return UUID(int=number), history


def judge(*connections: tuple[UUID, History]) -> Blame:
    return blame(connections, NOW, POLICY)


def test_many_at_once_are_the_providers() -> None:
    """Whatever their errors look like: 3 of 9 within ten minutes."""
    found = judge(*(connection(n, 60 + 5 * n) for n in range(3)), *(connection(n) for n in range(3, 9)))
    assert (found.verdict, found.together, found.together_since) == (Verdict.PROVIDER, 3, NOW - 70 * MINUTE)
    assert (found.customers, found.customers_down, found.integrations, found.down) == (9, 3, 9, 3)
    assert found.share == pytest.approx(1 / 3)


def test_as_many_one_after_the_other_are_not() -> None:
    """More than ten minutes from the first to the last."""
    found = judge(*(connection(n, 60 + 6 * n) for n in range(3)), *(connection(n) for n in range(3, 9)))
    assert (found.verdict, found.together) == (Verdict.CUSTOMERS, 2)


def test_a_small_share_of_many_is_not() -> None:
    found = judge(*(connection(n, 60) for n in range(3)), *(connection(n) for n in range(3, 11)))
    assert found.verdict is Verdict.CUSTOMERS


@pytest.mark.parametrize(
    ("whose", "verdict"),
    [
        (("us", "us", "customer"), Verdict.US),
        (("provider", "provider", "us"), Verdict.PROVIDER),
        (("customer", "provider"), Verdict.UNCLEAR),
        (("unknown",), Verdict.UNCLEAR),
    ],
)
def test_else_it_is_whoever_caused_most(whose: tuple[str, ...], verdict: Verdict) -> None:
    """More than half of what is down; a draw is nobody's."""
    found = judge(
        *(connection(n, 60 * (n + 1), whose=one) for n, one in enumerate(whose)),
        *(connection(n) for n in range(10, 30)),
    )
    assert found.verdict is verdict
    assert found.by_cause == {cause: whose.count(cause.value) for cause in Cause}


def test_what_works_again_or_is_gone_is_not_down() -> None:
    found = judge(
        connection(1, 60, recovered_at=NOW - 5 * MINUTE),
        connection(2, 60, ended_at=NOW - MINUTE),
        connection(3),
    )
    assert (found.verdict, found.integrations, found.down, found.share) == (Verdict.NOTHING, 2, 0, 0)
    assert judge() == Blame(
        verdict=Verdict.NOTHING, customers=0, customers_down=0, integrations=0, down=0, together=0,
        together_since=None, by_cause=dict.fromkeys(Cause, 0),
    )  # fmt: skip
