"""Whether and when the customer is mailed of what broke. Pure; activities/db/together.py acts on it under locks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from workflows.domain.playbook import WhoFixes
from workflows.domain.policy import CustomerRules

WRITTEN_TO = "customer.min_between_mails: this contact was written to a moment ago"
SNOOZED = "snoozed: the customer is reminded when that is over"
IN_COMPANY = "customer.group_within: more of this customer's integrations failed at the same moment"


def why_not_mail(*, degraded: bool, who_fixes: str, auto_send: bool) -> str | None:
    """The rule that keeps a customer from being mailed; None if they are to be."""
    if degraded:
        return "degraded: the customer is not asked to act"
    if who_fixes == WhoFixes.OUR_ENGINEERING:
        return "the fault is ours: the customer is not asked to act"
    if who_fixes in {WhoFixes.PROVIDER, WhoFixes.NOBODY}:
        return "there is nothing that the customer could do"
    if not auto_send:
        return "customer.auto_send is off: the CSM decides"
    return None


def snoozed_until(snoozed: datetime | None, at: datetime) -> datetime | None:
    """Until when a reminder waits that was held back before somebody snoozed; None: it does not."""
    return snoozed if snoozed and snoozed > at else None


def written_to_until(rules: CustomerRules, last_mail: datetime | None, at: datetime) -> datetime | None:
    """Until when a first mail or a reminder waits because its contact was just written to; None: it does not."""
    until = last_mail + rules.min_between_mails if last_mail else at
    return until if until > at else None


def in_company_until(
    rules: CustomerRules, since: datetime, at: datetime, coming: Iterable[tuple[datetime, CustomerRules]]
) -> datetime | None:
    """Until when a mail that could go `since` then waits for others of the same customer; None: it does not. `coming`
    are the incidents that have not come to theirs: when each will, and by which rules."""
    until: datetime = since + rules.group_within
    if until <= at:
        return None
    company = any(theirs.auto_send and at - theirs.group_within <= due <= until for due, theirs in coming)
    return until if company else None


def longer_quiet_window(window: timedelta) -> timedelta:
    """After a relapse a repair has to hold twice as long, up to four hours (the statement `reopen` says the same)."""
    return min(window * 2, max(window, timedelta(hours=4)))
