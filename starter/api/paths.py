"""Names of customers and integrations as they stand in an address or a query."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import Path, Query
from pydantic import AfterValidator


def storable(text: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _name(**options: Any) -> Any:
    return Path(min_length=1, **options)


ExternalId: TypeAlias = Annotated[str, AfterValidator(storable), _name(max_length=200, examples=["techcorp"])]
TypeInPath: TypeAlias = Annotated[str, AfterValidator(storable), _name(max_length=100, examples=["salesforce"])]
IdInPath: TypeAlias = Annotated[str, AfterValidator(storable), _name(max_length=200, examples=["crm-sync"])]
Text: TypeAlias = Annotated[str, AfterValidator(storable)]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=500)]
