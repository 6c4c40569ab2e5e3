"""The embedded Temporal server is ready when it says so, and keeps workflows over SIGKILL."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from starter.embedded.temporal import SEARCH_ATTRIBUTES, temporal


async def test_a_killed_server_comes_back_with_its_workflows_and_search_attributes(folder: Path) -> None:
    """A workflow started with each of our search attributes is found after SIGKILL and a restart."""
    attributes = TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), "x") for name in SEARCH_ATTRIBUTES]
    )
    data, log = folder / "temporal.db", folder / "temporal.log"
    async with temporal(data, log=log) as first:
        client = await Client.connect(first.address, namespace=first.namespace)
        await client.start_workflow("Waits", id="kept", task_queue="none", search_attributes=attributes)
        os.kill(first.pid, signal.SIGKILL)
    async with temporal(data, port=first.port, log=log) as second:
        assert second.address == first.address
        client = await Client.connect(second.address, namespace=second.namespace)
        description = await asyncio.wait_for(client.get_workflow_handle("kept").describe(), 120)
        assert {pair.key.name for pair in description.typed_search_attributes} == set(SEARCH_ATTRIBUTES)
