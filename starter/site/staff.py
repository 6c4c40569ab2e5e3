"""Who of those that the identity provider lets in may see the pages, and who may act: two lists in the settings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """A viewer sees; an operator also acts."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Staff:
    """Addresses (`dana@acme.example`), domains (`acme.example`), or `*` for whomever the provider lets in."""

    operators: frozenset[str] = frozenset()
    viewers: frozenset[str] = frozenset()

    @classmethod
    def listed(cls, operators: str | None, viewers: str | None) -> Staff:
        """From the settings: entries with commas between them."""
        return cls(_entries(operators or ""), _entries(viewers or ""))

    def role_of(self, address: str) -> Role | None:
        """None for somebody who is on neither list."""
        if _is_on(self.operators, address):
            return Role.OPERATOR
        return Role.VIEWER if _is_on(self.viewers, address) else None


def _entries(text: str) -> frozenset[str]:
    return frozenset(entry.strip().lower().removeprefix("@") for entry in text.split(",")) - {""}


def _is_on(entries: frozenset[str], address: str) -> bool:
    address = address.lower()
    return not entries.isdisjoint({"*", address, address.rpartition("@")[2]})
