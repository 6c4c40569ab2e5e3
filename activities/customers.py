"""Customers, their people and their integrations as the API takes them (contract: the two PUTs)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from activities.events import IntegrationType
from activities.probes.monitor import HttpUrl, Monitor

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Deliberately stricter than RFC 5322: no quoted local parts, no comments, no addresses in square brackets.
_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?)+")
_MOST_CONTACTS = 50


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    return text


def _email(address: str) -> str:
    local, _, domain = address.rpartition("@")
    dotted = ("." in domain or domain == "localhost") and ".." not in address and not address.endswith(".")
    if not dotted or local.startswith(".") or local.endswith(".") or not _EMAIL.fullmatch(address):
        raise ValueError("expected an email address such as bob@example.com (an international domain in its xn-- form)")
    return address


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, unsafe, or a folder of zones
        raise ValueError("expected an IANA time zone such as Europe/Berlin") from None
    return name


Line: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
Email: TypeAlias = Annotated[
    str, StringConstraints(min_length=3, max_length=254, strip_whitespace=True), AfterValidator(_email)
]
SlackUser: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[UW][A-Z0-9]{2,40}$")]
TimeZone: TypeAlias = Annotated[str, StringConstraints(max_length=100), AfterValidator(_time_zone)]
Locale: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$")]


class _Write(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Person(_Write):
    name: Line | None = Field(None, examples=["Dana Kim"])
    email: Email | None = Field(None, examples=["dana@acme.example"])
    slack_user_id: SlackUser | None = Field(None, examples=["U0DANA123"])
    timezone: TimeZone | None = Field(None, examples=["America/New_York"])

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        if not (self.name or self.email or self.slack_user_id):
            raise PydanticCustomError("field", "give at least a name, an email or a Slack user id", {"field": "email"})
        return self


class ManagerWrite(_Person):
    """The CSM's manager: told when an incident escalates."""


class CsmWrite(_Person):
    """The Customer Success Manager: told of every incident, in Slack if they are there, else by email."""

    manager: ManagerWrite | None = None


class ContactWrite(_Write):
    """Somebody at the customer who can mend an integration; the first with an address is mailed."""

    name: Line | None = Field(None, examples=["Bob Smith"])
    email: Email | None = Field(None, examples=["bob@techcorp.example"])
    role: Line | None = Field(None, examples=["IT Admin"])
    timezone: TimeZone | None = Field(None, examples=["America/Chicago"])
    locale: Locale | None = Field(None, examples=["en-US"])

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        if not (self.name or self.email):
            raise PydanticCustomError("field", "give at least a name or an email", {"field": "email"})
        return self


class CustomerWrite(_Write):
    """A customer. A PUT replaces it: what is left out returns to its default, except health_score, which stays."""

    name: Line = Field(examples=["TechCorp"])
    arr: Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=2, allow_inf_nan=False)] | None = Field(
        None, description="Annual recurring revenue; absent counts as 0 when severity is judged.", examples=[200_000]
    )
    health_score: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None,
        description="The base; adjustments for open incidents are added to it. Absent: stays as it is, at first 100.",
    )
    csm: CsmWrite | None = None
    technical_contacts: Annotated[tuple[ContactWrite, ...], Field(max_length=_MOST_CONTACTS)] = Field(
        (), description="In order of preference."
    )

    @model_validator(mode="after")
    def _each_address_once(self) -> Self:
        seen = set()
        for i, contact in enumerate(self.technical_contacts):
            address = (contact.email or "").lower()
            if address and address in seen:
                raise PydanticCustomError(
                    "field", "this address is listed twice", {"field": f"technical_contacts[{i}].email"}
                )
            seen.add(address)
        return self


class IntegrationWrite(_Write):
    """An integration. A PUT replaces it: what is left out returns to its default, except secrets, which stay."""

    display_name: Line | None = Field(None, examples=["Salesforce CRM Sync"])
    is_critical: bool = False
    self_serve: bool = Field(True, description="Whether the customer can reconnect it without our help.")
    reconnect_url: HttpUrl | None = Field(
        None, description="Where the product starts its own reconnect flow; receives `return_url`."
    )
    monitor: Monitor | None = Field(
        None,
        description="Absent: no monitor, its secrets are kept for the next one. null: the secrets are forgotten too.",
    )


__all__ = [
    "ContactWrite", "CsmWrite", "CustomerWrite", "Email", "IntegrationType", "IntegrationWrite", "Line", "ManagerWrite",
]  # fmt: skip
