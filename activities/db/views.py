"""Loads an incident with everything that its readers need."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any
from uuid import UUID

from activities.db.incidents import UnknownIncidentError
from activities.db.pool import Pool
from activities.db.sql import queries
from activities.views import IncidentView, Person
from workflows.contracts import Resolution
from workflows.domain.policy import Addressee, Policy, Role

_WORDS = (
    "provider_name", "reason", "explanation", "impact", "steps", "customer_reason", "customer_steps",
    "customer_minutes", "self_serve_reconnect",
)  # fmt: skip
_SHOWN = {Resolution.VERIFIED, Resolution.REPORTED}


class ViewLoader:
    """Reads views; what it returns carries names and addresses and stays inside activities and pages."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self, incident: UUID) -> IncidentView:
        """One incident. Raises UnknownIncidentError."""
        return (await self.load_with_policy(incident))[0]

    async def load_with_policy(self, incident: UUID) -> tuple[IncidentView, Policy]:
        """One incident and the policy that it started with. Raises UnknownIncidentError."""
        row = await self._pool.fetchrow(queries("incidents")["view"], incident)
        if row is None:
            raise UnknownIncidentError(str(incident))
        policy = Policy.stored(row["policy"])
        people = _by_role(row["people"])
        own = next(iter(people[Role.CSM]), None)
        stand_in = None if own and (own.slack or own.email) else addressee(policy.people.fallback_csm)
        fields = {name: value for name, value in row.items() if name in IncidentView.model_fields}
        fields |= {name: row["diagnosis"][name] for name in _WORDS}
        fields |= {
            "csm": stand_in or own,
            "csm_stands_in": own is not None and stand_in is not None,
            "csm_manager": next(iter(people[Role.CSM_MANAGER]), None),
            "contacts": tuple(people[Role.TECHNICAL_CONTACT]),
            "engineering_named": addressee(policy.people.engineering) is not None,
            "auto_send": policy.customer.auto_send,
            "acknowledged_by": _called(row["acknowledged_by"], people),
            "closed_by": _called(row["closed_by"], people),
            "hinted_by": _called(row["hinted_by"], people),
        }
        return IncidentView.model_validate(fields), policy


def addressee(fixed: Addressee) -> Person | None:
    """A person whom only the policy names; None if unset."""
    if not (fixed.slack or fixed.email):
        return None
    return Person(slack=fixed.slack or None, email=fixed.email or None)


def person_for(role: str, view: IncidentView, policy: Policy, person_id: UUID | None = None) -> Person | None:
    """Who has this role for this incident."""
    match role:
        case Role.CSM:
            return view.csm
        case Role.CSM_MANAGER:
            return view.csm_manager
        case Role.TECHNICAL_CONTACT:
            return next((c for c in view.contacts if person_id in {None, c.id}), None)
    return addressee(policy.people.cs_leadership if role == Role.CS_LEADERSHIP else policy.people.engineering)


_SLACK_ID = re.compile(r"[UW][A-Z0-9]{5,}")


def _called(by: str | None, people: dict[str, list[Person]]) -> str | None:
    """Who decided something, as readers know them: by name, if it is one of the customer's people."""
    known = {key: p.name for group in people.values() for p in group if p.name for key in (p.email, p.slack) if key}
    if by is None or by in known:
        return known[by] if by else None
    return "a colleague" if _SLACK_ID.fullmatch(by) else by


def _by_role(people: list[dict[str, Any]]) -> dict[str, list[Person]]:
    found: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        found[person["role"]].append(Person.model_validate(person))
    return found
