"""The Temporal client: address, namespace, TLS and keys come from the standard TEMPORAL_* settings."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig

SEARCH_ATTRIBUTES = ("CustomerId", "IntegrationType", "Severity", "IncidentStatus")


async def connect(*, lazy: bool = False) -> Client:
    """Connects as TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, … say; `lazy` defers it to the first call.

    Raises RuntimeError if the server can't be reached.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    return await Client.connect(**config, data_converter=pydantic_data_converter, lazy=lazy)
