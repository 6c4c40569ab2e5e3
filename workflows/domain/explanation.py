"""The words of a diagnosis: one cause, told to a CSM and to the customer (FR-2.2, FR-2.3, FR-3.1, §5.1, §5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workflows.domain.playbook import (
    Catalogue,
    Category,
    ConnectionState,
    Playbook,
    Rule,
    Texts,
    WhoFixes,
    name_key,
)

_ACRONYMS = {
    "ai", "api", "aws", "crm", "csv", "db", "edi", "erp", "ftp", "hr", "hris", "http", "https", "id", "imap", "it",
    "jwt", "ldap", "oidc", "rest", "saml", "scim", "sdk", "sftp", "smtp", "soap", "sql", "sso", "tls", "url", "xml",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be put into words."""

    category: Category
    state: ConnectionState
    who: WhoFixes
    reconnect: bool


@dataclass(frozen=True, slots=True)
class Words:
    """A diagnosis in words. Only `{product_name}` is left to fill in, by `str.replace`, when a message is rendered."""

    reason: str
    explanation: str
    steps: tuple[str, ...]
    impact: tuple[str, ...]
    customer_reason: str
    customer_steps: tuple[str, ...]
    customer_minutes: int


def provider_name(provider: str | None, playbook: Playbook | None) -> str:
    """The name for people: the playbook's, or a made-up one for an unknown type (`custom_api` is "Custom API")."""
    if playbook is not None:
        kind = _integration_type(provider, playbook)
        return (kind.name if kind else None) or playbook.name
    words = re.findall(r"[^\W_]+", (provider or "")[:60])
    if not words:
        return "the connected service"
    return " ".join(_humanised(word) for word in words)


def _humanised(word: str) -> str:
    if word.casefold() in _ACRONYMS:
        return word.upper()
    return word if not word.islower() else word.capitalize()


def _integration_type(provider: str | None, playbook: Playbook) -> Any:
    wanted = name_key((provider or "")[:200])
    return next((kind for name, kind in playbook.integration_types.items() if name_key(name) == wanted), None)


def explain(
    verdict: Verdict, rule: Rule | None, provider: str | None, playbook: Playbook | None, catalogue: Catalogue
) -> Words:
    """Puts a verdict into words, the most telling first: rule, playbook, category, then what is true for everybody."""
    layers = [*_layers(verdict, rule, playbook, catalogue)]
    name = provider_name(provider, playbook)
    places = {**catalogue.common.places, **(playbook.places if playbook else {})}

    def said(field: str) -> Any:
        return next((value for layer in layers if (value := getattr(layer, field)) is not None), "")

    def plain(text: str) -> str:
        for place, where in places.items():
            text = text.replace("{" + place + "}", where)
        begins_with_name = text.startswith("{provider}")
        text = text.replace("{provider}", name)
        return text[:1].upper() + text[1:] if begins_with_name else text

    def lines(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(plain(text) for text in texts)

    category = catalogue.common.categories[verdict.category]
    meanings = {**catalogue.common.meaning, **(playbook.meaning if playbook else {}), **category.meaning}
    sentences = (said("explanation"), meanings[verdict.state], catalogue.common.say[verdict.who])
    return Words(
        reason=plain(said("reason")),
        explanation=plain(" ".join(sentence.strip() for sentence in sentences)),
        steps=lines(said("steps")),
        impact=lines(_impact(verdict, provider, playbook, catalogue)),
        customer_reason=plain(said("customer_reason")),
        customer_steps=lines(said("customer_steps")),
        customer_minutes=said("customer_minutes"),
    )


def _layers(verdict: Verdict, rule: Rule | None, playbook: Playbook | None, catalogue: Catalogue) -> Iterator[Texts]:
    category = catalogue.common.categories[verdict.category]
    usual = verdict.who is category.who and verdict.reconnect == category.reconnect
    if rule is not None:
        yield rule.texts
    if playbook is not None:
        yield playbook.texts.get(f"{verdict.category}/{verdict.who}", Texts())
        if usual:
            yield playbook.texts.get(verdict.category, Texts())
    if verdict.reconnect:
        yield category.reconnecting.get(verdict.who, Texts())
    yield category.by_who.get(verdict.who, Texts())
    # What was written for another who still tells the cause, but not what to do about it.
    yield (
        category.texts
        if usual
        else category.texts.model_copy(update={"steps": None, "customer_steps": None, "customer_minutes": None})
    )
    if verdict.reconnect:
        yield catalogue.common.reconnect
    yield catalogue.common.by_who[verdict.who]


def _impact(verdict: Verdict, provider: str | None, playbook: Playbook | None, catalogue: Catalogue) -> tuple[str, ...]:
    """What stopped: by category (single sign-on), integration type or provider; less is said if it only wavers."""
    impact = tuple(catalogue.common.categories[verdict.category].impact.get(verdict.state, ()))
    if not impact and verdict.state is ConnectionState.DISCONNECTED and playbook is not None:
        kind = _integration_type(provider, playbook)
        impact = (kind.impact if kind else ()) or playbook.impact
    return impact or tuple(catalogue.common.impact[verdict.state])
