-- name: integrations
select h.id, h.customer_id, h.integration_type, h.integration_id, h.status, h.last_successful_sync, h.last_failure_at,
  h.failure_count, h.failure_reason, h.error_code, h.is_critical, h.alerted_at, h.resolved_at, h.created_at, h.updated_at,
  h.display_name, h.self_serve, h.reconnect_url, h.monitor, h.removed_at,
  jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer,
  (select i.id from incidents i where i.integration_health_id = h.id and i.status in ('open', 'recovering')) as open_incident
from integration_health h join customers c on c.id = h.customer_id
where ($1::uuid is null or h.customer_id = $1)
  and ($2::uuid is null or h.id = $2)
  and ($3::text[] is null or h.status = any($3))
  and ($4::text is null or c.external_id = $4)
  and ($5::text is null or h.integration_type = $5)
  and ($6::boolean or h.removed_at is null)
  and ($7::timestamptz is null or (h.created_at, h.id) > ($7, $8::uuid))
order by h.created_at, h.id limit $9

-- name: incidents
select i.id, i.number, i.status, i.severity, i.resolution, i.category, i.who_fixes, i.occurrences, i.opened_at,
  i.detected_at, i.alerted_at, i.acknowledged_at, i.acknowledged_by, i.snoozed_until, i.closed_at,
  jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer,
  jsonb_build_object('id', h.id, 'integration_type', h.integration_type, 'integration_id', h.integration_id,
    'display_name', h.display_name) as integration
from incidents i
join integration_health h on h.id = i.integration_health_id
join customers c on c.id = i.customer_id
where ($1::uuid is null or i.customer_id = $1)
  and ($2::uuid is null or i.id = $2)
  and ($3::text[] is null or i.status = any($3))
  and ($4::text is null or c.external_id = $4)
  and ($5::text is null or h.integration_type = $5)
  and ($6::text[] is null or i.severity = any($6))
  and ($7::timestamptz is null or (i.detected_at, i.id) < ($7, $8::uuid))
order by i.detected_at desc, i.id desc limit $9

-- name: timeline
select at, kind, actor, details from incident_timeline where incident_id = $1 order by id

-- name: deliveries
select d.channel, d.template, d.recipient, d.status, d.external_id, d.attempts, d.error, d.created_at, d.sent_at,
  d.opened_at, d.role, d.person_id, d.delivery_key, d.details, p.name as person_name,
  d.told_with, o.status as told_status, o.sent_at as told_at
from deliveries d left join people p on p.id = d.person_id left join deliveries o on o.delivery_key = d.told_with
where d.incident_id = $1 order by d.created_at, d.id

-- name: incidents_of_integration
select id, number, kind, status, resolution, opened_at, closed_at, failure_reason, diagnosis from incidents
where integration_health_id = $1 order by number desc limit 50

-- name: people_of_customer
select id, name, email from people where customer_id = $1

-- name: told_nobody
select count(*) from incidents i where i.status = 'open' and i.informed_kind is not null and not exists (
  select from deliveries d where d.incident_id = i.id and d.template <> 'integration_disconnected_note'
    and (d.status in ('pending', 'sending', 'sent', 'unknown') or d.told_with is not null))

-- name: without_a_csm
select count(*) from customers c
where exists (select from integration_health h where h.customer_id = c.id and h.removed_at is null)
  and not exists (select from people p where p.customer_id = c.id and p.role = 'csm' and p.removed_at is null
    and coalesce(p.slack_user_id, p.email) is not null)

-- name: gauges
select 'relink_incidents' as name, 'Incidents that are not over' as help,
  array['severity', severity, 'status', status] as labels, count(*) as value
from incidents where status in ('open', 'recovering') group by severity, status
union all
select 'relink_deliveries', 'Messages by what became of them', array['channel', channel, 'status', status], count(*)
from deliveries group by channel, status
union all
select 'relink_integrations', 'Integrations that are not removed', array['status', status], count(*)
from integration_health where removed_at is null group by status
union all
select 'relink_provider_outages', 'Providers that fail for many at once now', array[]::text[], count(*)
from provider_outages where ended_at is null
union all
select 'relink_doorbells_unrung', 'Facts that Temporal has not been told of yet', array[]::text[], count(*) from doorbells
union all
select 'relink_doorbell_oldest_seconds', 'Age of the oldest of them', array[]::text[],
  coalesce(extract(epoch from now() - min(created_at)), 0) from doorbells

-- name: adjustments
select adjustment, reason, created_at from health_score_adjustments where incident_id = $1 order by created_at, id
