"""Sets of moments: half-open intervals [begin, end), exact to the microsecond."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias


class Span(NamedTuple):
    """From `begin` on, up to but without `end`; nothing if that is not later."""

    begin: datetime
    end: datetime

    def has(self, at: datetime) -> bool:
        return self.begin <= at < self.end

    @property
    def length(self) -> timedelta:
        return self.end - self.begin


Spans: TypeAlias = tuple[Span, ...]
"""Disjoint, in order, none of them empty: what the functions below return, and take where they say so."""


def union(spans: Iterable[Span]) -> Spans:
    """Every moment that is in any of them; they may overlap and come in any order."""
    found: list[Span] = []
    for span in sorted(spans):
        if span.end <= span.begin:
            continue
        if found and span.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def intersect(one: Spans, other: Spans) -> Spans:
    """Every moment that is in both."""
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        begin, end = max(one[i].begin, other[j].begin), min(one[i].end, other[j].end)
        if begin < end:
            found.append(Span(begin, end))
        if one[i].end <= other[j].end:
            i += 1
        else:
            j += 1
    return tuple(found)


def subtract(spans: Spans, minus: Spans) -> Spans:
    """Every moment of the first that is not in the second."""
    found: list[Span] = []
    for span in spans:
        begin = span.begin
        for gone in minus:
            if gone.end <= begin or gone.begin >= span.end:
                continue
            if gone.begin > begin:
                found.append(Span(begin, gone.begin))
            begin = gone.end
        if begin < span.end:
            found.append(Span(begin, span.end))
    return tuple(found)


def total(spans: Spans) -> timedelta:
    """How long they last together."""
    return sum((span.length for span in spans), timedelta(0))
