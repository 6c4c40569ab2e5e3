"""The payloads of Temporal's messages, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory
from temporalio.converter import PayloadCodec


def payloads_in(message: Any) -> Iterator[Payload]:
    """Those of a protobuf message and of all that is in it, except search attributes, which are never encrypted."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.name == "search_attributes" or field.type != field.TYPE_MESSAGE:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = [value[key] for key in value if hasattr(value[key], "ListFields")]
        else:
            inner = list(value) if field.is_repeated else [value]
        for item in inner:
            yield from payloads_in(item)


async def decrypted(history: WorkflowHistory, codec: PayloadCodec | None) -> str:
    """A history as text: the messages, and every payload decrypted."""
    payloads = [payload for event in history.events for payload in payloads_in(event)]
    opened = await codec.decode(payloads) if codec else payloads
    return "\n".join([*map(str, history.events), *(payload.data.decode(errors="replace") for payload in opened)])
