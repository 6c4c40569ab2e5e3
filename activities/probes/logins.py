"""Failed logins (FR-1.4): metadata and keys can be in order while people can't sign in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from activities.probes.seen import Known, Seen
from activities.probes.verdict import Judge
from workflows.contracts import Check
from workflows.domain.diagnosis import Category, ConnectionState, Failure, Surface
from workflows.domain.webhook_budget import judge_deliveries

WINDOW = timedelta(hours=1)
_MAY_FAIL = 0.5  # people mistype passwords; more than half failing is not people


def with_logins(judge: Judge, provider: str, surface: Surface, seen: Seen, known: Known) -> Seen:
    """What a look at single sign-on showed, worsened to degraded if most of the last hour's logins failed.

    Logins are the integration's own events, counted as deliveries are: at least ten of them before a share counts.
    """
    logins = known.deliveries
    if seen.check is not Check.WORKING or judge_deliveries(logins, _MAY_FAIL, known.now).stage < 100:
        return seen
    said = f"{logins.failed} of {logins.total} logins failed in the last hour"
    failure = Failure(provider=provider, surface=surface, error_code="logins_failing", error_description=said)
    state, category = ConnectionState.DEGRADED, Category.SSO_MISCONFIGURED
    found = judge.stated(Check.DEGRADED, failure, said, state, category=category)
    return replace(found, latency=seen.latency, expiries=seen.expiries)
