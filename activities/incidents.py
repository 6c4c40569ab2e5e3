"""An incident's own row: where things stand, and the marks that the response leaves on it."""

from __future__ import annotations

from collections.abc import Callable

from temporalio import activity

from activities.db.incidents import IncidentStore, UnknownIncidentError
from activities.errors import incident_unknown
from workflows.contracts import IncidentAt, IncidentRef, InformedInput, Situation


class Incidents:
    """`search_attributes` tells which search attributes the Temporal server knows; a missing one is left off."""

    def __init__(self, incidents: IncidentStore, search_attributes: Callable[[], tuple[str, ...]]) -> None:
        self._incidents, self._search_attributes = incidents, search_attributes

    @activity.defn
    async def read_situation(self, incident: IncidentRef) -> Situation:
        """Where things stand, from the rows: the only thing that decides what the workflow does next."""
        try:
            situation = await self._incidents.situation(incident.incident_id)
        except UnknownIncidentError:
            raise incident_unknown(incident.incident_id) from None
        return situation.model_copy(update={"search_attributes": self._search_attributes()})

    @activity.defn
    async def mark_informed(self, informed: InformedInput) -> None:
        """The first notices are out, or are rows that will be sent; from here on the ladder counts."""
        await self._incidents.change("mark_informed", informed.incident_id, informed.kind, kind="informed")

    @activity.defn
    async def end_snooze(self, at: IncidentAt) -> None:
        """The snooze is over and the connection still broken."""
        await self._incidents.end_snooze(at.incident_id, at.now)

    @activity.defn
    async def expire_acknowledgement(self, at: IncidentAt) -> None:
        """Acknowledged and forgotten: escalation goes on."""
        await self._incidents.expire_acknowledgement(at.incident_id, at.now)

    @activity.defn
    async def mark_announced(self, incident: IncidentRef) -> None:
        """Everybody who was told of it has been told that it is over."""
        await self._incidents.change("mark_announced", incident.incident_id, kind="announced")
