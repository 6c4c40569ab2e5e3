"""Ten thousand integrations and a year of their incidents: one customer, or a page, is found by indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest_asyncio

from activities.db.pool import Pool, create_pool
from activities.db.reliability import ReliabilityStore
from activities.db.sql import queries
from activities.policy import load_policy
from activities.reliability import Reliability
from starter.embedded.postgres import PostgresServer
from tests.conftest import TEMPLATE

SQL = queries("reliability")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
FILL = """
insert into customers (external_id, name) select 'c' || n, 'Customer ' || n from generate_series(1, 2500) n;
insert into integration_health (customer_id, integration_type, integration_id, created_at, next_number)
  select c.id, 'type' || k, 'main', '2025-06-01', 13 from customers c, generate_series(1, 4) k;
insert into incidents (integration_health_id, customer_id, number, kind, severity, status, resolution, category,
  who_fixes, diagnosis, opened_at, detected_at, recovering_since, closed_at, announced_at, policy, quiet_window)
  select h.id, h.customer_id, n, 'disconnected', 'high', 'closed', 'verified', 'token_expired', 'customer_user', '{}',
    at, at + interval '5 min', at + interval '2 hours', at + interval '130 min', at + interval '130 min', '{}', '10 min'
  from integration_health h, generate_series(1, 12) n,
    lateral (select timestamptz '2026-11-01' - n * interval '30 days' + random() * interval '29 days' as at) t;
insert into integration_events (customer_id, integration_type, event_type, integration_health_id, source, event_id,
  occurred_at, effect)
  select h.customer_id, h.integration_type, case when n = 1 then 'customer_reported' else 'sync_succeeded' end, h.id,
    'api', h.id || '/' || n, timestamptz '2026-11-01' - random() * interval '1 year', 'note'
  from integration_health h, generate_series(1, 3) n;
insert into health_score_adjustments (customer_id, incident_id, adjustment, reason)
  select customer_id, id, -10, 'Critical integration disconnected' from incidents where number <= 3;
"""


@pytest_asyncio.fixture(scope="module")
async def large(postgres_server: PostgresServer) -> AsyncIterator[Pool]:
    name = f"large_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_server.url)
    await admin.execute(f"create database {name} template {TEMPLATE}")
    async with create_pool(postgres_server.database(name)) as pool:
        await pool.execute(FILL, timeout=120)
        await pool.execute("vacuum analyze", timeout=120)
        yield pool
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def scans(pool: Pool, statement: str, *arguments: Any) -> set[tuple[str, str]]:
    """How this statement reads which tables, as it is planned for these arguments."""
    async with pool.acquire() as connection:
        (plan,) = await connection.fetchval(f"explain (format json) {SQL[statement]}", *arguments)
    return set(_scans(plan["Plan"]))


def _scans(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "Relation Name" in node:
        yield node["Relation Name"], node["Node Type"]
    for child in node.get("Plans", ()):
        yield from _scans(child)


LARGE = {"incidents", "integration_health", "integration_events", "health_score_adjustments", "customers"}


async def test_one_customer_is_found_by_indexes(large: Pool) -> None:
    """No table that grows is read from end to end: not for its figures, its tickets or its ledger."""
    customer: UUID = await large.fetchval("select id from customers where external_id = 'c77'")
    time = (NOW - timedelta(days=180), NOW)
    for statement, arguments in {
        "histories": (*time, [customer], None, None),
        "uncounted": (*time, [customer], None, None),
        "ledger": (customer, None, None, 50),
        "score": (customer,),
    }.items():
        found = await scans(large, statement, *arguments)
        assert found, statement
        assert not {table for table, how in found if how == "Seq Scan"} & LARGE, (statement, found)


async def test_a_page_of_integrations_is_found_by_indexes(large: Pool) -> None:
    page = [
        row["id"] for row in await large.fetch("select id from integration_health order by created_at, id limit 50")
    ]
    found = await scans(large, "histories", NOW - timedelta(days=180), NOW, None, page, None)
    assert ("incidents", "Seq Scan") not in found
    assert ("integration_health", "Seq Scan") not in found


async def test_lately_is_found_by_indexes(large: Pool) -> None:
    """What was not over by last week, and what customers reported since, of all: not by reading the whole year."""
    time = (NOW - timedelta(days=7), NOW)
    assert ("incidents", "Seq Scan") not in await scans(large, "histories", *time, None, None, None)
    assert ("integration_events", "Seq Scan") not in await scans(large, "reported", *time, None)


async def test_the_whole_fleet_is_answered(large: Pool) -> None:
    """All ten thousand at once, in two statements; by hand: 30 days before, 24 of 29 days' incidents in them."""
    reliability = Reliability(ReliabilityStore(large), load_policy)
    fleet = await reliability.customers(None, timedelta(days=90), NOW)
    assert len(fleet.customers) == 2500
    assert len(fleet.integrations) == 10_000
    assert fleet.figures.observed == 10_000 * timedelta(days=90)
    assert fleet.figures.incidents == fleet.before.incidents == 30_000
    assert fleet.figures.repairing.value == timedelta(hours=2)
    success = await reliability.success(timedelta(days=30), NOW)
    assert success.measures[0].numerator == 10_000
