"""One array of events in one transaction: keys, integrations, judgement, incidents, doorbells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID, uuid4

from activities.blanking import blanked
from activities.db.judging import IntegrationUnderJudgement
from activities.db.pool import Connection
from activities.db.saving import save
from activities.db.sql import queries
from activities.events import Event, diagnosis_of
from workflows.domain.diagnosis import Catalogue, Diagnosis
from workflows.domain.policy import Policy
from workflows.domain.status import Effect, Failed, Observation, Weight

_SQL = queries("events")
_Key = tuple[str, str]


class EventRefusedError(Exception):
    """One event of an array can't be taken, so none is; `status` is the HTTP status that says why."""

    def __init__(self, status: Literal[404, 409, 422], index: int, field: str, message: str) -> None:
        super().__init__(message)
        self.status, self.index, self.field, self.message = status, index, field, message


@dataclass(frozen=True)
class Outcome:
    event_id: str
    outcome: Literal["accepted", "duplicate"]
    integration: UUID
    incident: UUID | None


@dataclass
class Row:
    """An event on its way in."""

    index: int
    event: Event
    event_id: str
    customer_id: UUID
    integration: UUID | None = None
    incident: UUID | None = None
    duplicate: bool = False
    observation: Observation | None = None

    @property
    def key(self) -> _Key:
        return self.event.source, self.event_id


class Intake:
    """Locks in one order everywhere: event keys sorted, then integrations by id, then incidents."""

    def __init__(
        self,
        connection: Connection,
        policy: Policy,
        catalogue: Catalogue,
        known: Mapping[str, Diagnosis] = MappingProxyType({}),
        *,
        registers: bool = True,
    ) -> None:
        """`known` are diagnoses by event id, where the sender is a monitor that knows better than the classifier;
        `registers` whether an unknown integration is registered, or refused."""
        self._connection, self._policy = connection, policy
        self._catalogue, self._known, self._registers = catalogue, known, registers

    async def take(self, events: Sequence[Event], only_customer: UUID | None) -> tuple[list[Outcome], set[UUID]]:
        customers = await self._customers(events)
        rows = [self._row(i, event, customers, only_customer) for i, event in enumerate(events)]
        fresh = await self._claim_keys(rows)
        await self._find_integrations(fresh)
        bells = await self._judge(fresh, {c["id"]: float(c["arr"] or 0) for c in customers.values()})
        first = {row.key: row for row in fresh}
        for row in rows:  # a second copy within the array answers as the first
            if row.integration is None:
                row.integration, row.incident = first[row.key].integration, first[row.key].incident
        return [_outcome(row) for row in rows], bells

    async def _customers(self, events: Sequence[Event]) -> dict[str | UUID, dict[str, Any]]:
        found = await self._connection.fetch(
            _SQL["customers"],
            [e.customer_external_id for e in events if e.customer_external_id],
            [e.customer_id for e in events if e.customer_id],
        )
        return {key: dict(c) for c in found for key in (c["id"], c["external_id"])}

    def _row(self, i: int, event: Event, customers: dict[str | UUID, Any], only_customer: UUID | None) -> Row:
        name = event.customer_id or event.customer_external_id
        field = "customer_id" if event.customer_id else "customer_external_id"
        customer = customers.get(name) if name else None
        if only_customer and (customer is None or customer["id"] != only_customer):
            raise EventRefusedError(404, i, field, "no such customer for this API key")
        if customer is None:
            raise EventRefusedError(
                422,
                i,
                field,
                f"unknown customer {str(name)!r}. Add it first: PUT /v1/customers/{{external_id}}",
            )
        return Row(i, event, event.event_id or str(uuid4()), customer["id"])

    async def _claim_keys(self, rows: list[Row]) -> list[Row]:
        """The rows that are new; the others are marked as duplicates with the original's outcome."""
        first: dict[_Key, Row] = {}
        for row in rows:
            _same_or_refused(row, first.setdefault(row.key, row).event.fingerprint)
            row.duplicate = first[row.key] is not row
        keys = list(first)
        inserted = await self._connection.fetch(
            _SQL["insert_keys"],
            [source for source, _ in keys],
            [event_id for _, event_id in keys],
            [first[key].event.fingerprint for key in keys],
        )
        new = {(r["source"], r["event_id"]) for r in inserted}
        old = [key for key in keys if key not in new]
        for known in await self._connection.fetch(_SQL["known_keys"], [k[0] for k in old], [k[1] for k in old]):
            row = first[known["source"], known["event_id"]]
            _same_or_refused(row, known["body_hash"])
            row.duplicate = True
            row.integration, row.incident = known["integration_health_id"], known["incident_id"]
        return [first[key] for key in keys if key in new]

    async def _find_integrations(self, rows: list[Row]) -> None:
        await self._look_up(rows)
        missing = {
            (row.customer_id, row.event.integration_type, row.event.integration_id)
            for row in rows
            if row.integration is None
        }
        if missing and not self._registers:
            raise _unknown_integration(next(row for row in rows if row.integration is None))
        if missing:
            await self._connection.execute(_SQL["register_integrations"], *map(list, zip(*missing, strict=True)))
            await self._look_up([row for row in rows if row.integration is None])

    async def _look_up(self, rows: list[Row]) -> None:
        types = {(row.customer_id, row.event.integration_type) for row in rows}
        found = await self._connection.fetch(
            _SQL["integrations_of_types"], [t[0] for t in types], [t[1] for t in types]
        )
        by_type = defaultdict(list)
        for integration in found:
            by_type[integration["customer_id"], integration["integration_type"]].append(integration)
        for row in rows:
            row.integration = _choose(row, by_type[row.customer_id, row.event.integration_type])

    async def _judge(self, rows: list[Row], arr: dict[object, float]) -> set[UUID]:
        integrations = await self._lock(rows, arr)
        # Under the locks and by the database's clock, as closing is: what waited for a close came after it.
        received_at: datetime = await self._connection.fetchval("select clock_timestamp()")
        for row in rows:
            integration = integrations[_known(row.integration)]
            diagnosis = self._known.get(row.event_id) or diagnosis_of(row.event, self._catalogue)
            row.observation = row.event.observe(diagnosis, received_at)
            row.incident = integration.apply(row.event, row.observation, diagnosis, self._policy)
        for integration in integrations.values():
            await save(self._connection, integration, self._policy)
        await self._store_events(rows)
        return {i.incident.id for i in integrations.values() if i.incident and i.bells}

    async def _lock(self, rows: list[Row], arr: dict[object, float]) -> dict[UUID, IntegrationUnderJudgement]:
        ids = sorted({_known(row.integration) for row in rows})
        health = await self._connection.fetch(_SQL["lock_integrations"], ids)
        incidents = {
            i["integration_health_id"]: i for i in await self._connection.fetch(_SQL["lock_open_incidents"], ids)
        }
        failures = defaultdict(list)
        for failure in await self._connection.fetch(_SQL["failures_in_a_row"], ids):
            failures[failure["id"]].append(Failed(failure["occurred_at"], Weight(failure["weight"])))
        return {
            h["id"]: IntegrationUnderJudgement.from_rows(
                h, incidents.get(h["id"]), failures[h["id"]], arr[h["customer_id"]]
            )
            for h in health
        }

    async def _store_events(self, rows: list[Row]) -> None:
        await self._connection.executemany(_SQL["insert_event"], [_event_columns(row) for row in rows])
        await self._connection.execute(
            _SQL["finish_keys"],
            [row.event.source for row in rows],
            [row.event_id for row in rows],
            [row.integration for row in rows],
            [row.incident for row in rows],
        )


def _event_columns(row: Row) -> tuple[object, ...]:
    event, observation = row.event, row.observation
    assert observation is not None  # every row was judged before
    return (
        row.customer_id,
        event.integration_type,
        event.event_type,
        event.stored_error,
        row.integration,
        row.incident,
        event.source,
        row.event_id,
        observation.occurred_at,
        observation.effect,
        observation.weight if observation.effect is Effect.FAILURE else None,
        event.new_status,
        event.endpoint and blanked(event.endpoint),
    )


def _known(integration: UUID | None) -> UUID:
    assert integration is not None  # every row was looked up or registered before
    return integration


def _outcome(row: Row) -> Outcome:
    return Outcome(row.event_id, "duplicate" if row.duplicate else "accepted", _known(row.integration), row.incident)


def _same_or_refused(row: Row, fingerprint: bytes) -> None:
    if row.event.fingerprint != fingerprint:
        raise EventRefusedError(
            409,
            row.index,
            "event_id",
            f"event {row.event_id!r} of {row.event.source!r} came before with another body",
        )


def _unknown_integration(row: Row) -> EventRefusedError:
    type_, id_ = row.event.integration_type, row.event.integration_id
    field, what = ("integration_id", f"{type_!r} integration {id_!r}") if id_ else ("integration_type", repr(type_))
    message = f"this customer has no {what}{'' if id_ else ' integration'}: nothing was stored; compare the spelling"
    return EventRefusedError(422, row.index, field, message)


def _choose(row: Row, integrations: Sequence[Any]) -> UUID | None:
    """The integration that an event means; None if it is to be registered."""
    wanted = row.event.integration_id
    if wanted is not None:
        return next((i["id"] for i in integrations if i["integration_id"] == wanted), None)
    only = [i for i in integrations if not i["removed"]] or list(integrations)
    if len(only) > 1:
        raise EventRefusedError(
            422,
            row.index,
            "integration_id",
            f"the customer has {len(only)} integrations of type {row.event.integration_type!r}: say which one",
        )
    return only[0]["id"] if only else None
