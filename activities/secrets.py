"""Encryption at rest: AES-256-GCM with named keys. The first key encrypts, all of them decrypt: so keys are rotated."""

from __future__ import annotations

import base64
import binascii
import json
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

_NONCE = 12


class SecretsError(Exception):
    """Something can't be encrypted or read; the message says which setting to mend, and never contains a secret."""


class EncryptionKeyError(SecretsError):
    """A key of RELINK_ENCRYPTION_KEYS is missing or wrong. Temporal shows this name, whatever it is allowed to read."""


class Keys:
    """RELINK_ENCRYPTION_KEYS. False if there is none."""

    def __init__(self, keys: str | SecretStr | None) -> None:
        """`keys`: `id:base64key,…`, each key 32 bytes. Raises SecretsError."""
        text = keys.get_secret_value() if isinstance(keys, SecretStr) else keys or ""
        self._keys: dict[str, AESGCM] = {}
        for entry in filter(None, text.split(",")):
            name, _, encoded = entry.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                key = b""
            if not name or len(name.encode()) > 255 or len(key) != 32:
                raise SecretsError(
                    "RELINK_ENCRYPTION_KEYS: expected id:base64key,… with keys of 32 bytes. Make one: "
                    "echo k1:$(openssl rand -base64 32)"
                )
            if name in self._keys:
                raise SecretsError(f"RELINK_ENCRYPTION_KEYS: the id {name!r} is there twice; give each key its own")
            self._keys[name] = AESGCM(key)

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def first(self) -> str:
        """The id of the key that encrypts. Raises SecretsError if there is none."""
        if not self._keys:
            raise SecretsError("RELINK_ENCRYPTION_KEYS is not set, so secrets can't be stored")
        return next(iter(self._keys))

    def encrypt(self, plain: bytes, bound_to: bytes) -> tuple[str, bytes]:
        """The id of the key, and what only `decrypt` with the same `bound_to` opens. Raises SecretsError."""
        nonce = os.urandom(_NONCE)
        return self.first, nonce + self._keys[self.first].encrypt(nonce, plain, bound_to)

    def decrypt(self, name: str, sealed: bytes, bound_to: bytes) -> bytes:
        """Raises EncryptionKeyError naming the key that is missing or wrong."""
        if name not in self._keys:
            raise EncryptionKeyError(
                f"RELINK_ENCRYPTION_KEYS has no key {name!r}; what it encrypted needs it. Put it back."
            )
        try:
            return self._keys[name].decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to)
        except (InvalidTag, ValueError):
            raise EncryptionKeyError(
                f"RELINK_ENCRYPTION_KEYS: what key {name!r} encrypted can't be opened: wrong key, or damaged"
            ) from None


class SecretBox:
    """Seals the secrets of one integration; what was sealed for one can't be opened as another's."""

    def __init__(self, keys: str | SecretStr | None) -> None:
        """`keys`: RELINK_ENCRYPTION_KEYS. Raises SecretsError."""
        self._keys = Keys(keys)

    @property
    def can_seal(self) -> bool:
        return bool(self._keys)

    def seal(self, owner: UUID, secrets: dict[str, str]) -> bytes:
        """Encrypts. Raises SecretsError if no key is configured."""
        name, sealed = self._keys.encrypt(json.dumps(secrets).encode(), owner.bytes)
        return bytes([len(name.encode())]) + name.encode() + sealed

    def open(self, owner: UUID, sealed: bytes | None) -> dict[str, str]:
        """Decrypts what `seal` made for this owner; None is no secrets. Raises SecretsError."""
        if sealed is None:
            return {}
        name, rest = _parted(sealed)
        opened: dict[str, str] = json.loads(self._keys.decrypt(name, rest, owner.bytes))
        return opened

    def is_sealed_with_first(self, sealed: bytes) -> bool:
        """Whether the key that encrypts now did so then. Raises SecretsError if there is none."""
        return _parted(sealed)[0] == self._keys.first


def _parted(sealed: bytes) -> tuple[str, bytes]:
    """The id of the key, and what it encrypted."""
    ends = 1 + int.from_bytes(sealed[:1], "big")
    return sealed[1:ends].decode(errors="replace"), sealed[ends:]
