"""Authenticated requests to one or several endpoints (monitor `api`; FR-1.2, FR-1.6)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from activities.probes.http import Answer, NoAnswerError, ProbeClient, UnaskableError
from activities.probes.monitor import ApiMonitor, Endpoint
from activities.probes.seen import EndpointSeen, Expiry, Known, Seen
from activities.probes.verdict import Judge
from workflows.contracts import Check
from workflows.domain.diagnosis import Category, ConnectionState, Failure, Surface

_NAMED = 5  # endpoints that a detail lists


@dataclass(frozen=True)
class ApiProbe:
    client: ProbeClient
    judge: Judge

    async def look(self, provider: str, monitor: ApiMonitor, known: Known) -> Seen:
        """All endpoints at once; the client limits how many of them on one host.

        All working: WORKING. Some working: DEGRADED, with the names of the others. None working: BROKEN if every one
        failed for good; else INCONCLUSIVE, because a provider in trouble also refuses good credentials. Where nothing
        but a rate limit stands in the way, INCONCLUSIVE.
        """
        headers = {name: value.get_secret_value() for name, value in (monitor.headers or {}).items() if value}
        names = _names(monitor.endpoints)
        pairs = zip(names, monitor.endpoints, strict=True)
        looks = await asyncio.gather(*(self._endpoint(provider, name, e, headers) for name, e in pairs))
        endpoints = tuple(endpoint for endpoint, _ in looks)
        seen = _together(endpoints, [single for _, single in looks])
        expiries = {expiry.label: expiry for _, single in looks for expiry in single.expiries}
        if monitor.credential_expires_at:
            stated = Expiry("api_key", monitor.credential_expires_at, "customer", f"{provider} API key")
            expiries = {stated.label: stated}
        return replace(
            seen,
            endpoints=endpoints,
            expiries=tuple(expiries.values()),
            latency=max((e.latency for e in endpoints if e.latency is not None), default=None),
            retry_after=max((s.retry_after for _, s in looks if s.retry_after is not None), default=None),
        )

    async def _endpoint(
        self, provider: str, name: str, endpoint: Endpoint, headers: dict[str, str]
    ) -> tuple[EndpointSeen, Seen]:
        try:
            answer = await self.client.request(endpoint.method, endpoint.url, headers=headers)
        except NoAnswerError as error:
            seen = self.judge.unanswered(provider, error, name)
            return EndpointSeen(name, seen.check), seen
        except UnaskableError as error:
            return EndpointSeen(name, Check.INCONCLUSIVE), Seen(Check.INCONCLUSIVE, f"{name}: {error}")
        seen = self._judged(provider, name, endpoint, answer, has_credential=bool(headers))
        seen = replace(seen, expiries=_stated_expiry(provider, answer))
        return EndpointSeen(name, seen.check, answer.status, answer.latency), seen

    def _without_renewal(self, provider: str, seen: Seen, answer: Answer) -> Seen:
        """What reads as an expired access token is a refused credential here: nothing renews a header. It still takes
        a second look, because a provider in trouble also refuses good credentials."""
        if seen.diagnosis is None or seen.diagnosis.category is not Category.TOKEN_EXPIRED:
            return seen
        refused = Failure(
            provider=provider, surface=Surface.REST_API, http_status=answer.status, error_code="invalid_api_key"
        )
        found = self.judge.stated(Check.INCONCLUSIVE, refused, seen.detail, ConnectionState.DEGRADED)
        return replace(found, failure=seen.failure, latency=seen.latency)

    def _judged(self, provider: str, name: str, endpoint: Endpoint, answer: Answer, *, has_credential: bool) -> Seen:
        wanted = endpoint.expect_status
        if answer.status != wanted if wanted else not 200 <= answer.status < 300:
            where = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
            seen = self.judge.refused(provider, Surface.REST_API, answer, f"{name} answered {answer.status}{where}")
            return self._without_renewal(provider, seen, answer) if has_credential else seen
        document = answer.json
        if endpoint.expect_json is not None and not contains(document, endpoint.expect_json):
            said = f"{name} answered {answer.status} without the expected JSON"
            return self.judge.refused(provider, Surface.REST_API, answer, said)
        if endpoint.expect_json is None and says_failure(document):
            said = f"{name} answered {answer.status} with a failure inside"
            return self.judge.refused(provider, Surface.REST_API, answer, said)
        if endpoint.max_latency and answer.latency > endpoint.max_latency:
            limit = endpoint.max_latency.total_seconds()
            return Seen(Check.DEGRADED, f"{name} took {answer.seconds:.1f} s, more than {limit:g} s")
        return Seen(Check.WORKING, f"{name} answered {answer.status}")


def _together(endpoints: tuple[EndpointSeen, ...], seen: list[Seen]) -> Seen:
    """The connection as a whole, from its endpoints."""
    bad = [s for s in seen if s.check is not Check.WORKING]
    if not bad:
        return Seen(Check.WORKING, f"{len(seen)} of {len(seen)} endpoints answered as expected")
    limited = [s for s in bad if s.diagnosis is not None and s.diagnosis.is_rate_limit]
    failed = [s for s in bad if s not in limited]
    detail = _summary(endpoints, bad)
    if not failed:
        return replace(limited[0], check=Check.INCONCLUSIVE, detail=detail)
    worst = max(failed, key=lambda s: (s.check is Check.BROKEN, s.diagnosis is not None))
    if len(bad) < len(seen) or any(s.check is Check.DEGRADED for s in bad):
        unasked = all(s.check is Check.INCONCLUSIVE and s.diagnosis is None for s in bad)
        return replace(worst, check=Check.INCONCLUSIVE if unasked else Check.DEGRADED, detail=detail)
    if limited:
        return replace(limited[0], check=Check.INCONCLUSIVE, detail=detail)
    passing = [s for s in failed if s.check is not Check.BROKEN]
    if passing:
        mildest = max(passing, key=lambda s: s.diagnosis is not None)
        return replace(mildest, check=Check.INCONCLUSIVE, detail=detail)
    return replace(worst, detail=detail)


def _summary(endpoints: tuple[EndpointSeen, ...], bad: list[Seen]) -> str:
    if len(endpoints) == 1:
        return bad[0].detail
    listed = "; ".join(s.detail for s in bad[:_NAMED]) + ("; …" if len(bad) > _NAMED else "")
    return f"{len(bad)} of {len(endpoints)} endpoints did not answer as expected: {listed}"


def _names(endpoints: list[Endpoint]) -> list[str]:
    """Each endpoint's name, or its address without the query (which may hold a key); never the same twice."""
    names: list[str] = []
    counted: Counter[str] = Counter()
    for endpoint in endpoints:
        name = endpoint.name or endpoint.url.partition("?")[0].partition("#")[0]
        counted[name] += 1
        names.append(name if counted[name] == 1 else f"{name} ({counted[name]})")
    return names


def contains(found: Any, expected: Any) -> bool:
    """Whether everything expected is there; in objects, more may be. `true` is not 1."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(k in found and contains(found[k], v) for k, v in expected.items())
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(contains(f, e) for f, e in zip(found, expected, strict=True))
        )
    return isinstance(found, bool) == isinstance(expected, bool) and bool(found == expected)


def says_failure(document: Any) -> bool:
    """The two shapes in which a success status carries a failure that nobody could mean otherwise: `"ok": false`
    (Slack and its kind), and GraphQL errors without data."""
    if not isinstance(document, dict):
        return False
    errors = document.get("errors")
    return document.get("ok") is False or (isinstance(errors, list) and bool(errors) and not document.get("data"))


def _stated_expiry(provider: str, answer: Answer) -> tuple[Expiry, ...]:
    """GitHub tells with every answer when the personal access token ends."""
    text = answer.headers.get("github-authentication-token-expiration", "").removesuffix(" UTC")
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return ()
    return (Expiry("api_key", at, "customer", f"{provider} access token"),)
