"""A fleet of any size, written straight into the tables: many customers, a few of whose integrations are down."""

from __future__ import annotations

from activities.db.pool import Pool
from activities.policy import load_policy

_PROVIDERS = "{salesforce,slack,google,hubspot,zendesk,custom_api,okta,stripe}"

_CUSTOMERS = """
insert into customers (external_id, name, arr)
select 'c' || n, format('%s %s', ('{Acme,Borealis,Cobalt,Dunmore,Everett,Fjord,Granite,Halcyon}'::text[])[n % 8 + 1],
  ('{Logistics,Health,Robotics,Foods,Energy,Media,Labs}'::text[])[n % 7 + 1]) || ' ' || n, (n * 7919 % 300) * 1000
from generate_series(1, $1) n
"""
_PEOPLE = """
insert into people (customer_id, role, name, email)
select id, 'csm', 'CSM ' || n % 12, 'csm' || n % 12 || '@vendor.example'
from (select id, row_number() over (order by external_id) n from customers) c where n % 40 <> 0
"""
_INTEGRATIONS = f"""
insert into integration_health (customer_id, integration_type, integration_id, display_name, is_critical, status)
select c.id, ('{_PROVIDERS}'::text[])[n % 8 + 1], 'i' || n, null, n % 5 = 0, 'healthy'
from customers c, generate_series(1, $1) n where c.external_id ~ '^c[0-9]+$'
"""
_CLOSED = """
insert into incidents (integration_health_id, customer_id, number, kind, status, severity, resolution, category,
  who_fixes, diagnosis, opened_at, detected_at, closed_at, announced_at, policy, quiet_window)
select id, customer_id, number, 'disconnected', 'closed', 'low', 'verified', 'unknown', 'customer_user', $1,
  now() - number * interval '9 days', now() - number * interval '9 days', now() - number * interval '8 days', now(), $2,
  '10 minutes'
from integration_health, generate_series(1, 3) number
"""
_OPEN = """
insert into incidents (integration_health_id, customer_id, number, kind, status, severity, category, who_fixes,
  diagnosis, opened_at, alerted_at, acknowledged_at, acknowledged_by, policy, quiet_window)
select id, customer_id, 4, 'disconnected', case n % 9 when 0 then 'recovering' else 'open' end,
  ('{critical,high,medium,low}'::text[])[n % 4 + 1], 'token_expired',
  ('{customer_user,customer_admin,our_engineering,provider}'::text[])[n % 4 + 1], $1,
  now() - n * interval '7 minutes', now(), case n % 3 when 0 then now() end, case n % 3 when 0 then 'Dana Kim' end, $2,
  '10 minutes'
from (select id, customer_id, row_number() over (order by id) n from integration_health) h where n <= $3
"""
_DOWN = """
update integration_health set status = 'disconnected', last_failure_at = now(), error_code = 'invalid_grant'
where id in (select integration_health_id from incidents where status in ('open', 'recovering'))
"""


async def write_fleet(pool: Pool, *, customers: int, each: int, down: int) -> None:
    """So many customers with `each` integrations, of all of which `down` are down."""
    diagnosis = {
        "provider_name": "A provider", "reason": "OAuth token expired and refresh failed", "explanation": "It expired.",
        "impact": [], "steps": [], "customer_reason": "It expired.", "customer_steps": [], "customer_minutes": 2,
        "self_serve_reconnect": True,
    }  # fmt: skip
    policy = load_policy().model_dump(mode="json")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_CUSTOMERS, customers)
        await connection.execute(_PEOPLE)
        await connection.execute(_INTEGRATIONS, each)
        await connection.execute(_CLOSED, diagnosis, policy)
        await connection.execute(_OPEN, diagnosis, policy, down)
        await connection.execute(_DOWN)
    await pool.execute("analyze")
