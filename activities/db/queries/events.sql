-- name: customers
select id, external_id, arr from customers where external_id = any($1) or id = any($2)

-- name: insert_keys
insert into event_keys (source, event_id, body_hash)
select * from unnest($1::text[], $2::text[], $3::bytea[]) as k (source, event_id, body_hash)
order by source, event_id
on conflict do nothing
returning source, event_id

-- name: known_keys
select source, event_id, body_hash, integration_health_id, incident_id
from event_keys
join unnest($1::text[], $2::text[]) as k (source, event_id) using (source, event_id)

-- name: finish_keys
update event_keys set integration_health_id = k.integration, incident_id = k.incident
from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[]) as k (source, event_id, integration, incident)
where event_keys.source = k.source and event_keys.event_id = k.event_id

-- name: integrations_of_types
select id, customer_id, integration_type, integration_id, removed_at is not null as removed
from integration_health
where (customer_id, integration_type) in (select * from unnest($1::uuid[], $2::text[]))

-- name: register_integrations
insert into integration_health (customer_id, integration_type, integration_id)
select * from unnest($1::uuid[], $2::text[], $3::text[]) as n (customer_id, integration_type, integration_id)
order by customer_id, integration_type, integration_id
on conflict on constraint integration_identity do nothing

-- name: lock_integrations
select id, customer_id, integration_type, status, last_success_at, last_closed_at, failing_since,
       is_critical, muted, removed_at, next_number, monitor, failure_count
from integration_health where id = any($1) order by id for update

-- name: lock_open_incidents
select id, integration_health_id, number, kind, status, severity, category
from incidents where integration_health_id = any($1) and status in ('open', 'recovering')
order by id for update

-- name: failures_in_a_row
select h.id, f.occurred_at, f.weight
from integration_health h
cross join lateral (
  select e.occurred_at, coalesce(e.weight, 'retryable') as weight from integration_events e
  where e.integration_health_id = h.id and e.effect = 'failure'
    and e.occurred_at >= greatest(h.last_success_at, h.last_closed_at, '-infinity')
  order by e.occurred_at desc limit 100
) f
where h.id = any($1)

-- name: insert_event
insert into integration_events (customer_id, integration_type, event_type, error_details, integration_health_id,
  incident_id, source, event_id, occurred_at, effect, weight, new_status, endpoint)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: save_health
update integration_health set
  status = $2, failure_count = $3, failing_since = $4, degraded_since = $5, last_success_at = $6,
  last_failure_at = greatest(last_failure_at, $7), last_successful_sync = greatest(last_successful_sync, $8),
  failure_reason = coalesce($9, failure_reason), error_code = case when $9::text is null then error_code else $10 end,
  muted = $11, next_number = $12, updated_at = now()
where id = $1

-- name: open_incident
insert into incidents (id, integration_health_id, customer_id, number, kind, severity, category, who_fixes, diagnosis,
  failure_reason, error_code, occurrences, opened_at, policy, quiet_window)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: attach_to_incident
update incidents set
  last_seq = last_seq + $2, occurrences = occurrences + $3, opened_at = least(opened_at, $4),
  hint_seq = case when $5::text is null then hint_seq else last_seq + $2 end, hint_kind = coalesce($5, hint_kind),
  hinted_by = case when $5::text is null then hinted_by end,
  hinted_at = case when $5::text is null then hinted_at else now() end,
  recheck_at = case when $5::text is null then recheck_at end,
  customer_reported_at = least(customer_reported_at, $6), updated_at = now()
where id = $1

-- name: worsen
update incidents set kind = 'disconnected', worsened_at = now(), escalation_step = 0, snoozed_until = unsnoozed_at,
  ack_expired_at = acknowledged_at, severity = $2, category = $3, who_fixes = $4, diagnosis = $5,
  failure_reason = $6, error_code = $7, updated_at = now()
where id = $1

-- name: add_to_timeline
insert into incident_timeline (incident_id, kind, actor, details) values ($1, $2, $3, $4)

-- name: add_doorbell
insert into doorbells (incident_id, kind) values ($1, $2)

-- name: long_degraded
select h.id, h.customer_id, h.integration_type, h.degraded_since, h.failure_count, h.next_number, h.error_code
from integration_health h
where h.degraded_since <= now() - $1::interval and h.status = 'degraded' and h.removed_at is null and not h.muted
  and not exists (select from incidents i where i.integration_health_id = h.id and i.status in ('open', 'recovering'))
order by h.id limit 100
for update of h skip locked

-- name: last_failure_of
select event_type, new_status, error_details from integration_events
where integration_health_id = $1 and effect = 'failure' order by occurred_at desc, seq desc limit 1

-- name: took_number
update integration_health set next_number = next_number + 1, updated_at = now() where id = $1
