"""How often the diagnosis is right: on collected failures, on written ones, and without a provider's own rules."""

from __future__ import annotations

import pytest

from activities.playbooks import load_catalogue
from bench.diagnosis import ALL, SETS, Score, by_provider, failures


def _all(name: str, *, leave_out: bool = False) -> Score:
    catalogue = load_catalogue()
    return by_provider(failures(name), catalogue.without if leave_out else lambda _: catalogue)[ALL]


def test_collected_failures_are_diagnosed_right() -> None:
    """At least 99 in 100 in every respect, and no transient failure is called disconnected."""
    score = _all("provider_failures")
    assert score.failures == 232
    assert score.share("connection_state") >= 0.99
    assert score.share("who_fixes") >= 0.99
    assert score.share("category") >= 0.99
    assert score.share("self_serve_reconnect") >= 0.99
    assert score.false_alarms == 0


def test_no_provider_falls_behind() -> None:
    """The average hides nobody: every provider reaches what is asked of all."""
    catalogue = load_catalogue()
    for provider, score in by_provider(failures("provider_failures"), lambda _: catalogue).items():
        assert score.share("connection_state") >= 0.95, provider
        assert score.share("who_fixes") >= 0.95, provider
        assert score.share("category") >= 0.90, provider


@pytest.mark.parametrize(
    ("name", "failures_in_it", "right"),
    [
        ("documented_failures", 487, 0.98),
        ("collected_failures", 492, 0.98),
        ("blind_failures", 242, 0.98),
        ("catalogue_failures", 822, 0.98),
        ("worded_failures", 1210, 0.98),
        ("blind_failures_2", 135, 0.98),
        ("blind_failures_3", 120, 0.98),
        ("blind_failures_4", 120, 0.95),  # some of its labels contradict those of the other sets
    ],
)
def test_further_failures_are_diagnosed_right(name: str, failures_in_it: int, right: float) -> None:
    """What once was unseen stays right, and no transient failure is called disconnected."""
    score = _all(name)
    assert score.failures == failures_in_it
    assert score.share("connection_state") >= right
    assert score.share("who_fixes") >= right
    assert score.share("category") >= right
    assert score.share("self_serve_reconnect") >= right
    assert score.false_alarms == 0


@pytest.mark.parametrize("name", SETS)
def test_the_generic_layer_stands_by_itself(name: str) -> None:
    """Without the provider's own playbook, the rules of the protocols still tell most causes, without a false alarm."""
    score = _all(name, leave_out=True)
    assert score.share("connection_state") >= 0.85
    assert score.share("who_fixes") >= 0.80
    assert score.share("category") >= 0.80
    # Only a playbook knows that a Salesforce host which does not resolve is not a server of the customer, and that a
    # key of Stripe's that begins with "ek" lives for minutes.
    assert score.false_alarms == (1 if name in ("blind_failures", "catalogue_failures") else 0)
