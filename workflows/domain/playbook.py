"""The rule language of the provider playbooks: what a rule may ask, what it concludes, which words go with it.

The playbooks themselves are data: `activities/playbooks/*.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from workflows.domain.failure_body import Evidence, Surface, code_key
from workflows.domain.phrase import Phrase, compile_phrase


class Category(StrEnum):
    """The cause, in the vocabulary of the contract."""

    TOKEN_EXPIRED = "token_expired"  # noqa: S105  (a cause, not a secret)
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    REFRESH_FAILED = "refresh_failed"
    CREDENTIALS_INVALID = "credentials_invalid"
    CLIENT_SECRET_EXPIRED = "client_secret_expired"  # noqa: S105
    APP_MISCONFIGURED = "app_misconfigured"
    CONSENT_OR_SCOPE_MISSING = "consent_or_scope_missing"
    POLICY_BLOCKED = "policy_blocked"
    ACCOUNT_SUSPENDED_OR_PLAN = "account_suspended_or_plan"
    USER_DEACTIVATED = "user_deactivated"
    RATE_LIMITED = "rate_limited"
    PROVIDER_OUTAGE = "provider_outage"
    ENDPOINT_UNREACHABLE = "endpoint_unreachable"
    ENDPOINT_GONE = "endpoint_gone"
    NOT_FOUND = "not_found"
    WEBHOOK_REJECTED = "webhook_rejected"
    TLS_INVALID = "tls_invalid"
    CLOCK_SKEW = "clock_skew"
    SSO_MISCONFIGURED = "sso_misconfigured"
    SSO_CERT_EXPIRED = "sso_cert_expired"
    UNKNOWN = "unknown"


class ConnectionState(StrEnum):
    """What the failure says about the connection: dead, partly working, or likely to work on the next try."""

    DISCONNECTED = "disconnected"
    DEGRADED = "degraded"
    TRANSIENT = "transient"


class WhoFixes(StrEnum):
    """Who has to act before it works again."""

    CUSTOMER_USER = "customer_user"
    CUSTOMER_ADMIN = "customer_admin"
    OUR_ENGINEERING = "our_engineering"
    PROVIDER = "provider"
    NOBODY = "nobody (retry)"

    @property
    def is_customer(self) -> bool:
        return self in (WhoFixes.CUSTOMER_USER, WhoFixes.CUSTOMER_ADMIN)


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str | int) else value


def _as_statuses(value: object) -> object:
    """`401`, `"5xx"` or a list of both, as a set of statuses."""
    statuses: set[object] = set()
    for item in value if isinstance(value, list | tuple | set | frozenset) else [value]:
        if isinstance(item, str) and re.fullmatch(r"[1-5]xx", item):
            statuses.update(range(int(item[0]) * 100, int(item[0]) * 100 + 100))
        else:
            statuses.add(item)
    return frozenset(statuses)


def _as_codes(value: object) -> object:
    items = _as_tuple(value)
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("codes are quoted texts")
    return frozenset(code_key(item) for item in items)


Codes = Annotated[frozenset[str], BeforeValidator(_as_codes)]
Statuses = Annotated[frozenset[int], BeforeValidator(_as_statuses)]
Surfaces = Annotated[tuple[Surface, ...], BeforeValidator(_as_tuple)]
Phrases = Annotated[tuple[Annotated[Phrase, BeforeValidator(compile_phrase)], ...], BeforeValidator(_as_tuple)]
Lines = tuple[Annotated[str, Field(min_length=1, max_length=400)], ...]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class When(_Strict):
    """All that is given must hold; within one list any item is enough."""

    surface: Surfaces = ()
    unless_surface: Surfaces = ()
    status: Statuses = frozenset()
    unless_status: Statuses = frozenset()
    code: Codes = frozenset()
    text: Phrases = ()
    unless: Phrases = ()
    no_detail: bool = False  # only if the failure carries neither a code nor a word

    def holds(self, evidence: Evidence) -> bool:
        return (
            (not self.surface or evidence.surface in self.surface)
            and evidence.surface not in self.unless_surface
            and (not self.status or evidence.status in self.status)
            and evidence.status not in self.unless_status
            and (not self.code or not self.code.isdisjoint(evidence.codes))
            and (not self.text or any(phrase.found_in(evidence.text) for phrase in self.text))
            and not any(phrase.found_in(evidence.text) for phrase in self.unless)
            and not (self.no_detail and (evidence.text or evidence.codes))
        )


class Then(_Strict):
    """A conclusion; what it leaves out is the category's usual verdict."""

    category: Category
    state: ConnectionState | None = None
    who: WhoFixes | None = None
    reconnect: bool | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _only_customers_reconnect(self) -> Self:
        if self.reconnect and self.who is not None and not self.who.is_customer:
            raise ValueError(f"{self.who} cannot reconnect a customer's integration")
        return self


class Texts(_Strict):
    """Words for people; what a level leaves out comes from the level under it. The only placeholders are `{provider}`,
    a playbook's `places`, and `{product_name}`, which stays in place until a message is rendered."""

    reason: str | None = None
    explanation: str | None = None
    steps: Lines | None = None
    customer_reason: str | None = None
    customer_steps: Lines | None = None
    customer_minutes: Annotated[int, Field(ge=0, le=600)] | None = None


class Rule(_Strict):
    when: When
    then: Then
    texts: Texts = Texts()

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not any(getattr(self.when, asked) for asked in ("code", "text", "status", "surface", "no_detail")):
            raise ValueError("a rule that asks nothing would match everything")
        return self


class IntegrationType(_Strict):
    name: str | None = None
    impact: Lines = ()


class Playbook(_Strict):
    """What is known about one provider (or, with `generic`, about a protocol that many share)."""

    name: str
    aliases: tuple[str, ...] = ()
    integration_types: Mapping[str, IntegrationType | None] = {}
    generic: bool = False
    hosted: bool = True  # a service that all customers share; false where each customer has a server of their own
    leads_on: Surfaces = ()  # a generic playbook is asked before the others on these surfaces,
    rank: int = 50  # and in this order
    surface: Surface | None = None  # assumed when a failure names none
    connected_by: WhoFixes | None = None  # who has to connect it again, where the generic rules would ask any user
    receives: WhoFixes | None = None  # whose server its webhooks go to, where the generic rules assume the customer's
    code_prefix: str = ""  # a bare number is also read as a code with this prefix (AADSTS)
    places: Mapping[str, str] = {}
    impact: Lines = ()  # of a disconnection
    meaning: Mapping[ConnectionState, str] = {}
    texts: Mapping[str, Texts] = {}  # by "category", or by "category/who_fixes"
    rules: tuple[Rule, ...] = ()
    fallbacks: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _texts_have_known_keys(self) -> Self:
        for key in self.texts:
            category, _, who = key.partition("/")
            if category not in set(Category) or who not in {"", *WhoFixes}:
                raise ValueError(f"texts.{key} is neither a category nor category/who_fixes")
        return self

    @property
    def is_named(self) -> bool:
        """Whether an integration can be called so; a generic playbook without other names is only rules."""
        return not self.generic or bool(self.aliases or self.integration_types)

    def recognises(self, evidence: Evidence) -> bool:
        """Whether the failure carries codes that only this provider gives, whatever it was said to be."""
        prefix = self.code_prefix
        return bool(prefix) and any(code.startswith(prefix) for code in evidence.codes)


class CategoryDefaults(_Strict):
    """A category's usual verdict, and its words by who fixes it."""

    state: ConnectionState
    who: WhoFixes
    reconnect: bool = False
    texts: Texts
    meaning: Mapping[ConnectionState, str] = {}  # where it is the same at every provider
    impact: Mapping[ConnectionState, Lines] = {}
    by_who: Mapping[WhoFixes, Texts] = {}
    reconnecting: Mapping[WhoFixes, Texts] = {}  # where that person also has to connect again


class CommonTexts(_Strict):
    """`common/*.yaml`: everything that is said the same way for every provider."""

    categories: Mapping[Category, CategoryDefaults]
    by_who: Mapping[WhoFixes, Texts]
    reconnect: Texts
    meaning: Mapping[ConnectionState, str]
    say: Mapping[WhoFixes, str]
    places: Mapping[str, str]
    impact: Mapping[ConnectionState, Lines]

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for field, keys in (("categories", Category), ("by_who", WhoFixes), ("meaning", ConnectionState),
                            ("say", WhoFixes), ("impact", ConnectionState)):  # fmt: skip
            missing = [key.value for key in keys if key not in getattr(self, field)]
            if missing:
                raise ValueError(f"{field} lacks {', '.join(missing)}")
        return self


@dataclass(frozen=True)
class Catalogue:
    """Every playbook, and the words that they share. Made by `activities.playbooks.load_catalogue`."""

    common: CommonTexts
    playbooks: tuple[Playbook, ...]
    by_name: Mapping[str, Playbook]
    by_prefix: Mapping[str, Playbook]  # without the integration types, some of which are everyday words ("teams")

    @classmethod
    def of(cls, common: CommonTexts, playbooks: Mapping[str, Playbook]) -> Catalogue:
        """Raises ValueError if two playbooks claim the same name, or a text has an unknown placeholder."""
        known = {*common.places, "provider", "product_name"}
        by_name: dict[str, Playbook] = {}
        by_prefix: dict[str, Playbook] = {}
        for file, playbook in playbooks.items():
            unknown = _placeholders(playbook.model_dump()) | set(playbook.places) - set(common.places)
            if unknown - known:
                raise ValueError(f"{file}.yaml: unknown placeholder {', '.join(sorted(unknown - known))}")
            own = {name_key(name) for name in (file, playbook.name, *playbook.aliases)} if playbook.is_named else set()
            by_prefix.update(dict.fromkeys(own, playbook))
            for name in own | {name_key(kind) for kind in playbook.integration_types}:
                if by_name.setdefault(name, playbook) is not playbook:
                    raise ValueError(f"{file}.yaml: {name!r} already belongs to {by_name[name].name}")
        return cls(common, tuple(playbooks.values()), by_name, by_prefix)

    def without(self, name: str) -> Catalogue:
        """This catalogue with one provider's playbook removed: shows what the generic layer knows by itself."""
        gone = self.by_name.get(name_key(name))
        if gone is None or gone.generic:
            return self
        left = {name: playbook for name, playbook in self.by_name.items() if playbook is not gone}
        prefixes = {name: playbook for name, playbook in self.by_prefix.items() if playbook is not gone}
        return Catalogue(self.common, tuple(p for p in self.playbooks if p is not gone), left, prefixes)

    def find(self, provider: str | None) -> Playbook | None:
        """The playbook of a provider name or an integration type; `salesforce_sandbox_2` is still Salesforce."""
        words = re.findall(r"[^\W_]+", (provider or "")[:200].casefold())
        prefixes = ("".join(words[:length]) for length in range(len(words) - 1, 0, -1))
        shorter = (self.by_prefix[prefix] for prefix in prefixes if prefix in self.by_prefix)
        return self.by_name.get("".join(words)) or next(shorter, None)

    def generic_for(self, surface: Surface) -> list[Playbook]:
        generic = [playbook for playbook in self.playbooks if playbook.generic]
        return sorted(generic, key=lambda playbook: (surface not in playbook.leads_on, playbook.rank))


def _placeholders(value: object) -> set[str]:
    if isinstance(value, dict):
        return {name for inner in value.values() for name in _placeholders(inner)}
    if isinstance(value, list | tuple):
        return {name for inner in value for name in _placeholders(inner)}
    return set(re.findall(r"\{(\w*)\}", value)) if isinstance(value, str) else set()


def name_key(name: str) -> str:
    return "".join(re.findall(r"[^\W_]+", name.casefold()))
