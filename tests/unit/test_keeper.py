"""The worker keeps Temporal set up, and complains only of what lasts."""

from __future__ import annotations

import asyncio
from unittest.mock import create_autospec

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from starter import schedules
from starter.schedules import Keeper, SetUp


@pytest.mark.parametrize(("in_a_row", "complaints"), [(1, 0), (3, 2)])
async def test_a_connection_that_was_closed_is_no_outage(
    monkeypatch: pytest.MonkeyPatch, in_a_row: int, complaints: int
) -> None:
    """Temporal closes old connections under whatever is under way; only what fails again is worth a warning."""
    closed = RPCError("operation was canceled", RPCStatusCode.CANCELLED, b"")
    answers: list[Exception | SetUp] = [SetUp((), ()), *[closed] * in_a_row, SetUp((), ())]
    done = asyncio.Event()

    async def set_up(_: Client) -> SetUp:
        if not answers:
            done.set()
            await asyncio.Event().wait()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(schedules, "set_up", set_up)
    monkeypatch.setattr(schedules, "_AGAIN", 0.0)
    monkeypatch.setattr(schedules, "KEEP_EVERY", 0.0)
    with capture_logs() as logs:
        keeping = asyncio.create_task(Keeper(create_autospec(Client)).forever())
        await asyncio.wait_for(done.wait(), 10)
        keeping.cancel()
    assert [line["event"] for line in logs] == ["waiting for Temporal"] * complaints
