"""Failures that a test plans ahead for a server of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Plan(Generic[T]):
    """Planned failures, each for a number of times, taken in the order in which they were added."""

    def __init__(self) -> None:
        self._left: list[tuple[T, int]] = []

    def add(self, failure: T, times: int) -> None:
        """Plans the failure for the next `times` occasions that it fits."""
        self._left.append((failure, times))

    def take(self, fits: Callable[[T], bool]) -> T | None:
        """The first planned failure that fits this occasion, used up by one; or None."""
        for position, (failure, times) in enumerate(self._left):
            if fits(failure):
                self._left[position : position + 1] = [(failure, times - 1)] if times > 1 else []
                return failure
        return None

    def clear(self) -> None:
        """Forgets all that is planned."""
        self._left.clear()
