"""Customers and their people: our CSM, the CSM's manager, and the customer's technical contacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from activities.customers import ContactWrite, CustomerWrite
from activities.db.pool import Connection, Pool
from activities.db.sql import queries

_SQL = queries("customers")


class UnknownCustomerError(LookupError):
    """There is no such customer, or it is not this key's."""


@dataclass(frozen=True)
class _Wanted:
    """One person as a row."""

    role: str
    position: int
    name: str | None
    email: str | None
    slack: str | None = None
    title: str | None = None
    timezone: str | None = None
    locale: str | None = None

    @property
    def columns(self) -> tuple[object, ...]:
        return (self.role, self.position, self.name, self.email, self.slack, self.title, self.timezone, self.locale)

    def is_row(self, row: asyncpg.Record) -> bool:
        """The same person: by address; who has none, by Slack id; who has neither, by name."""
        if row["role"] != self.role:
            return False
        if self.email:
            return bool(row["email"] == self.email.lower())
        if self.slack:
            return bool(row["slack_user_id"] == self.slack)
        return bool(row["name"] == self.name and row["email"] is None and row["slack_user_id"] is None)


class CustomerStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, external_id: str, customer: CustomerWrite) -> tuple[dict[str, Any], bool]:
        """Creates or replaces; returns the customer as stored, and whether it is new. People keep their ids."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await _put(connection, external_id, customer)
            return await _show(connection, row["id"]), bool(row["created"])

    async def put_all(self, customers: Mapping[str, CustomerWrite]) -> list[bool]:
        """Creates or replaces all of them, by external id, or none; returns of each whether it is new."""
        async with self._pool.acquire() as connection, connection.transaction():
            in_order = sorted(customers.items())  # so that two can't wait for each other
            return [(await _put(connection, *customer))["created"] for customer in in_order]

    async def get(self, external_id: str, only: UUID | None = None) -> dict[str, Any]:
        """One customer; `only` limits what may be seen. Raises UnknownCustomerError."""
        async with self._pool.acquire() as connection:
            return await _show(connection, await _find(connection, external_id, only))

    async def id_of(self, external_id: str, only: UUID | None = None) -> UUID:
        """Raises UnknownCustomerError."""
        async with self._pool.acquire() as connection:
            return await _find(connection, external_id, only)

    async def list(self, only: UUID | None, after: str | None, limit: int) -> list[dict[str, Any]]:
        """Customers in the order of their external ids, from the one behind `after`."""
        return [_shown(row) for row in await self._pool.fetch(_SQL["show"], only, after, limit)]


async def _put(connection: Connection, external_id: str, customer: CustomerWrite) -> asyncpg.Record:
    row = await connection.fetchrow(_SQL["put"], external_id, customer.name, customer.arr, customer.health_score)
    assert row is not None  # an upsert returns its row
    await _put_people(connection, row["id"], _people(customer))
    return row


async def _find(connection: Connection, external_id: str, only: UUID | None) -> UUID:
    found: UUID | None = await connection.fetchval(_SQL["by_external_id"], external_id, only)
    if found is None:
        raise UnknownCustomerError(external_id)
    return found


def _people(customer: CustomerWrite) -> list[_Wanted]:
    people = []
    if csm := customer.csm:
        people.append(_Wanted("csm", 0, csm.name, csm.email, csm.slack_user_id, timezone=csm.timezone))
        if boss := csm.manager:
            people.append(_Wanted("csm_manager", 0, boss.name, boss.email, boss.slack_user_id, timezone=boss.timezone))
    return people + [contact_row(i, contact) for i, contact in enumerate(customer.technical_contacts)]


def contact_row(position: int, contact: ContactWrite) -> _Wanted:
    return _Wanted(
        "technical_contact",
        position,
        contact.name,
        contact.email,
        title=contact.role,
        timezone=contact.timezone,
        locale=contact.locale,
    )


async def add_contact(connection: Connection, customer: UUID, contact: ContactWrite) -> UUID:
    """Adds a technical contact behind the others, unless there is one of this address; returns who that is."""
    await connection.execute(_SQL["lock_people"], customer)
    known: UUID | None = await connection.fetchval(_SQL["contact_at"], customer, contact.email)
    if known is not None:
        await connection.execute(_SQL["bring_back_contact"], known, contact.name)
        return known
    position = await connection.fetchval(_SQL["next_position"], customer)
    added: UUID = await connection.fetchval(_SQL["add_person"], customer, *contact_row(position, contact).columns)
    return added


async def _put_people(connection: Connection, customer: UUID, wanted: list[_Wanted]) -> None:
    known = await connection.fetch(_SQL["people"], customer)
    matched: dict[UUID, _Wanted] = {}
    new: list[_Wanted] = []
    for person in wanted:
        row = next((r for r in known if r["id"] not in matched and person.is_row(r)), None)
        if row is None:
            new.append(person)
        else:
            matched[row["id"]] = person
    await connection.execute(_SQL["remove_people"], customer, list(matched))
    await connection.executemany(_SQL["update_person"], [(customer, i, *p.columns) for i, p in matched.items()])
    await connection.executemany(_SQL["add_person"], [(customer, *p.columns) for p in new])


async def _show(connection: Connection, customer: UUID) -> dict[str, Any]:
    row = await connection.fetchrow(_SQL["show"], customer, None, 1)
    assert row is not None  # found or written before
    return _shown(row)


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    people: list[dict[str, Any]] = row["people"]
    csm = next((p for p in people if p["person"] == "csm"), None)
    manager = next((p for p in people if p["person"] == "csm_manager"), None)
    contacts = [p for p in people if p["person"] == "technical_contact"]
    shown = {name: value for name, value in row.items() if name != "people"}
    return {**shown, "csm": csm and {**csm, "manager": manager}, "technical_contacts": contacts}
