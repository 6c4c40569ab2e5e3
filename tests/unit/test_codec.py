"""What Temporal keeps is encrypted, whatever it is; and what can't be read says which key it needs."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from activities.codec import ENCRYPTED, KEY_ID, EncryptingCodec, data_converter
from activities.secrets import Keys, SecretBox, SecretsError


def _key(name: str, fill: bytes) -> str:
    return f"{name}:{base64.b64encode(fill * 32).decode()}"


OLD, NEW = _key("old", b"o"), _key("new", b"n")
CANARY = "canary-5f2c"


def _codec(*keys: str) -> EncryptingCodec:
    return EncryptingCodec(Keys(",".join(keys)))


def _payload(data: bytes = CANARY.encode()) -> Payload:
    return Payload(metadata={"encoding": b"json/plain", "messageType": CANARY.encode()}, data=data)


@given(st.lists(st.binary(max_size=2000), max_size=4))
async def test_what_is_encrypted_is_read_again(bodies: list[bytes]) -> None:
    """In its order, metadata included."""
    payloads = [_payload(body) for body in bodies]
    codec = _codec(OLD)
    assert await codec.decode(await codec.encode(payloads)) == payloads


async def test_neither_the_data_nor_its_metadata_is_seen() -> None:
    """And the same payload never looks the same twice."""
    one, two = await _codec(OLD).encode([_payload(), _payload()])
    assert one.metadata["encoding"] == ENCRYPTED
    assert CANARY.encode() not in one.SerializeToString()
    assert one.data != two.data


async def test_what_was_written_before_there_was_a_key_stays_readable() -> None:
    assert await _codec(OLD).decode([_payload()]) == [_payload()]


async def test_keys_are_rotated_by_putting_the_new_one_first() -> None:
    """What the old one wrote is read as long as it is there; what is written names the new one."""
    sealed = await _codec(OLD).encode([_payload()])
    both = _codec(NEW, OLD)
    assert await both.decode(sealed) == [_payload()]
    (renewed,) = await both.encode([_payload()])
    assert renewed.metadata[KEY_ID] == b"new"
    assert await _codec(NEW).decode([renewed]) == [_payload()]


@pytest.mark.parametrize("keys", ["", NEW, _key("old", b"x")], ids=["none", "another", "other bytes"])
async def test_a_missing_or_wrong_key_is_named(keys: str) -> None:
    """With the setting to mend."""
    sealed = await _codec(OLD).encode([_payload()])
    with pytest.raises(SecretsError, match=r"RELINK_ENCRYPTION_KEYS.*'old'"):
        await _codec(keys).decode(sealed)


async def test_damage_is_noticed_wherever_it_is() -> None:
    (sealed,) = await _codec(OLD).encode([_payload()])
    for place in range(len(sealed.data)):
        damaged = bytearray(sealed.data)
        damaged[place] ^= 1
        with pytest.raises(SecretsError):
            await _codec(OLD).decode([Payload(metadata=sealed.metadata, data=bytes(damaged))])


async def test_a_stored_secret_can_not_be_passed_off_as_a_payload() -> None:
    """The codec decodes for whoever may see histories, and monitors' secrets are encrypted with the same keys."""

    owner = UUID(int=7)
    stored = SecretBox(OLD).seal(owner, {"refresh_token": CANARY})
    forged = Payload(metadata={"encoding": ENCRYPTED, KEY_ID: b"old"}, data=stored[1 + len("old") :])
    with pytest.raises(SecretsError):
        await _codec(OLD).decode([forged])


async def _failure(keys: str) -> Failure:
    failure = Failure()
    with pytest.raises(ApplicationError) as raised:
        _raise()
    await data_converter(keys).encode_failure(raised.value, failure)
    return failure


def _raise() -> None:
    raise ApplicationError(CANARY, CANARY, type="IncidentUnknown")


async def test_what_a_failure_says_is_encrypted_too() -> None:
    """Its message, its details and its stack trace; its type, by which operators filter, is not."""
    failure = await _failure(OLD)
    assert CANARY.encode() not in failure.SerializeToString()
    assert b"test_codec" not in failure.SerializeToString()
    assert failure.application_failure_info.type == "IncidentUnknown"
    read = await data_converter(f"{NEW},{OLD}").decode_failure(failure)
    assert isinstance(read, ApplicationError)
    assert (read.message, read.details) == (CANARY, (CANARY,))


async def test_failures_of_before_there_was_a_key_are_read() -> None:
    read = await data_converter(OLD).decode_failure(await _failure(""))
    assert isinstance(read, ApplicationError)
    assert read.message == CANARY


def test_two_keys_of_one_name_are_refused() -> None:
    """One would hide the other, and with it what it encrypted."""
    with pytest.raises(SecretsError, match="RELINK_ENCRYPTION_KEYS: the id 'old' is there twice"):
        Keys(f"{OLD},{_key('old', b'x')}")
