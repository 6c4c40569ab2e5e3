"""Payloads of Temporal, encrypted before they leave this process: neither its database nor its UI shows what they say.

The shape is that of Temporal's own samples: `encoding: binary/encrypted` and the key's id in the metadata. What was
written before there was a key stays readable, and so does what an older key wrote, while RELINK_ENCRYPTION_KEYS has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from activities.secrets import Keys

ENCODING, KEY_ID = "encoding", "encryption-key-id"
ENCRYPTED = b"binary/encrypted"
_PURPOSE = b"relink/temporal-payload"  # so that a stored secret and a payload can't stand in for each other


class EncryptingCodec(PayloadCodec):
    """The first key encrypts, all decrypt. Without a key nothing is encrypted; what is says which key it needs."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encrypted(payload) for payload in payloads] if self._keys else list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Leaves alone what is not encrypted. Raises EncryptionKeyError naming the key that is missing or wrong."""
        return [self._decrypted(p) if p.metadata.get(ENCODING) == ENCRYPTED else p for p in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        name, sealed = self._keys.encrypt(payload.SerializeToString(), _PURPOSE)
        return Payload(metadata={ENCODING: ENCRYPTED, KEY_ID: name.encode()}, data=sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        name = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        return Payload.FromString(self._keys.decrypt(name, payload.data, _PURPOSE))


def data_converter(keys: str | SecretStr | None) -> DataConverter:
    """What every Temporal client, worker and replay of Relink uses; `keys`: RELINK_ENCRYPTION_KEYS.

    With keys, failures too keep their messages and stack traces in a payload. Raises SecretsError.
    """
    known = Keys(keys)
    converter = replace(pydantic_data_converter, payload_codec=EncryptingCodec(known))
    if not known:
        return converter
    return replace(converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)
