"""The queries of lists. An unknown or misspelt parameter is refused: ignored, it would show too much."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from activities.db.fleet import FleetWanted, Show, Sort
from activities.db.overview import CustomerSort, CustomersWanted
from activities.db.reading import Wanted
from starter.api.paths import Text
from workflows.contracts import Status
from workflows.domain.policy import Severity
from workflows.domain.status import HealthStatus


class Paged(BaseModel):
    """What every list takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    # Where the rows are in the order of a name, a cursor holds it: 200 characters of up to four bytes, in base64.
    cursor: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        None, description="`next_cursor` of the page before, with the same filters."
    )

    def scope(self, list_: str, only: UUID | None) -> str:
        """What a cursor of this list is good for: these filters, this key's view."""
        filters = self.model_dump_json(exclude={"limit", "cursor"})
        return f"{list_}/{only}/{hashlib.sha256(filters.encode()).hexdigest()}"


class _Filter(Paged):
    customer: Text | None = Field(None, description="The customer's external id.", examples=["techcorp"])
    integration_type: Text | None = Field(None, examples=["salesforce"])


class IntegrationFilter(_Filter):
    status: list[HealthStatus] | None = Field(None, description="Several are allowed: `status=…&status=…`.")
    removed: bool = Field(False, description="Show those that were removed, too.")

    def wanted(self, only: UUID | None, after: tuple[datetime, UUID] | None) -> Wanted:
        """One row more than asked for shows whether there is a next page."""
        return Wanted(
            only=only,
            status=self.status,
            customer=self.customer,
            integration_type=self.integration_type,
            removed=self.removed,
            after=after,
            limit=self.limit + 1,
        )


class IncidentFilter(_Filter):
    status: list[Status] | None = Field(None, description="Several are allowed: `status=…&status=…`.")
    severity: list[Severity] | None = None

    def wanted(self, only: UUID | None, after: tuple[datetime, UUID] | None) -> Wanted:
        """One row more than asked for shows whether there is a next page."""
        return Wanted(
            only=only,
            status=self.status,
            severity=self.severity,
            customer=self.customer,
            integration_type=self.integration_type,
            after=after,
            limit=self.limit + 1,
        )


class _Searched(Paged):
    """Of a list that people search, by a form."""

    csm: Text | None = Field(None, description="The CSM's address in lower case, or `-`: customers without one.")
    q: Annotated[Text, StringConstraints(max_length=200)] | None = Field(
        None, description="Part of a customer's or integration's name or id.", examples=["acme"]
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_chosen(cls, given: Any) -> Any:
        """A form sends every field; an empty one is none."""
        return {name: value for name, value in given.items() if value not in ("", [""])}

    @property
    def csm_key(self) -> str | None:
        """As rows have it: empty for customers without one."""
        return "" if self.csm == "-" else self.csm


class FleetFilter(_Filter, _Searched):
    show: Show = Field(Show.DOWN, description="`down` has an open incident, `degraded` limps without one yet.")
    severity: list[Severity] | None = None
    sort: Sort | None = Field(None, description="If not given: what is down by `severity`, all else by `customer`.")

    @property
    def order(self) -> Sort:
        return self.sort or (Sort.SEVERITY if self.show is Show.DOWN else Sort.CUSTOMER)

    def wanted(self, only: UUID | None, after: Sequence[str] | None) -> FleetWanted:
        """One row more than asked for shows whether there is a next page."""
        return FleetWanted(
            only=only,
            show=self.show,
            severity=self.severity,
            provider=self.integration_type,
            csm=self.csm_key,
            customer=self.customer,
            search=self.q,
            sort=self.order,
            after=after,
            limit=self.limit + 1,
        )


class CustomersFilter(_Searched):
    sort: CustomerSort = CustomerSort.NAME

    def wanted(self, only: UUID | None, after: Sequence[str] | None) -> CustomersWanted:
        """One row more than asked for shows whether there is a next page."""
        return CustomersWanted(
            only=only, search=self.q, csm=self.csm_key, sort=self.sort, after=after, limit=self.limit + 1
        )
