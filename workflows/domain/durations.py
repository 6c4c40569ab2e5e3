"""Durations as people write them in a policy ("30s", "10m", "4h", "3d"), and as they read them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NAMES = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
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


def words_for(duration: timedelta) -> str:
    """A policy's duration as people say it: "30 days"."""
    text = format_duration(duration)
    number, unit = text[:-1], _NAMES[text[-1]]
    return f"{number} {unit}{'' if number == '1' else 's'}"


def how_long(duration: timedelta) -> str:
    """A measured time as people read it, in two units at most: "3 days 4 h", "2 h 5 min", "40 s"."""
    seconds = round(duration.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1440, minutes % 1440 // 60, minutes % 60
    parts = [(days, "day" if days == 1 else "days"), (hours, "h"), (minutes if not days else 0, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
