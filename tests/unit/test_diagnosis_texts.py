"""The words: complete for every rule, right for the one who reads them, and PRD-101's own where it gives them."""

from __future__ import annotations

import itertools
import re

import pytest

from activities.playbooks import load_catalogue
from workflows.domain.diagnosis import Category, ConnectionState, Failure, Surface, WhoFixes, diagnose
from workflows.domain.explanation import Verdict, Words, explain
from workflows.domain.playbook import Playbook, Rule

CATALOGUE = load_catalogue()
PROVIDERS = [playbook for playbook in CATALOGUE.playbooks if not playbook.generic]
HELPLESS = {
    Category.POLICY_BLOCKED,
    Category.ACCOUNT_SUSPENDED_OR_PLAN,
    Category.TLS_INVALID,
    Category.RATE_LIMITED,
    Category.PROVIDER_OUTAGE,
}


def _verdict(rule: Rule) -> Verdict:
    then, usual = rule.then, CATALOGUE.common.categories[rule.then.category]
    who = then.who or usual.who
    reconnect = then.reconnect if then.reconnect is not None else usual.reconnect and who is usual.who
    return Verdict(then.category, then.state or usual.state, who, reconnect)


def _every_rule() -> list[tuple[Playbook, Rule, Verdict, Words]]:
    told = []
    for playbook in CATALOGUE.playbooks:
        for rule in (*playbook.rules, *playbook.fallbacks):
            verdict = _verdict(rule)
            told.append((playbook, rule, verdict, explain(verdict, rule, playbook.name, playbook, CATALOGUE)))
    return told


EVERY_RULE = _every_rule()


def _texts(words: Words) -> list[str]:
    return [words.reason, words.explanation, words.customer_reason, *words.steps, *words.impact, *words.customer_steps]


def test_salesforce_is_told_in_the_words_of_the_prd() -> None:
    """PRD-101 §5.1 and §5.2, to the letter."""
    found = diagnose(
        Failure(provider="salesforce", surface=Surface.TOKEN_ENDPOINT, error_code="INVALID_GRANT"), CATALOGUE
    )
    assert found.provider_name == "Salesforce"
    assert found.reason == "OAuth token expired and refresh failed"
    assert found.impact == ("CRM data sync stopped", "Health score updates not pushing to Salesforce")
    assert found.steps == (
        "Customer needs to reauthorize Salesforce connection",
        "Direct them to: Settings > Integrations > Salesforce > Reconnect",
        "If issue persists, check Salesforce API permissions",
    )
    assert found.customer_steps == (
        "Log in to {product_name}",
        "Go to Settings > Integrations > Salesforce",
        'Click "Reconnect" and authorize the connection',
    )
    assert found.customer_minutes == 2


def test_every_rule_has_all_of_its_words() -> None:
    """No gap, no placeholder but the product's name, no sentence without an end."""
    for playbook, rule, _, words in EVERY_RULE:
        where = f"{playbook.name}: {rule.when}"
        assert all(text.strip() for text in _texts(words)), where
        assert words.steps, where
        assert words.customer_steps, where
        assert words.impact, where
        assert set(re.findall(r"\{[^}]*\}", " ".join(_texts(words)))) <= {"{product_name}"}, where
        assert words.explanation.endswith("."), where
        assert words.customer_reason.endswith("."), where


@pytest.mark.parametrize("playbook", [*PROVIDERS, None], ids=lambda playbook: playbook.name if playbook else "unknown")
def test_every_combination_has_words(playbook: Playbook | None) -> None:
    """Also those that no rule concludes yet."""
    for category, state, who, reconnect in itertools.product(Category, ConnectionState, WhoFixes, (False, True)):
        words = explain(Verdict(category, state, who, reconnect and who.is_customer), None, None, playbook, CATALOGUE)
        assert all(text.strip() for text in _texts(words)), (category, state, who)
        assert words.steps
        assert words.customer_steps


def test_customers_are_not_sent_to_work_for_us() -> None:
    """Where we, the provider or nobody has to act, the customer is asked for nothing, and the CSM is told so."""
    for playbook, rule, verdict, words in EVERY_RULE:
        if verdict.who.is_customer:
            continue
        where = f"{playbook.name}: {rule.when}"
        assert not verdict.reconnect, where
        assert words.customer_minutes == 0, where
        asked = " ".join(words.customer_steps).casefold()
        assert "reconnect" not in asked, where
        assert "nothing you need to do" in asked, where
        assert not any(step.startswith("Direct them to") for step in words.steps), where


def test_reconnecting_is_only_offered_where_it_helps() -> None:
    """Where reconnecting alone is enough the steps lead there; where it cannot help they do not."""
    for playbook, rule, verdict, words in EVERY_RULE:
        where = f"{playbook.name}: {rule.when}"
        asked = " ".join(words.customer_steps)
        if verdict.reconnect:
            assert '"Reconnect"' in asked, where
            assert 0 < words.customer_minutes <= 10, where
        elif verdict.category in HELPLESS:
            assert '"Reconnect"' not in asked, where


def test_who_acts_also_knows_how() -> None:
    """A customer who has to act gets at least two steps and is told how long they take."""
    for playbook, rule, verdict, words in EVERY_RULE:
        if verdict.who.is_customer:
            assert len(words.customer_steps) >= 2, f"{playbook.name}: {rule.when}"
            assert words.customer_minutes > 0, f"{playbook.name}: {rule.when}"
            assert "What to say" in words.explanation


def test_the_product_has_its_name() -> None:
    """`worded_for` fills every text, and whatever the name is, it stays a text."""
    found = diagnose(Failure(provider="slack", error_code="missing_scope"), CATALOGUE).worded_for("{provider} & <Sons>")
    assert "{product_name}" not in found.model_dump_json()
    assert "Log in to {provider} & <Sons>" in found.customer_steps[0]


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("salesforce", "Salesforce"),
        ("SALESFORCE", "Salesforce"),
        ("salesforce_sandbox_2", "Salesforce"),
        ("google_calendar", "Google Calendar"),
        ("Microsoft Entra", "Microsoft Entra"),
        ("microsoft-teams", "Microsoft Teams"),
        ("custom_api", "Custom API"),
        ("acme_crm_v2", "Acme CRM V2"),
        ("Teams Of Nine", "Teams Of Nine"),
        ("Accounts Payable", "Accounts Payable"),
        (None, "the connected service"),
        ("  ", "the connected service"),
    ],
)
def test_providers_are_known_by_many_names(provider: str | None, name: str) -> None:
    """By name, alias and integration type, whatever the case; the unknown get a readable name."""
    assert diagnose(Failure(provider=provider), CATALOGUE).provider_name == name


def test_impact_follows_the_integration_type() -> None:
    """What stopped is said in the words of what was connected; less is said when it only wavers."""
    stopped = diagnose(
        Failure(provider="google_calendar", surface=Surface.TOKEN_ENDPOINT, error_code="invalid_grant"), CATALOGUE
    )
    assert stopped.impact[0] == "Calendar events no longer sync"
    wavering = diagnose(Failure(provider="google_calendar", http_status=503), CATALOGUE)
    assert wavering.impact == ("Google Calendar data may arrive late; nothing is missing for good",)


def test_all_required_playbooks_exist() -> None:
    """The providers and protocols that have to have one."""
    names = (
        "salesforce slack google microsoft_entra hubspot zendesk atlassian github stripe shopify intercom quickbooks "
        "xero zoom notion dropbox okta webhook saml oidc custom_api"
    )
    assert all(CATALOGUE.find(name) is not None for name in names.split())
