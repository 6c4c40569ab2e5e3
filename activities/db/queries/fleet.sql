-- name: plan_for_these_filters
-- The filters below are parameters; a plan for any values could use no index of those that are given.
set local plan_cache_mode = force_custom_plan

-- name: rows
select h.id, h.customer_id, h.integration_type, h.integration_id, h.display_name, h.status, h.is_critical,
  h.last_successful_sync, h.last_failure_at, c.arr,
  jsonb_build_object('id', c.id, 'external_id', c.external_id, 'name', c.name) as customer,
  csm.name as csm, csm.key as csm_key,
  case when i.id is not null then jsonb_build_object('id', i.id, 'number', i.number, 'kind', i.kind, 'status', i.status,
    'severity', i.severity, 'who_fixes', i.who_fixes, 'reason', i.diagnosis ->> 'reason', 'opened_at', i.opened_at,
    'acknowledged_at', case when i.acknowledged_at is distinct from i.ack_expired_at then i.acknowledged_at end,
    'snoozed_until', case when i.snoozed_until > now() then i.snoozed_until end) end as incident,
  array[sort.number::text, sort.text, h.id::text] as place
from integration_health h
join customers c on c.id = h.customer_id
left join incidents i on i.integration_health_id = h.id and i.status in ('open', 'recovering')
left join lateral (
  select coalesce(p.name, p.email, p.slack_user_id) as name, lower(coalesce(p.email, p.slack_user_id, p.name)) as key
  from people p where p.customer_id = c.id and p.role = 'csm' and p.removed_at is null order by p.position limit 1
) csm on true
cross join lateral (select
  coalesce(case $8
    when 'severity' then array_position('{critical,high,medium,low}', i.severity) * 1e11 + extract(epoch from i.opened_at)
    when 'longest' then extract(epoch from i.opened_at)
    when 'newest' then -extract(epoch from i.opened_at)
    when 'arr' then -coalesce(c.arr, 0)
  end, case when $8 = 'customer' then 0 else 1e12 end) as number,
  case when $8 = 'customer' then lower(c.name) else '' end as text
) sort
where h.removed_at is null
  and ($1::uuid is null or h.customer_id = $1)
  and case $2 when 'down' then i.id is not null when 'all' then true
    else i.id is null and h.status = case $2 when 'degraded' then 'degraded' else 'healthy' end end
  and ($3::text[] is null or i.severity = any($3))
  and ($4::text is null or h.integration_type = $4)
  and ($5::text is null or coalesce(csm.key, '') = $5)
  and ($6::text is null or c.external_id = $6)
  and ($7::text is null or position(lower($7) in
    lower(concat_ws(' ', c.name, c.external_id, h.display_name, h.integration_type, h.integration_id))) > 0)
  and ($9::text is null or (sort.number, sort.text, h.id) > ($9::numeric, $10::text, $11::text::uuid))
order by sort.number, sort.text, h.id limit $12

-- name: counts
with shown as (
  select i.severity, h.integration_type, csm.key, csm.name
  from incidents i
  join integration_health h on h.id = i.integration_health_id
  left join lateral (
    select coalesce(p.name, p.email, p.slack_user_id) as name, lower(coalesce(p.email, p.slack_user_id, p.name)) as key
    from people p where p.customer_id = h.customer_id and p.role = 'csm' and p.removed_at is null
    order by p.position limit 1
  ) csm on true
  where i.status in ('open', 'recovering') and h.removed_at is null and ($1::uuid is null or h.customer_id = $1)
)
select case grouping(severity, integration_type, key) when 3 then 'severity' when 5 then 'provider' when 6 then 'csm'
    else 'all' end as facet,
  coalesce(severity, integration_type, key, '') as value,
  case when grouping(key) = 0 then max(name) end as name, count(*)::integer as count
from shown group by grouping sets ((severity), (integration_type), (key), ())
order by count desc, value

-- name: totals
select count(*) filter (where h.status = 'healthy' and i.id is null)::integer as healthy,
  count(*) filter (where h.status = 'degraded' and i.id is null)::integer as degraded, count(*)::integer as total
from integration_health h
left join incidents i on i.integration_health_id = h.id and i.status in ('open', 'recovering')
where h.removed_at is null and ($1::uuid is null or h.customer_id = $1)
