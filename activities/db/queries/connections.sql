-- name: claim
insert into connection_looks as l (integration_health_id, lease, leased_at, lease_until)
select id, $2::uuid, now(), now() + $3::interval from integration_health where id = $1
on conflict (integration_health_id) do update set
  lease = excluded.lease, leased_at = excluded.leased_at, lease_until = excluded.lease_until,
  interrupted_at = case when l.lease is null then l.interrupted_at else l.leased_at end
where l.lease is null or l.lease_until < now()
returning true

-- name: load
select h.integration_type, h.monitor, h.monitor_secrets, h.created_at, h.last_successful_sync, now() as now,
  sha256(convert_to(h.monitor::text, 'UTF8')) as monitor_hash,
  l.lease, l.interrupted_at, l.looked_from, l.looked_at, l.seen, l.remembered,
  l.fingerprint = sha256(convert_to(h.monitor::text, 'UTF8') || coalesce(h.monitor_secrets, '')) as is_current
from integration_health h
left join connection_looks l on l.integration_health_id = h.id
where h.id = $1 and h.monitor is not null

-- name: renew_lease
update connection_looks set lease_until = now() + $3::interval where integration_health_id = $1 and lease = $2

-- name: store_secrets
update integration_health set monitor_secrets = $3, updated_at = now() where id = $1 and monitor_secrets = $2
returning true

-- name: finish
update connection_looks l set lease = null, leased_at = null, lease_until = null, looked_from = l.leased_at,
  looked_at = clock_timestamp(), seen = $5, remembered = $6,
  fingerprint = sha256(convert_to(h.monitor::text, 'UTF8') || coalesce(h.monitor_secrets, '')),
  interrupted_at = case when $7 then null else l.interrupted_at end
from integration_health h
where l.integration_health_id = $1 and l.lease = $2 and h.id = $1
  and sha256(convert_to(h.monitor::text, 'UTF8')) = $3 and h.monitor_secrets is not distinct from $4
returning true

-- name: sealed
select id, monitor_secrets from integration_health where monitor_secrets is not null order by id

-- name: reseal
with resealed as (
  update integration_health set monitor_secrets = $3 where id = $1 and monitor_secrets = $2 returning id
), known as (
  update connection_looks set remembered = jsonb_set(remembered, '{credential}', to_jsonb($5::text))
  where integration_health_id in (select id from resealed) and remembered ->> 'credential' = $4
)
select true from resealed

-- name: release
update connection_looks set lease = null, leased_at = null, lease_until = null
where integration_health_id = $1 and lease = $2

-- name: deliveries
with deliveries as (
  select effect, occurred_at from integration_events
  where integration_health_id = $1 and occurred_at > now() - $2::interval and source <> $3
    and (effect = 'success' or (effect = 'failure' and event_type in ('webhook_failed', 'sync_error', 'auth_failure')))
), newest as (
  select coalesce(max(occurred_at) filter (where effect = 'success'), '-infinity') as good,
    coalesce(max(occurred_at) filter (where effect = 'failure'), '-infinity') as bad from deliveries
)
select count(*) filter (where effect = 'success') as succeeded,
  count(*) filter (where effect = 'failure') as failed,
  count(*) filter (where effect = 'failure' and occurred_at >= good) as failures_in_a_row,
  count(*) filter (where effect = 'success' and occurred_at > bad) as successes_in_a_row,
  max(occurred_at) filter (where effect = 'failure') as last_failed_at
from deliveries, newest
