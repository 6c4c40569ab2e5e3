"""Histories are encrypted with the keys of the moment, and a response lives through every change of them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer

from activities.codec import ENCODING, ENCRYPTED, KEY_ID, data_converter
from starter.ring import Ring
from starter.temporal import SEARCH_ATTRIBUTES
from tests.security.payloads import payloads_in
from tests.workflows.world import World
from worker import activities, make_worker
from workflows.contracts import Situation, Status
from workflows.disconnection import IntegrationDisconnectionResponse

# Its own notes in markers: of a local activity (a number, a name and times), of a patch (its name).
_OF_THE_SDK = (b'{"seq":', b'{"id":')
K1 = "k1:" + base64.b64encode(b"1" * 32).decode()
K2 = "k2:" + base64.b64encode(b"2" * 32).decode()


def _client(world: World, keys: str) -> Client:
    """As starter.temporal.connect makes it from RELINK_ENCRYPTION_KEYS."""
    return Client(**{**world.client.config(), "data_converter": data_converter(keys)})


@asynccontextmanager
async def _worker(world: World, keys: str) -> AsyncIterator[None]:
    """A worker that was started with these keys, and a client that has them too."""
    client = world.client = _client(world, keys)
    world.ring = Ring(client, world.pool)
    nothing_to_probe: Any = None
    objects = activities(world.settings, world.policy, world.pool, client, nothing_to_probe, world.keeper)
    async with make_worker(client, objects):
        yield


async def _payloads(handle: WorkflowHandle[Any, Any]) -> list[Payload]:
    """Every payload of ours in a history as Temporal keeps it, wherever it is."""
    history = await handle.fetch_history()
    found = [payload for event in history.events for payload in payloads_in(event)]
    return [payload for payload in found if not payload.data.startswith(_OF_THE_SDK)]


async def _key_ids(handle: WorkflowHandle[Any, Any]) -> set[str]:
    return {payload.metadata[KEY_ID].decode() for payload in await _payloads(handle) if KEY_ID in payload.metadata}


async def _open_and_informed(world: World) -> UUID:
    incident = await world.disconnect()
    await world.until_timeline(incident, "informed")
    await world.until_waiting(incident)
    return incident


async def _end(world: World, incident: UUID) -> None:
    await world.until_timeline(incident, "recovering")
    await world.until_waiting(incident)
    await world.pass_time(incident, timedelta(minutes=11))
    assert (await world.result(incident)) is not None


async def test_all_that_a_history_holds_is_encrypted(world: World) -> None:
    """Arguments, results, markers, summaries; search attributes are not, and name a customer by id alone."""
    async with _worker(world, K1):
        incident = await _open_and_informed(world)
        handle = await world.handle(incident)
        payloads = await _payloads(handle)
        assert len(payloads) > 20
        assert [p for p in payloads if p.metadata[ENCODING] != ENCRYPTED] == []
        description = await handle.describe()
        shown = {pair.key.name: pair.value for pair in description.typed_search_attributes}
        assert set(SEARCH_ATTRIBUTES) <= set(shown)
        assert shown["CustomerId"] == str((await world.health())["customer_id"])
        situation = await handle.query(IntegrationDisconnectionResponse.status)
        assert isinstance(situation, Situation)
        assert situation.status is Status.OPEN
        assert await description.static_summary() == "Response to incident 1"


async def test_an_open_response_lives_through_every_change_of_keys(world: World) -> None:
    """Begun without a key, then encrypted, then rotated; it is closed under the second key and replays with both."""
    async with _worker(world, ""):
        incident = await _open_and_informed(world)
        handle = await world.handle(incident)
        assert await _key_ids(handle) == set()
    async with _worker(world, K1):
        await world.acknowledge(incident)
        await world.until(lambda: _has_key(handle, "k1"))
        await world.until_waiting(incident)
    async with _worker(world, f"{K1},{K2}"):  # first all processes are taught to read the new one
        await world.snooze(incident, timedelta(hours=1))
        await world.until_waiting(incident)
        assert await _key_ids(handle) == {"k1"}
    async with _worker(world, f"{K2},{K1}"):  # then it encrypts
        await world.say("sync_succeeded")
        await _end(world, incident)
    assert await _key_ids(handle) == {"k1", "k2"}
    assert len(world.alerts()) == 1
    replayer = Replayer(workflows=[IntegrationDisconnectionResponse], data_converter=data_converter(f"{K2},{K1}"))
    await replayer.replay_workflow(await handle.fetch_history())


async def _has_key(handle: WorkflowHandle[Any, Any], name: str) -> bool:
    return name in await _key_ids(handle)


async def test_a_key_that_was_taken_away_too_soon_is_named_and_heals(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost meanwhile: the response waits, the log and the history say which key to put back."""
    async with _worker(world, K1):
        incident = await _open_and_informed(world)
        handle = await world.handle(incident)
    with caplog.at_level(logging.WARNING):
        async with _worker(world, K2):
            await world.say("sync_succeeded")
            await world.until(lambda: _failed(handle))
        assert "RELINK_ENCRYPTION_KEYS has no key 'k1'" in caplog.text
    code, said = await _replay(world, K2)
    assert code == 1
    assert said["failed"]
    assert "RELINK_ENCRYPTION_KEYS has no key 'k1'" in said["failed"][0]["problem"]
    assert await _replay(world, f"{K2},{K1}") == (0, {"failed": []})
    async with _worker(world, f"{K2},{K1}"):
        await _end(world, incident)


async def _failed(handle: WorkflowHandle[Any, Any]) -> bool:
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    return any(event.event_type == failed for event in (await handle.fetch_history()).events)


async def _replay(world: World, keys: str) -> tuple[int | None, Any]:
    """`relink replay` with these keys: its exit code and what it prints."""
    environment = {"TEMPORAL_ADDRESS": world.client.service_client.config.target_host, "RELINK_ENCRYPTION_KEYS": keys}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "starter", "replay", "--json"),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await process.communicate()
    assert said, complaints.decode()
    return process.returncode, json.loads(said)
