"""The Temporal client: address, namespace, TLS and keys come from the standard TEMPORAL_* settings."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from activities.codec import data_converter
from activities.settings import Settings, SettingsError

SEARCH_ATTRIBUTES = ("CustomerId", "IntegrationType", "Severity", "IncidentStatus")


class TemporalUnreachableError(ConnectionError):
    """There is no Temporal server at the address, or it does not let us in."""


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """Connects as TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, … say, and encrypts with RELINK_ENCRYPTION_KEYS; `lazy` defers
    it to the first call.

    Raises TemporalUnreachableError, or SettingsError or SecretsError if one of the settings is wrong in itself.
    """
    converter = data_converter(settings.encryption_keys)
    try:
        config = ClientConfig.load_client_connect_config()
        config.setdefault("target_host", "localhost:7233")
    except (RuntimeError, OSError, ValueError) as error:
        raise SettingsError(f"TEMPORAL_PROFILE, TEMPORAL_TLS_*: {error}") from None
    try:
        return await Client.connect(**config, data_converter=converter, lazy=lazy)
    except ValueError as error:
        raise SettingsError(f"TEMPORAL_ADDRESS: {error}: {config['target_host']}") from None
    except RuntimeError as error:
        why = "connection refused" if "refused" in str(error) else str(error)[:200]
        raise TemporalUnreachableError(
            f"Temporal can't be reached at {config['target_host']} ({why}); see TEMPORAL_ADDRESS"
        ) from None
