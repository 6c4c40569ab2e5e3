"""Looks after providers' outages: who is to be told in one digest, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from temporalio import activity

from activities.db.outage_digests import OutageDigestStore
from activities.db.provider_outages import ProviderOutageStore
from activities.db.views import addressee
from activities.sweeping import utc_now
from workflows.domain.outage import is_over
from workflows.domain.policy import Policy


class ProviderOutages:
    def __init__(
        self,
        outages: ProviderOutageStore,
        digests: OutageDigestStore,
        policy: Callable[[], Policy],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._outages, self._digests, self._policy, self._clock = outages, digests, policy, clock

    async def look_after(self) -> tuple[set[UUID], bool]:
        """One round, harmless when repeated or when it ends in the middle: every step asks the rows what is missing.
        Returns the incidents whose bell is to be rung, and whether digests are to be sent or edited."""
        policy, to_ring = self._policy(), set[UUID]()
        for outage in await self._outages.open():
            activity.heartbeat()
            await self._digests.begin_for_csms(outage, addressee(policy.people.fallback_csm))
            engineering = addressee(policy.people.engineering)
            if engineering is not None:
                await self._digests.begin_for_engineering(outage, engineering)
            standing = await self._outages.standing(outage["id"], outage["integration_type"])
            if is_over(standing, self._clock(), policy.outage):
                to_ring |= await self._outages.end(outage)
        to_ring |= await self._outages.release()
        return to_ring, await self._digests.waiting()
