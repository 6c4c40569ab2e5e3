"""What a peer answered, and what can be read from it. Everything in it is a stranger's word."""

from __future__ import annotations

import json
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

import httpcore

_MOST_RETRY_AFTER = timedelta(hours=6)
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """`headers` have lower-case names; `body` is at most as long as was asked for, and `cut` if there was more.
    `certificate_ends` is the end of the server's TLS certificate."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    seconds: float
    at: datetime
    cut: bool = False
    certificate_ends: datetime | None = None

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace").replace("\x00", "")

    @property
    def latency(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    @property
    def json(self) -> Any:
        """The JSON document, None if it is none (or was cut, or is nested too deeply to be one of ours)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object, or the form that some token endpoints answer with; empty if it is neither."""
        document = self.json
        if isinstance(document, dict):
            return document
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return {}
        try:
            return dict(parse_qsl(self.text.strip(), max_num_fields=100))
        except ValueError:
            return {}

    @property
    def retry_after(self) -> timedelta | None:
        """How long the peer asks us to stay away: Retry-After (RFC 9110 10.2.3) in either form, or the reset time that
        GitHub and others give when nothing remains. 1 second to 6 hours."""
        wanted = self._seconds_or_date(self.headers.get("retry-after"))
        if wanted is None and self.is_used_up:
            reset = self.headers.get("x-ratelimit-reset") or self.headers.get("ratelimit-reset")
            number = _number(reset)
            if number is not None:  # seconds from now, or since 1970
                wanted = number - self.at.timestamp() if number > 1_000_000_000 else number
        if wanted is None:
            return None
        return min(max(timedelta(seconds=min(wanted, 1e6)), timedelta(seconds=1)), _MOST_RETRY_AFTER)

    @property
    def is_used_up(self) -> bool:
        """A refusal that says that no requests remain: a rate limit, whatever its status."""
        remaining = self.headers.get("x-ratelimit-remaining") or self.headers.get("ratelimit-remaining")
        return self.status in {403, 429} and (remaining or "").strip() == "0"

    @property
    def challenge(self) -> dict[str, str]:
        """The parameters of WWW-Authenticate, where RFC 6750 section 3 puts `error` and `error_description`."""
        value = self.headers.get("www-authenticate", "")[:2_000]
        return {name.lower(): text for name, text in re.findall(r'([A-Za-z_]{1,40})="([^"]{0,500})"', value)}

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the peer's clock is ahead of ours, to about a second; None if it gave no date."""
        date = _http_date(self.headers.get("date"))
        return date - (self.at - self.latency / 2) if date else None

    def _seconds_or_date(self, value: str | None) -> float | None:
        number = _number(value)
        if number is not None:
            return number
        date = _http_date(value)
        return (date - self.at).total_seconds() if date else None


def _number(value: str | None) -> float | None:
    return float(value) if value and re.fullmatch(r"\d{1,12}(\.\d{1,9})?", value.strip()) else None


def _http_date(value: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(value) if value else None
    except (ValueError, TypeError, OverflowError):
        return None
    if date is None:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


def decoded(raw: bytes, encoding: str, most: int) -> tuple[bytes, bool]:
    """The content, and whether there was more of it. We ask for no encoding; a server that packs all the same is
    unpacked up to the limit and not a byte further, so a bomb costs nothing."""
    if encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        return raw[:most], len(raw) > most
    for window in (47, -15):  # gzip or zlib; and what old servers call deflate
        unpacker = zlib.decompressobj(window)
        try:
            content = unpacker.decompress(raw, most + 1)
        except zlib.error:
            continue
        return content[:most], len(content) > most
    return raw[:most], True


def certificate_end(response: httpcore.Response) -> datetime | None:
    """The end of the server's certificate, which the handshake has already shown."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("ssl_object") if stream is not None else None
    certificate = connection.getpeercert() if connection is not None else None
    end = certificate.get("notAfter") if certificate else None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC) if isinstance(end, str) else None
