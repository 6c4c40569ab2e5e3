"""Who may press the buttons of an incident, and what people are called in what we answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from activities import phrases
from activities.rendering_safety import for_slack, one_line
from activities.views import IncidentView, Person
from workflows.domain.policy import Addressee, Policy

_SLACK_USER = re.compile(r"[UW][A-Z0-9]{2,40}")


def staff(view: IncidentView) -> list[Person]:
    """The CSM (or who stands in) and the CSM's manager."""
    return [person for person in (view.csm, view.csm_manager) if person]


def find(user: str, email: str | None, people: list[Person]) -> Person | None:
    """The person with this Slack id, or else with this address."""
    by_id = next((p for p in people if p.slack == user), None)
    return by_id or next((p for p in people if email and p.email and p.email.lower() == email.lower()), None)


def is_leadership(user: str, email: str | None, channel: str, policy: Policy) -> bool:
    """CS leadership and engineering by policy: a person, or whoever is in their channel."""
    return any(_is(fixed, user, email, channel) for fixed in _fixed(policy))


def _fixed(policy: Policy) -> Iterator[Addressee]:
    yield policy.people.cs_leadership
    yield policy.people.engineering
    yield policy.people.fallback_csm


def _is(fixed: Addressee, user: str, email: str | None, channel: str) -> bool:
    if fixed.slack and fixed.slack in {user, channel}:
        return True
    return bool(fixed.email and email and fixed.email.lower() == email.lower())


def called(who: str | None, view: IncidentView) -> str:
    """What a recorded name, address or Slack id is called, safe to print."""
    if not who:
        return "somebody"
    known = {p.slack: p for p in staff(view)} | {p.email: p for p in staff(view)}
    person = known.get(who)
    if person and person.name:
        return str(for_slack(one_line(person.name, 80)))
    return f"<@{who}>" if _SLACK_USER.fullmatch(who) else str(for_slack(one_line(who, 80)))


def who_may(view: IncidentView) -> str:
    """Said to those who may not."""
    named = [f"{called(p.name or p.email or p.slack, view)} ({role})" for p, role in _roles(view)]
    return phrases.together([*named, "CS leadership"])


def _roles(view: IncidentView) -> Iterator[tuple[Person, str]]:
    if view.csm:
        yield view.csm, "CSM"
    if view.csm_manager:
        yield view.csm_manager, "the CSM's manager"
