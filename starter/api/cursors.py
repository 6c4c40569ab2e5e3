"""Where the next page of a list begins: opaque, signed, and good only for the list that it came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

_MAC = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadCursorError(ValueError):
    """Not a cursor of this list: altered, cut off, or used with other filters."""


class Cursors:
    """Makes and reads cursors. `scope` names the list with its filters."""

    def __init__(self, secret_key: str) -> None:
        self._secret = secret_key.encode()

    def make(self, scope: str, position: bytes) -> str:
        return base64.urlsafe_b64encode(self._mac(scope, position) + position).decode().rstrip("=")

    def read(self, scope: str, cursor: str) -> bytes:
        """Raises BadCursorError."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadCursorError from None
        mac, position = raw[:_MAC], raw[_MAC:]
        if not hmac.compare_digest(mac, self._mac(scope, position)):
            raise BadCursorError
        return position

    def after(self, scope: str, at: datetime, row: UUID) -> str:
        """The cursor behind a row with that time and id."""
        micros = (at - _EPOCH) // timedelta(microseconds=1)
        return self.make(scope, micros.to_bytes(8, "big", signed=True) + row.bytes)

    def read_after(self, scope: str, cursor: str | None) -> tuple[datetime, UUID] | None:
        """What `after` was given; None for None. Raises BadCursorError."""
        if cursor is None:
            return None
        position = self.read(scope, cursor)
        micros = int.from_bytes(position[:8], "big", signed=True)
        return _EPOCH + timedelta(microseconds=micros), UUID(bytes=position[8:])

    def after_place(self, scope: str, place: Sequence[str]) -> str:
        """The cursor behind a row that stands there in its list."""
        return self.make(scope, json.dumps(place, ensure_ascii=False).encode())

    def read_place(self, scope: str, cursor: str | None) -> Sequence[str] | None:
        """What `after_place` was given; None for None. Raises BadCursorError."""
        if cursor is None:
            return None
        place: list[str] = json.loads(self.read(scope, cursor))
        return place

    def split(
        self, scope: str, rows: Sequence[dict[str, Any]], limit: int, *, by: str
    ) -> tuple[list[dict[str, Any]], str | None]:
        """One page of rows in the order of this time and their ids, and where the next begins if there is one more."""
        items = list(rows[:limit])
        return items, self.after(scope, items[-1][by], items[-1]["id"]) if len(rows) > limit else None

    def split_places(
        self, scope: str, rows: Sequence[dict[str, Any]], limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The same of rows that have a `place`."""
        items = list(rows[:limit])
        return items, self.after_place(scope, items[-1]["place"]) if len(rows) > limit else None

    def _mac(self, scope: str, position: bytes) -> bytes:
        return hmac.digest(self._secret, f"relink/cursor/{scope}/".encode() + position, hashlib.sha256)[:_MAC]
