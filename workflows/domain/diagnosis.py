"""From a failure to its cause, its state, who can fix it, and the words for it (FR-1.1 to FR-1.4, US-2, US-3).

Rules are asked in four rounds, and the first that holds decides:

1. the provider's own rules: codes and wordings that mean something at this provider (and those of a provider whose
   unmistakable codes appear: an OIDC sign-in may well fail with Microsoft's AADSTS numbers)
2. the generic rules (OAuth, HTTP, TLS, SAML, OIDC, webhooks), those of the failure's surface first
3. the provider's fallbacks: what a vague code or a bare status usually means there
4. the generic fallbacks

What nobody has seen is `unknown`, and asks nobody to do anything yet. A call that was cut off, or a server that is down
or says "temporarily", is not believed when only words, or a code that may mean anything, speak of a dead connection: a
passing disturbance must send no customer to work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from workflows.domain.disturbance import VAGUE_CODES, is_passing
from workflows.domain.explanation import Verdict, explain, provider_name
from workflows.domain.failure_body import Evidence, Failure, Surface, read_evidence
from workflows.domain.playbook import Catalogue, Category, ConnectionState, Playbook, Rule, WhoFixes

__all__ = ["Catalogue", "Category", "ConnectionState", "Diagnosis", "Failure", "Surface", "WhoFixes", "diagnose"]

# Lower than what the rounds reached on known failures (0.85: 94 to 98 %, 0.6: 70 to 88 %): unseen ones are harder.
_CONFIDENCE = (0.95, 0.85, 0.75, 0.6)
_UNKNOWN_CONFIDENCE = 0.2

# No customer can repair the servers of a provider that all of them share, or our way to it.
_NOT_THEIRS = {Category.ENDPOINT_UNREACHABLE: WhoFixes.NOBODY, Category.TLS_INVALID: WhoFixes.PROVIDER}

# What a failed delivery says of the server that it was meant for.
_DELIVERY = {Category.WEBHOOK_REJECTED, Category.ENDPOINT_UNREACHABLE, Category.ENDPOINT_GONE, Category.TLS_INVALID}


class Diagnosis(BaseModel):
    """A failure explained. Texts may contain `{product_name}`, to be filled with `str.replace` and then escaped."""

    model_config = ConfigDict(frozen=True)

    category: Category
    connection_state: ConnectionState
    who_fixes: WhoFixes
    self_serve_reconnect: bool  # connecting again is by itself enough
    confidence: Annotated[float, Field(ge=0, le=1)]
    provider_name: str
    reason: str  # one line, after "Error:" (PRD-101 §5.1)
    explanation: str  # for the CSM: what happened, why, what it means, what to say
    steps: tuple[str, ...]  # for the CSM
    impact: tuple[str, ...]
    customer_reason: str  # after "What happened:" (PRD-101 §5.2)
    customer_steps: tuple[str, ...]
    customer_minutes: int

    @property
    def is_rate_limit(self) -> bool:
        """Rate limits never count as a failure in a row."""
        return self.category is Category.RATE_LIMITED

    def worded_for(self, product_name: str) -> Diagnosis:
        """With the product's name in every text; nothing else in them is a placeholder."""

        def filled(value: object) -> object:
            if isinstance(value, tuple):
                return tuple(filled(line) for line in value)
            return value.replace("{product_name}", product_name) if type(value) is str else value

        return self.model_copy(update={name: filled(value) for name, value in self})

    @property
    def is_terminal(self) -> bool:
        """Waiting does not help: one confirmation is enough."""
        return self.connection_state is ConnectionState.DISCONNECTED


def diagnose(failure: Failure, catalogue: Catalogue) -> Diagnosis:
    """Total: never raises, whatever the failure contains."""
    playbook = catalogue.find(failure.provider)
    evidence = _evidence(failure, playbook)
    rule, confidence = _first_match(evidence, playbook, catalogue)
    verdict = _verdict(rule, catalogue)
    if playbook is not None and playbook.connected_by and _asks_any_user(rule, verdict, playbook):
        verdict = replace(verdict, who=playbook.connected_by)
    if playbook is not None and playbook.receives and _is_delivery(verdict, evidence.surface):
        verdict = replace(verdict, who=playbook.receives)
    if playbook is not None and _is_beyond_them(rule, verdict, evidence.surface, playbook):
        verdict = Verdict(verdict.category, ConnectionState.TRANSIENT, _NOT_THEIRS[verdict.category], reconnect=False)
    words = explain(verdict, rule, failure.provider, playbook, catalogue)
    return Diagnosis(
        category=verdict.category,
        connection_state=verdict.state,
        who_fixes=verdict.who,
        self_serve_reconnect=verdict.reconnect,
        confidence=confidence,
        provider_name=provider_name(failure.provider, playbook),
        reason=words.reason,
        explanation=words.explanation,
        steps=words.steps,
        impact=words.impact,
        customer_reason=words.customer_reason,
        customer_steps=words.customer_steps,
        customer_minutes=words.customer_minutes,
    )


def _evidence(failure: Failure, playbook: Playbook | None) -> Evidence:
    if playbook is None:
        return read_evidence(failure)
    evidence = read_evidence(failure.model_copy(update={"surface": failure.surface or playbook.surface}))
    if playbook.code_prefix:
        numbered = {playbook.code_prefix + code for code in evidence.codes if code.isdigit()}
        evidence = replace(evidence, codes=evidence.codes | numbered)
    return evidence


def _first_match(evidence: Evidence, playbook: Playbook | None, catalogue: Catalogue) -> tuple[Rule | None, float]:
    passing = is_passing(evidence)
    for confidence, rules in zip(_CONFIDENCE, _rounds(evidence, playbook, catalogue), strict=True):
        for rule in rules:
            if rule.when.holds(evidence) and not (passing and _is_hearsay(rule, evidence, catalogue)):
                return rule, rule.then.confidence if rule.then.confidence is not None else confidence
    return None, _UNKNOWN_CONFIDENCE


def _is_hearsay(rule: Rule, evidence: Evidence, catalogue: Catalogue) -> bool:
    """Whether a rule ends the connection without having seen a code that can mean nothing else."""
    ends = _verdict(rule, catalogue).state is ConnectionState.DISCONNECTED
    return ends and rule.when.code & evidence.codes <= VAGUE_CODES


def _rounds(evidence: Evidence, named: Playbook | None, catalogue: Catalogue) -> Iterator[Iterator[Rule]]:
    own = [named] if named is not None and not named.generic else []
    own += [other for other in catalogue.playbooks if other is not named and other.recognises(evidence)]
    generic = catalogue.generic_for(evidence.surface)
    yield (rule for playbook in own for rule in playbook.rules)
    yield (rule for playbook in generic for rule in playbook.rules)
    yield (rule for playbook in own for rule in playbook.fallbacks)
    yield (rule for playbook in generic for rule in playbook.fallbacks)


def _verdict(rule: Rule | None, catalogue: Catalogue) -> Verdict:
    if rule is None:
        usual = catalogue.common.categories[Category.UNKNOWN]
        return Verdict(Category.UNKNOWN, usual.state, usual.who, usual.reconnect)
    then, usual = rule.then, catalogue.common.categories[rule.then.category]
    who = then.who or usual.who
    # A category is reconnected by itself only where its usual person acts; another who has to say so in the rule.
    reconnect = then.reconnect if then.reconnect is not None else usual.reconnect and who is usual.who
    return Verdict(then.category, then.state or usual.state, who, reconnect)


def _asks_any_user(rule: Rule | None, verdict: Verdict, playbook: Playbook) -> bool:
    """Whether a generic rule lets any user repair what one person set up: a dead refresh token or a refused consent are
    that person's own."""
    own = rule in (*playbook.rules, *playbook.fallbacks)
    set_up = verdict.category in (Category.CREDENTIALS_INVALID, Category.TOKEN_REVOKED)
    shared = set_up or verdict.state is ConnectionState.DEGRADED
    return shared and verdict.reconnect and not own and verdict.who is WhoFixes.CUSTOMER_USER


def _is_delivery(verdict: Verdict, surface: Surface) -> bool:
    return surface is Surface.WEBHOOK and verdict.category in _DELIVERY


def _is_beyond_them(rule: Rule | None, verdict: Verdict, surface: Surface, playbook: Playbook) -> bool:
    """Whether a network failure concerns the provider's own servers. Deliveries to the customer's server do not, and
    what a playbook itself says of its provider stands."""
    shared = playbook.hosted and not playbook.generic and surface is not Surface.WEBHOOK
    return shared and verdict.category in _NOT_THEIRS and rule not in (*playbook.rules, *playbook.fallbacks)
