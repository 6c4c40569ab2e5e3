-- name: customers
select c.id, c.external_id, c.name, c.arr, least(greatest(c.health_score, 0), 100) as health_score, csm.name as csm,
  n.integrations, n.down, n.degraded, ('{critical,high,medium,low}'::text[])[n.worst] as severity,
  array[sort.number::text, sort.text, c.id::text] as place
from customers c
left join lateral (
  select coalesce(p.name, p.email, p.slack_user_id) as name, lower(coalesce(p.email, p.slack_user_id, p.name)) as key
  from people p where p.customer_id = c.id and p.role = 'csm' and p.removed_at is null order by p.position limit 1
) csm on true
cross join lateral (
  select count(*)::integer as integrations, count(i.id)::integer as down,
    (count(*) filter (where i.id is null and h.status = 'degraded'))::integer as degraded,
    min(array_position('{critical,high,medium,low}', i.severity)) as worst
  from integration_health h
  left join incidents i on i.integration_health_id = h.id and i.status in ('open', 'recovering')
  where h.customer_id = c.id and h.removed_at is null
) n
cross join lateral (select
  case $4 when 'arr' then -coalesce(c.arr, 0) when 'score' then c.health_score
    when 'down' then -n.down else 0 end::numeric as number,
  case when $4 = 'name' then lower(c.name) else '' end as text
) sort
where ($1::uuid is null or c.id = $1)
  and ($2::text is null or position(lower($2) in lower(concat_ws(' ', c.name, c.external_id))) > 0)
  and ($3::text is null or coalesce(csm.key, '') = $3)
  and ($5::text is null or (sort.number, sort.text, c.id) > ($5::numeric, $6::text, $7::text::uuid))
  and ($4 <> 'name' or $5::text is null or lower(c.name) >= $6)
order by sort.number, sort.text, c.id limit $8

-- name: incidents
-- Of one customer, or of one of its integrations; newest first.
select i.id, i.number, i.kind, i.status, i.severity, i.resolution, i.category, i.who_fixes, i.opened_at, i.detected_at,
  i.first_acknowledged_at as acknowledged_at, i.recovering_since as recovered_at, i.closed_at,
  i.diagnosis ->> 'reason' as reason,
  jsonb_build_object('id', h.id, 'integration_type', h.integration_type, 'integration_id', h.integration_id,
    'display_name', h.display_name) as integration
from incidents i join integration_health h on h.id = i.integration_health_id
where i.customer_id = $1 and ($2::uuid is null or i.integration_health_id = $2)
  and ($3::timestamptz is null or (i.opened_at, i.id) < ($3, $4::uuid))
order by i.opened_at desc, i.id desc limit $5

-- name: events
-- Of one integration, newest first.
select id, event_type, effect, source, event_id, occurred_at, created_at, error_details as error, new_status, endpoint,
  incident_id as incident
from integration_events
where integration_health_id = $1 and ($2::timestamptz is null or (occurred_at, id) < ($2, $3::uuid))
order by occurred_at desc, id desc limit $4

-- name: credentials
-- The next to end first.
select e.kind, e.label, e.ends_at, e.renewed_by, e.known_since,
  jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer,
  jsonb_build_object('id', h.id, 'integration_type', h.integration_type, 'integration_id', h.integration_id,
    'display_name', h.display_name) as integration,
  array[e.ends_at::text, h.id::text, e.kind, e.label] as place
from credential_ends e
join integration_health h on h.id = e.integration_health_id
join customers c on c.id = h.customer_id
where h.removed_at is null
  and ($1::uuid is null or h.customer_id = $1) and ($2::uuid is null or h.id = $2)
  and ($3::text is null or (e.ends_at, h.id, e.kind, e.label) > ($3::text::timestamptz, $4::text::uuid, $5::text, $6::text))
order by e.ends_at, h.id, e.kind, e.label limit $7

-- name: providers
-- What is connected to each provider, what is down most first.
select h.integration_type, count(*)::integer as integrations, count(distinct h.customer_id)::integer as customers,
  count(i.id)::integer as down, (count(distinct h.customer_id) filter (where i.id is not null))::integer as customers_down
from integration_health h
left join incidents i on i.integration_health_id = h.id and i.status in ('open', 'recovering')
where gone_since(h) is null
group by h.integration_type order by down desc, integrations desc, h.integration_type

-- name: named_incidents
select i.id, i.number, i.opened_at as at, i.diagnosis ->> 'reason' as what, i.status,
  jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer,
  jsonb_build_object('id', h.id, 'integration_type', h.integration_type, 'integration_id', h.integration_id,
    'display_name', h.display_name) as integration
from incidents i
join integration_health h on h.id = i.integration_health_id
join customers c on c.id = h.customer_id
where i.id = any($1::uuid[])

-- name: named_reports
select e.id, e.occurred_at as at, e.source as what, e.incident_id as incident,
  jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer,
  jsonb_build_object('id', h.id, 'integration_type', h.integration_type, 'integration_id', h.integration_id,
    'display_name', h.display_name) as integration
from integration_events e
join integration_health h on h.id = e.integration_health_id
join customers c on c.id = h.customer_id
where e.id = any($1::uuid[])

-- name: named_integrations
select h.id, h.created_at as at, h.status as what,
  jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer,
  jsonb_build_object('id', h.id, 'integration_type', h.integration_type, 'integration_id', h.integration_id,
    'display_name', h.display_name) as integration
from integration_health h
join customers c on c.id = h.customer_id
where h.id = any($1::uuid[])

-- name: open_outage
select id, began_at, release_at from provider_outages where integration_type = $1 and ended_at is null
