"""The grant behind an integration (monitor `oauth2`, FR-1.1): does the token endpoint still renew it?

RFC 6749 sections 2.3.1, 5 and 6; RFC 7662. A refresh may replace the refresh token, so nobody else may refresh the same
grant meanwhile, and the new token must be stored before anything else happens: both are ConnectionStore's duty.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from activities.probes.http import Answer, NoAnswerError, ProbeClient, UnaskableError
from activities.probes.lifetimes import expiries_of
from activities.probes.monitor import OAuth2Monitor
from activities.probes.seen import Expiry, Grant, Known, Renewal, Seen
from activities.probes.verdict import Judge
from workflows.contracts import Check
from workflows.domain.diagnosis import Category, Surface

_MARGIN = timedelta(minutes=1)
_AT_LEAST = timedelta(days=1)  # so often a grant is really refreshed, whatever introspection says
_NESTED = ("authed_user", "data", "body")  # Slack's user tokens, and others that wrap the RFC's answer
_REFRESH_ENDS = ("refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in")
_LONGEST = 20 * 365 * 86_400.0  # seconds; a longer life is a mistake or means "never"


@dataclass(frozen=True)
class OAuth2Probe:
    client: ProbeClient
    judge: Judge

    async def look(self, provider: str, monitor: OAuth2Monitor, known: Known, *, force: bool) -> Seen:
        """Refreshes when that is due, when introspection is not offered, or when `force` wants real evidence."""
        stated = _stated_ends(provider, monitor)
        if monitor.introspection_url and not force and not _is_due(known):
            active = await self._introspect(monitor, known.grant)
            if active is not None:
                ends = expiries_of(known.grant, provider, self.judge.catalogue)
                detail = "introspection says that the grant is active"
                return Seen(Check.WORKING, detail, latency=active.latency, expiries=ends + stated)
        seen = await self._refreshed(provider, monitor, known)
        return replace(seen, expiries=seen.expiries + stated)

    async def _introspect(self, monitor: OAuth2Monitor, grant: Grant) -> Answer | None:
        """The answer if it says "active"; None whatever else it is, because only a refresh proves the opposite."""
        assert monitor.introspection_url is not None
        form = {"token": _token(monitor), "token_type_hint": "refresh_token"}
        try:
            answer = await self._post(monitor, monitor.introspection_url, form, basic=grant.basic is not False)
        except (NoAnswerError, UnaskableError):
            return None
        return answer if answer.status == 200 and answer.fields.get("active") is True else None

    async def _refreshed(self, provider: str, monitor: OAuth2Monitor, known: Known) -> Seen:
        form = {"grant_type": "refresh_token", "refresh_token": _token(monitor)}
        if monitor.scopes:
            form["scope"] = " ".join(monitor.scopes)
        basic = known.grant.basic is not False
        try:
            seen = self._judged(provider, known, form, await self._post(monitor, monitor.token_url, form, basic=basic))
            if monitor.client_secret and _blames_client(seen):
                # Servers differ in where they want the secret. One that could not tell who asked has not used the
                # refresh token up, so asking again costs nothing.
                answer = await self._post(monitor, monitor.token_url, form, basic=not basic)
                other = self._judged(provider, known, form, answer)
                if other.renewal is not None:
                    grant = replace(other.renewal.grant, basic=not basic)
                    return replace(other, renewal=replace(other.renewal, grant=grant))
                return seen if _blames_client(other) else other
        except NoAnswerError as error:
            return self.judge.unanswered(provider, error, "the token endpoint")
        return seen

    async def _post(self, monitor: OAuth2Monitor, url: str, form: Mapping[str, str], *, basic: bool) -> Answer:
        """With the client's secret in the Authorization header (every server must take that, section 2.3.1) or in the
        body, for those that take nothing else; a public client has none."""
        headers, fields = {"Accept": "application/json"}, dict(form)
        secret = monitor.client_secret.get_secret_value() if monitor.client_secret else None
        if secret is None or not basic:
            fields |= {"client_id": monitor.client_id} | ({"client_secret": secret} if secret else {})
        else:
            pair = f"{quote_plus(monitor.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return await self.client.request("POST", url, headers=headers, data=fields)

    def _judged(self, provider: str, known: Known, form: Mapping[str, str], answer: Answer) -> Seen:
        tokens = _tokens(answer.fields) if 200 <= answer.status < 300 else {}
        if tokens:
            renewal = _renewal(known, form["refresh_token"], tokens)
            ends = expiries_of(renewal.grant, provider, self.judge.catalogue)
            detail = "the refresh token was accepted" + (" and replaced" if renewal.refresh_token else "")
            return Seen(Check.WORKING, detail, latency=answer.latency, expiries=ends, renewal=renewal)
        detail = f"the token endpoint answered {answer.status}"
        if 200 <= answer.status < 300:
            detail += " without a token"
        seen = self.judge.refused(provider, Surface.TOKEN_ENDPOINT, answer, detail)
        if seen.check is Check.BROKEN and not answer.fields:
            # A page of HTML comes from something in front of the token endpoint, which says nothing of the grant.
            return replace(seen, check=Check.INCONCLUSIVE, detail=f"{detail}, not in the form of an OAuth error")
        if seen.check is Check.BROKEN and known.grant.interrupted_at is not None:
            cut = f"{known.grant.interrupted_at:%Y-%m-%d %H:%M} UTC"
            return replace(seen, detail=f"{detail}; a refresh of ours was cut off at {cut}, its answer may be lost")
        return seen


def _token(monitor: OAuth2Monitor) -> str:
    assert monitor.refresh_token is not None  # stored monitors have one
    return monitor.refresh_token.get_secret_value()


def _is_due(known: Known) -> bool:
    grant = known.grant
    if grant.refreshed_at is None or grant.interrupted_at is not None:
        return True
    ends = min(grant.access_expires_at or known.now + _AT_LEAST, grant.refreshed_at + _AT_LEAST)
    return known.now >= ends - _MARGIN


def _blames_client(seen: Seen) -> bool:
    return seen.diagnosis is not None and seen.diagnosis.category is Category.APP_MISCONFIGURED


def _tokens(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a success that holds the tokens; empty if it says failure, or holds none."""
    if fields.get("ok") is False or fields.get("error"):
        return {}
    for candidate in (fields, *(fields.get(name) for name in _NESTED)):
        if isinstance(candidate, Mapping) and candidate.get("access_token"):
            return candidate
    return {}


def _renewal(known: Known, old: str, tokens: Mapping[str, Any]) -> Renewal:
    grant, new = known.grant, tokens.get("refresh_token")
    rotated = new if isinstance(new, str) and new and new != old else None
    ends = next((end for name in _REFRESH_ENDS if (end := _after(known.now, tokens.get(name)))), None)
    if ends is None and rotated is None:
        ends = grant.refresh_expires_at  # the same token as before, and nothing new said about it
    moved = ends and grant.refresh_expires_at and ends > grant.refresh_expires_at + _MARGIN
    after = Grant(
        credential=grant.credential,
        since=grant.since or known.now,
        refreshed_at=known.now,
        access_expires_at=_after(known.now, tokens.get("expires_in")),
        refresh_expires_at=ends,
        slides=bool(moved) or grant.slides,
        basic=grant.basic,
    )
    return Renewal(after, rotated)


def _after(now: datetime, seconds: Any) -> datetime | None:
    """Seconds as servers write them: a number, or digits in a string. 0 means "never" at some, and is no end."""
    try:
        span = float(seconds)
    except (TypeError, ValueError, OverflowError):
        return None
    if isinstance(seconds, bool) or not math.isfinite(span) or not 0 < span <= _LONGEST:
        return None
    return (now + timedelta(seconds=span)).astimezone(UTC)


def _stated_ends(provider: str, monitor: OAuth2Monitor) -> tuple[Expiry, ...]:
    if monitor.client_secret_expires_at is None:
        return ()
    return (Expiry("client_secret", monitor.client_secret_expires_at, "us", f"{provider} client secret"),)
