-- name: histories
-- One row for each incident that was not over before $1, one for an integration without; existing between $1 and $2.
select h.id, h.customer_id, h.integration_type, h.integration_id, h.display_name, h.is_critical, h.status, h.created_at,
  h.removed_at, c.external_id, c.name,
  gone_since(h) as ended_at,
  i.id as incident, i.kind, i.category, i.who_fixes, i.opened_at, i.detected_at, i.worsened_at, i.first_acknowledged_at,
  i.recovering_since, i.closed_at, i.resolution, i.customer_reported_at
from integration_health h
join customers c on c.id = h.customer_id
left join incidents i on i.integration_health_id = h.id and i.opened_at < $2 and coalesce(i.closed_at, 'infinity') > $1
where ($3::uuid[] is null or h.customer_id = any($3)) and ($4::uuid[] is null or h.id = any($4))
  and ($5::text is null or h.integration_type = $5)
  and h.created_at < $2 and coalesce(h.removed_at, 'infinity') > $1
order by c.external_id, h.integration_type, h.integration_id, h.id

-- name: uncounted
select h.id, m.starts_at, m.ends_at
from maintenance_windows m
join integration_health h on (m.customer_id is null or h.customer_id = m.customer_id)
  and (m.integration_type is null or h.integration_type = m.integration_type)
  and (m.integration_id is null or h.integration_id = m.integration_id)
where m.starts_at < $2 and m.ends_at > $1
  and ($3::uuid[] is null or h.customer_id = any($3)) and ($4::uuid[] is null or h.id = any($4))
  and ($5::text is null or h.integration_type = $5)
union all
select a.integration_health_id, a.gone_at, a.back_at
from integration_absences a
join integration_health h on h.id = a.integration_health_id
where a.gone_at < $2 and a.back_at > $1
  and ($3::uuid[] is null or h.customer_id = any($3)) and ($4::uuid[] is null or h.id = any($4))
  and ($5::text is null or h.integration_type = $5)

-- name: reported
select id from integration_events
where event_type = 'customer_reported' and occurred_at >= $1 and occurred_at < $2
  and ($3::uuid[] is null or customer_id = any($3))
order by occurred_at desc, id

-- name: ledger
select a.id, a.adjustment, a.reason, a.created_at, a.incident_id as incident,
  jsonb_build_object('id', h.id, 'integration_type', h.integration_type, 'integration_id', h.integration_id,
    'display_name', h.display_name) as integration
from health_score_adjustments a
join incidents i on i.id = a.incident_id
join integration_health h on h.id = i.integration_health_id
where a.customer_id = $1 and ($2::timestamptz is null or (a.created_at, a.id) < ($2, $3::uuid))
order by a.created_at desc, a.id desc limit $4

-- name: score
select c.health_score_base as base, c.health_score as score, least(greatest(c.health_score, 0), 100) as shown,
  coalesce((select sum(a.adjustment) from health_score_adjustments a where a.customer_id = c.id), 0)::integer as adjustments
from customers c where c.id = $1

-- name: plan_maintenance
insert into maintenance_windows (customer_id, integration_type, integration_id, starts_at, ends_at, note)
select $1::uuid, $2::text, $3::text, $4, $5, $6
where exists (select from integration_health h
  where ($1 is null or h.customer_id = $1) and ($2 is null or h.integration_type = $2)
    and ($3 is null or h.integration_id = $3))
returning id

-- name: maintenance
select m.id, c.external_id as customer, m.integration_type, m.integration_id, m.starts_at as "from",
  m.ends_at as until, m.note, m.created_at
from maintenance_windows m left join customers c on c.id = m.customer_id
where ($1::uuid is null or m.customer_id = $1) and ($2::uuid is null or m.id = $2)
  and ($3::text is null or c.external_id = $3)
  and ($4::timestamptz is null or (m.starts_at, m.id) < ($4, $5::uuid))
order by m.starts_at desc, m.id desc limit $6

-- name: cancel_maintenance
delete from maintenance_windows where id = $1 and ($2::uuid is null or customer_id = $2)
