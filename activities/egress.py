"""Is it them, or is it our own network? Where nobody at all answers us, nobody but us is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from activities.probes.http import NoAnswerError, ProbeClient, UnaskableError
from workflows.domain.sweep import is_our_network

_FRESH = 5.0  # seconds that one answer about the canaries holds


class Egress:
    """Remembers which hosts answered lately, and asks the canaries of the policy when some did not."""

    def __init__(self, client: ProbeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._hosts: dict[str, tuple[bool, float]] = {}
        self._canaries: tuple[bool, float] | None = None

    def note(self, host: str, *, answered: bool) -> None:
        """Remembers the newest request to this host."""
        self._hosts[host] = answered, self._clock()

    async def is_down(self, canaries: Sequence[str], recheck_after: timedelta, *, was_down: bool) -> bool:
        """With canaries: if not one of them answers. Without: if nearly no host does, of enough of them; once down,
        until hosts do.

        What counts as lately is shorter than the time until a failure is confirmed: when the second look comes, what
        answered before the network failed has been forgotten.
        """
        if canaries:
            return not await self._any_answers(canaries)
        oldest = self._clock() - 0.8 * recheck_after.total_seconds()
        self._hosts = {name: host for name, host in self._hosts.items() if host[1] >= oldest}
        return is_our_network({name: answered for name, (answered, _) in self._hosts.items()}, was_it=was_down)

    async def _any_answers(self, canaries: Sequence[str]) -> bool:
        if self._canaries is not None and self._clock() - self._canaries[1] < _FRESH:
            return self._canaries[0]
        answers = await asyncio.gather(*(self._answers(url) for url in canaries))
        self._canaries = any(answers), self._clock()
        return any(answers)

    async def _answers(self, url: str) -> bool:
        try:
            await self._client.request("GET", url)
        except (NoAnswerError, UnaskableError):
            return False
        return True  # whatever the answer was, it came from outside
