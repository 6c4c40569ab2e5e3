"""Durations as people write them in a policy: "30s", "10m", "4h", "3d"."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"([0-9]{1,9})([smhd])")
_LONGEST = timedelta(days=3650)  # ten years: more is a mistake, and would end beyond the calendar


def parse_duration(text: object) -> timedelta:
    """Reads "30s", "10m", "4h" or "3d". Raises ValueError saying what is expected."""
    if isinstance(text, timedelta):
        return text
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('expected a duration such as "30s", "10m", "4h" or "3d"')
    duration = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    if duration > _LONGEST:
        raise ValueError('expected at most ten years, "3650d"')
    return duration


def format_duration(duration: timedelta) -> str:
    """The shortest exact form that parse_duration reads back; whole seconds."""
    seconds = round(duration.total_seconds())
    unit = next((u for u in "dhm" if seconds and seconds % _UNITS[u] == 0), "s")
    return f"{seconds // _UNITS[unit]}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,9}[smhd]$", "examples": ["30s", "10m", "4h", "3d"]}),
]
