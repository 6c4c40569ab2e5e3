-- name: lock_of_type
select id, integration_id, removed_at, monitor, monitor_secrets
from integration_health where customer_id = $1 and integration_type = $2 order by id for update

-- name: lock_of_types
-- Of several customers, in the order in which everybody locks them.
select id from integration_health
where (customer_id, integration_type) in (select * from unnest($1::uuid[], $2::text[])) order by id for update

-- name: insert
insert into integration_health (customer_id, integration_type, integration_id) values ($1, $2, $3)
on conflict on constraint integration_identity do nothing
returning id, integration_id, removed_at, monitor, monitor_secrets

-- name: put
update integration_health set integration_id = $2, display_name = $3, is_critical = $4, self_serve = $5,
  reconnect_url = $6, monitor = $7, monitor_secrets = $8, updated_at = now()
where id = $1

-- name: revive
update integration_health set removed_at = null, last_closed_at = now(), status = 'healthy', failure_count = 0,
  failing_since = null, degraded_since = null, muted = false, failure_reason = null, error_code = null, updated_at = now()
where id = $1

-- name: remove
update integration_health set removed_at = now(), updated_at = now() where id = $1

-- name: open_incident
select id from incidents where integration_health_id = $1 and status in ('open', 'recovering')
