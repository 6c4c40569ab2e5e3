"""Secrets at rest: rotated, bound to their owner, and never half-read."""

from __future__ import annotations

import base64
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.secrets import SecretBox, SecretsError

OWNER = uuid4()
SECRETS = {"refresh_token": "s3cr3t", "client_secret": "ü"}


def _key(name: str, fill: bytes) -> str:
    return f"{name}:{base64.b64encode(fill * 32).decode()}"


OLD, NEW = _key("old", b"o"), _key("new", b"n")


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=4))
def test_what_is_sealed_is_opened(secrets: dict[str, str]) -> None:
    box = SecretBox(OLD)
    assert box.open(OWNER, box.seal(OWNER, secrets)) == secrets


def test_nothing_stored_is_no_secrets() -> None:
    assert SecretBox(None).open(OWNER, None) == {}


def test_the_same_secrets_never_look_the_same() -> None:
    box = SecretBox(OLD)
    assert box.seal(OWNER, SECRETS) != box.seal(OWNER, SECRETS)
    assert b"s3cr3t" not in box.seal(OWNER, SECRETS)


def test_keys_are_rotated_by_putting_the_new_one_first() -> None:
    """The first encrypts, all decrypt; once nothing is sealed with the old one, it can go."""
    sealed = SecretBox(OLD).seal(OWNER, SECRETS)
    both = SecretBox(f"{NEW},{OLD}")
    assert both.open(OWNER, sealed) == SECRETS
    again = both.seal(OWNER, SECRETS)
    assert SecretBox(NEW).open(OWNER, again) == SECRETS
    with pytest.raises(SecretsError, match="has no key 'old'"):
        SecretBox(NEW).open(OWNER, sealed)


def test_a_key_of_the_same_name_with_other_bytes_opens_nothing() -> None:
    sealed = SecretBox(OLD).seal(OWNER, SECRETS)
    with pytest.raises(SecretsError, match="wrong key, or damaged"):
        SecretBox(_key("old", b"x")).open(OWNER, sealed)


def test_another_owner_can_not_open_them() -> None:
    """Rows that were mixed up, or copied on purpose, open nothing."""
    box = SecretBox(OLD)
    with pytest.raises(SecretsError, match="wrong key, or damaged"):
        box.open(uuid4(), box.seal(OWNER, SECRETS))


def test_damage_is_noticed_wherever_it_is() -> None:
    box = SecretBox(OLD)
    sealed = box.seal(OWNER, SECRETS)
    for place in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[place] ^= 1
        with pytest.raises(SecretsError) as refused:
            box.open(OWNER, bytes(damaged))
        assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("length", [0, 1, 4, 10, 20])
def test_what_is_cut_short_is_refused(length: int) -> None:
    box = SecretBox(OLD)
    with pytest.raises(SecretsError):
        box.open(OWNER, box.seal(OWNER, SECRETS)[:length])


@pytest.mark.parametrize(
    "keys",
    [
        "k1",
        "k1:",
        "k1:short",
        ":" + OLD.split(":")[1],
        "k1:!!!",
        f"{OLD};{NEW}",
        f"k1:{base64.b64encode(b'x' * 16).decode()}",
    ],
)
def test_wrong_keys_are_refused_and_say_how_to_make_one(keys: str) -> None:
    with pytest.raises(SecretsError, match="openssl rand -base64 32"):
        SecretBox(keys)


def test_without_a_key_nothing_is_sealed() -> None:
    assert not SecretBox(None).can_seal
    assert not SecretBox("").can_seal
    with pytest.raises(SecretsError, match="RELINK_ENCRYPTION_KEYS is not set"):
        SecretBox(None).seal(OWNER, SECRETS)
