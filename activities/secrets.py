"""Secrets at rest: AES-256-GCM with named keys. The first key encrypts, all of them decrypt, so keys can be rotated."""

from __future__ import annotations

import base64
import binascii
import json
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class SecretsError(Exception):
    """Secrets can't be stored or read; the message says which setting to mend, and never contains a secret."""


class SecretBox:
    """Seals the secrets of one integration; what was sealed for one can't be opened as another's."""

    def __init__(self, keys: str | None) -> None:
        """`keys`: `id:base64key,…` (RELINK_ENCRYPTION_KEYS), each key 32 bytes. Raises SecretsError."""
        self._keys: dict[str, AESGCM] = {}
        for entry in filter(None, (keys or "").split(",")):
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
            self._keys[name] = AESGCM(key)

    @property
    def can_seal(self) -> bool:
        return bool(self._keys)

    def seal(self, owner: UUID, secrets: dict[str, str]) -> bytes:
        """Encrypts. Raises SecretsError if no key is configured."""
        if not self._keys:
            raise SecretsError("RELINK_ENCRYPTION_KEYS is not set, so secrets can't be stored")
        name, key = next(iter(self._keys.items()))
        nonce = os.urandom(_NONCE)
        sealed = key.encrypt(nonce, json.dumps(secrets).encode(), owner.bytes)
        return bytes([len(name.encode())]) + name.encode() + nonce + sealed

    def open(self, owner: UUID, sealed: bytes | None) -> dict[str, str]:
        """Decrypts what `seal` made for this owner; None is no secrets. Raises SecretsError."""
        if sealed is None:
            return {}
        ends = 1 + int.from_bytes(sealed[:1], "big")
        name, rest = sealed[1:ends].decode(errors="replace"), sealed[ends:]
        if name not in self._keys:
            raise SecretsError(f"RELINK_ENCRYPTION_KEYS has no key {name!r}; stored secrets need it. Put it back.")
        try:
            opened: dict[str, str] = json.loads(self._keys[name].decrypt(rest[:_NONCE], rest[_NONCE:], owner.bytes))
        except (InvalidTag, ValueError):
            raise SecretsError(f"secrets sealed with key {name!r} can't be opened: wrong key, or damaged") from None
        return opened
