"""Looks after providers' outages: who is to be told in one digest, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from temporalio import activity

from activities.db.outage_digests import OutageDigestStore
from activities.db.provider_outages import ProviderOutageStore
from activities.db.views import addressee
from activities.slack import SlackSender
from workflows.domain.policy import Policy


class ProviderOutages:
    def __init__(
        self,
        outages: ProviderOutageStore,
        digests: OutageDigestStore,
        slack: SlackSender,
        policy: Callable[[], Policy],
    ) -> None:
        self._outages, self._digests, self._slack, self._policy = outages, digests, slack, policy

    async def look_after(self) -> tuple[set[UUID], bool]:
        """One round, harmless when repeated or when it ends in the middle: every step asks the rows what is missing.
        Returns the incidents whose bell is to be rung, and whether digests are to be sent or edited."""
        policy, to_ring = self._policy(), set[UUID]()
        for outage in await self._outages.open():
            activity.heartbeat()
            ended = await self._outages.end_if_over(outage, policy.outage)
            if ended is not None:
                to_ring |= ended
                continue
            by_slack = self._slack.is_configured
            await self._digests.begin_for_csms(outage, addressee(policy.people.fallback_csm), by_slack=by_slack)
            if (engineering := addressee(policy.people.engineering)) is not None:
                await self._digests.begin_for_engineering(outage, engineering, by_slack=by_slack)
        to_ring |= await self._outages.release()
        return to_ring, await self._digests.waiting()
