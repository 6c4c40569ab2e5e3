"""The webhook monitor (FR-1.3): deliveries that were reported, and test deliveries of our own."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from activities.probes.check import Known, Prober, Seen
from activities.probes.monitor import MONITOR
from tests.probes.peers import http, peer, says
from workflows.contracts import Check
from workflows.domain.diagnosis import Category
from workflows.domain.webhook_budget import STAGES, Deliveries, judge_deliveries

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def look(prober: Prober, deliveries: Deliveries | None = None, budget: float = 0.2, **more: object) -> Seen:
    monitor = MONITOR.validate_python({"kind": "webhook", "window": "1d", "failure_budget": budget, **more})
    return await prober.look("webhook", monitor, Known(now=NOW, deliveries=deliveries or Deliveries()))


def past(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("succeeded", "failed", "budget", "stage"),
    [
        (100, 0, 0.2, 0), (91, 9, 0.2, 0), (90, 10, 0.2, 50), (86, 14, 0.2, 70), (82, 18, 0.2, 90), (80, 20, 0.2, 100),
        (7, 3, 0.3, 100), (0, 5, 0.5, 100), (0, 1, 1.0, 0), (0, 1, 0.5, 0), (0, 9, 1.0, 90), (0, 0, 0.1, 0),
    ],
)  # fmt: skip
def test_stages(succeeded: int, failed: int, budget: float, stage: int) -> None:
    """50, 70, 90 and 100 % of the budget; few deliveries prove little."""
    assert judge_deliveries(Deliveries(succeeded, failed), budget, NOW).stage == stage


def test_in_a_row() -> None:
    """A good day does not hide a dead receiver, and a repaired one is not blamed for the whole window."""
    dead = Deliveries(10_000, 10, failures_in_a_row=10, last_failed_at=past(1))
    assert judge_deliveries(dead, 0.5, NOW).exhausted
    mended = Deliveries(20, 200, successes_in_a_row=10, last_failed_at=past(60))
    assert judge_deliveries(mended, 0.1, NOW).stage == 0
    mixed = Deliveries(5, 5, successes_in_a_row=1, last_failed_at=past(2))
    verdict = judge_deliveries(mixed, 0.5, NOW)
    assert (verdict.stage, verdict.exhausted, verdict.failing_now) == (100, False, False)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0.001, 1), st.integers(0, 50))
def test_more_failures_never_look_better(succeeded: int, failed: int, budget: float, more: int) -> None:
    """Whatever the numbers: a known stage, and never a lower one for more failures."""
    stage = judge_deliveries(Deliveries(succeeded, failed), budget, NOW).stage
    worse = judge_deliveries(Deliveries(succeeded, failed + more), budget, NOW).stage
    assert stage in {0, *STAGES}
    assert worse >= stage


@pytest.mark.parametrize(
    ("deliveries", "check", "stage", "detail"),
    [
        (Deliveries(), Check.INCONCLUSIVE, 0, "no deliveries in the last 1 day"),
        (Deliveries(99, 1, 0, 5), Check.WORKING, 0, "1 of 100 deliveries failed in the last 1 day"),
        (Deliveries(85, 15, 1), Check.DEGRADED, 70,
         "15 of 100 deliveries failed in the last 1 day, 70 % of the failure budget"),
        (Deliveries(50, 50, 0, 1), Check.DEGRADED, 100,
         "50 of 100 deliveries failed in the last 1 day, 100 % of the failure budget and more"),
        (Deliveries(50, 50, 2), Check.BROKEN, 100,
         "50 of 100 deliveries failed in the last 1 day, 100 % of the failure budget and more"),
    ],
)  # fmt: skip
async def test_from_events(prober: Prober, deliveries: Deliveries, check: Check, stage: int, detail: str) -> None:
    """Without a test address the reported deliveries decide."""
    seen = await look(prober, deliveries)
    assert (seen.check, seen.budget_stage, seen.detail) == (check, stage, detail)
    if check is Check.BROKEN:
        assert seen.diagnosis is not None
        assert seen.diagnosis.category is Category.WEBHOOK_REJECTED
        assert seen.diagnosis.is_terminal


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), "not base64 at all!", None])
async def test_a_signed_test_delivery(prober: Prober, secret: str | None) -> None:
    """Signed as Standard Webhooks says, so that the receiver's own library accepts it."""
    body = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal body
        body = await reader.read(1000)
        writer.write(http(204))
        await writer.drain()

    async with peer(talk) as receiver:
        seen = await look(prober, test_url=f"{receiver.url}/hook", **({"secret": secret} if secret else {}))
    assert (seen.check, seen.detail) == (Check.WORKING, "the endpoint took a test delivery with 204")
    assert json.loads(body)["type"] == "relink.test"
    head = [line.split(b": ", 1) for line in receiver.requests[0].strip().split(b"\r\n")[1:]]
    headers = {name.decode().lower(): value.decode() for name, value in head}
    assert headers["content-type"] == "application/json"
    if secret is None:
        assert "webhook-signature" not in headers
        return
    key = Webhook(secret if "!" not in secret else secret.encode())
    signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == key.sign(headers["webhook-id"], signed_at, body.decode())


@pytest.mark.parametrize(
    ("response", "check"),
    [
        (http(410), Check.BROKEN), (http(404), Check.BROKEN), (http(401), Check.BROKEN),
        (http(301, Location="https://elsewhere.example/"), Check.BROKEN),
        (http(500), Check.INCONCLUSIVE), (http(503), Check.INCONCLUSIVE), (http(408), Check.INCONCLUSIVE),
        (http(400), Check.INCONCLUSIVE), (b"", Check.INCONCLUSIVE),
        (b"rubbish\r\n\r\n", Check.INCONCLUSIVE), (http(429, Retry_After="60"), Check.INCONCLUSIVE),
    ],
)  # fmt: skip
async def test_who_is_needed(prober: Prober, response: bytes, check: Check) -> None:
    """Gone, not found, refused and redirected need a person; trouble on their side passes."""
    async with peer(says(response)) as receiver:
        seen = await look(prober, test_url=receiver.url)
    assert seen.check is check, seen
    assert seen.diagnosis is not None
    if b"429" in response:
        assert seen.diagnosis.is_rate_limit
        assert seen.retry_after == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("deliveries", "answers", "check"),
    [
        (Deliveries(0, 30, 30, 0, past(3)), 204, Check.DEGRADED),  # smiles at tests, refuses real ones
        (Deliveries(0, 30, 30, 0, past(30)), 204, Check.WORKING),  # since then nothing failed and the test passes
        (Deliveries(0, 30, 30, 0, past(3)), 500, Check.BROKEN),
        (Deliveries(90, 1, 1, 0, past(3)), 500, Check.INCONCLUSIVE),
        (Deliveries(0, 30, 30, 0, past(3)), 410, Check.BROKEN),
    ],
)
async def test_both_together(prober: Prober, deliveries: Deliveries, answers: int, check: Check) -> None:
    """A test that passes is today's evidence, but does not outvote real deliveries that are failing just now."""
    async with peer(says(http(answers))) as receiver:
        seen = await look(prober, deliveries, test_url=receiver.url)
    assert seen.check is check, seen
    assert seen.budget_stage in {0, 50, 100}
