"""Deliveries to a customer's server (monitor `webhook`, FR-1.3): judged from delivery events, and by a signed test
delivery after Standard Webhooks if `test_url` is set."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

import httpx
from standardwebhooks import Webhook

from activities.probes.http import Answer, NoAnswerError, ProbeClient
from activities.probes.monitor import WebhookMonitor
from activities.probes.seen import Expiry, Known, Seen
from activities.probes.verdict import Judge
from workflows.contracts import Check
from workflows.domain.diagnosis import Category, ConnectionState, Failure, Surface
from workflows.domain.durations import how_long
from workflows.domain.webhook_budget import BudgetVerdict, Deliveries, judge_deliveries

_RENEWED_BEFORE = timedelta(days=14)  # certificates that renew themselves do so earlier; these need somebody


@dataclass(frozen=True)
class WebhookProbe:
    client: ProbeClient
    judge: Judge

    async def look(self, provider: str, monitor: WebhookMonitor, known: Known) -> Seen:
        """A test delivery is today's evidence, so a window full of old failures does not outvote it; but while real
        deliveries fail one after the other, a receiver that smiles at tests is not working."""
        verdict = judge_deliveries(known.deliveries, monitor.failure_budget, known.now)
        if monitor.test_url is None:
            return self._from_events(provider, monitor, known.deliveries, verdict)
        tested = await self._test(provider, monitor, monitor.test_url, known.now)
        if tested.check is Check.WORKING and verdict.failing_now:
            failed = known.deliveries.failures_in_a_row
            detail = f"the endpoint takes test deliveries, but the last {failed} real ones failed"
            return replace(
                self._stated(provider, Check.DEGRADED, detail), latency=tested.latency, budget_stage=verdict.stage
            )
        if tested.check is Check.INCONCLUSIVE and tested.diagnosis is not None and verdict.exhausted:
            events = self._from_events(provider, monitor, known.deliveries, verdict)
            return replace(events, latency=tested.latency, retry_after=tested.retry_after)
        return replace(tested, budget_stage=verdict.stage)

    def _from_events(self, provider: str, monitor: WebhookMonitor, seen: Deliveries, verdict: BudgetVerdict) -> Seen:
        window = how_long(monitor.window)
        if not seen.total:
            return Seen(Check.INCONCLUSIVE, f"no deliveries in the last {window}", budget_stage=0)
        said = f"{seen.failed} of {seen.total} deliveries failed in the last {window}"
        if not verdict.stage:
            return Seen(Check.WORKING, said, budget_stage=0)
        said += f", {verdict.stage} % of the failure budget" + (" and more" if verdict.stage == 100 else "")
        check = Check.BROKEN if verdict.exhausted else Check.DEGRADED
        return replace(self._stated(provider, check, said), budget_stage=verdict.stage)

    def _stated(self, provider: str, check: Check, said: str) -> Seen:
        failure = Failure(
            provider=provider, surface=Surface.WEBHOOK, error_code="deliveries_failing", error_description=said
        )
        state = ConnectionState.DISCONNECTED if check is Check.BROKEN else ConnectionState.DEGRADED
        return self.judge.stated(check, failure, said, state, category=Category.WEBHOOK_REJECTED)

    async def _test(self, provider: str, monitor: WebhookMonitor, url: str, now: datetime) -> Seen:
        secret = monitor.secret.get_secret_value() if monitor.secret else None
        body, headers = _test_delivery(secret, now)
        try:
            answer = await self.client.request("POST", url, content=body, headers=headers)
        except NoAnswerError as error:
            return self.judge.unanswered(provider, error, "the endpoint")
        if not 200 <= answer.status < 300:
            return self.judge.refused(provider, Surface.WEBHOOK, answer, f"the endpoint answered {answer.status}")
        detail = f"the endpoint took a test delivery with {answer.status}"
        return Seen(Check.WORKING, detail, latency=answer.latency, expiries=_server_certificate(url, answer, now))


def _test_delivery(secret: str | None, now: datetime) -> tuple[str, dict[str, str]]:
    body = json.dumps({"type": "relink.test", "timestamp": now.isoformat(), "data": {}})
    identity = f"msg_{uuid4().hex}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if secret:
        headers["webhook-signature"] = _signer(secret).sign(identity, now, body)
    return body, headers


def _signer(secret: str) -> Webhook:
    """`whsec_` and base64, or base64 alone, as the specification has it; anything else is the key itself."""
    encoded = secret.removeprefix("whsec_").rstrip("=")
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    return Webhook(key or secret.encode())


def _server_certificate(url: str, answer: Answer, now: datetime) -> tuple[Expiry, ...]:
    if answer.certificate_ends is None or answer.certificate_ends - now > _RENEWED_BEFORE:
        return ()
    host = httpx.URL(url).host
    return (Expiry("tls_certificate", answer.certificate_ends, "customer", f"TLS certificate of {host}"),)
