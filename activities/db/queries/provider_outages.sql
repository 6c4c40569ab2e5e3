-- name: of_incident
-- Shared, so that it does not end before what waits for its end says so.
select o.id, o.release_at, o.integration_type, exists (
    select from incidents j join integration_health k on k.id = j.integration_health_id
    where k.integration_type = o.integration_type and j.detected_at >= o.began_at and j.customer_id <> i.customer_id
      and j.status in ('open', 'recovering')) as of_many
from incidents i join integration_health h on h.id = i.integration_health_id
join provider_outages o on o.integration_type = h.integration_type
where i.id = $1 and o.ended_at is null and o.release_at > greatest(now(), $2) and i.detected_at >= o.began_at
for share of o

-- name: rules
select i.policy, i.detected_at, h.integration_type
from incidents i join integration_health h on h.id = i.integration_health_id where i.id = $1

-- name: together
-- The most that were detected within a window in which this one was, too; what an earlier outage told of is not counted.
select together, began_at from (
  select i.detected_at, count(*) over last_window as together, min(i.detected_at) over last_window as began_at
  from incidents i join integration_health h on h.id = i.integration_health_id
  where h.integration_type = $1 and i.status = 'open'
    and i.detected_at between $2::timestamptz - $3::interval and $2 + $3::interval
    and i.detected_at > coalesce((select max(ended_at) from provider_outages where integration_type = $1), '-infinity')
  window last_window as (order by i.detected_at range between $3 preceding and current row)) x
where detected_at >= $2 order by together desc limit 1

-- name: there
select count(*) from integration_health where integration_type = $1 and removed_at is null

-- name: begin
insert into provider_outages (integration_type, began_at, release_at) values ($1, $2, greatest(now(), $3) + $4::interval)
on conflict (integration_type) where ended_at is null do nothing

-- name: hold
with before as (select held_by from deliveries where delivery_key = $1)
update deliveries set held_by = $2, retry_at = $3, error = $4 where delivery_key = $1
returning (select held_by is distinct from $2 from before) as is_new

-- name: open
select id, integration_type, began_at, release_at from provider_outages where ended_at is null

-- name: load
select id, integration_type, began_at, release_at, ended_at from provider_outages where id = $1

-- name: standing
select count(*) filter (where i.status = 'open') as down,
  coalesce(max(greatest(i.detected_at, i.recovering_since, i.closed_at)), o.noticed_at) as last_change_at, o.release_at
from provider_outages o
left join integration_health h on h.integration_type = o.integration_type
left join incidents i on i.integration_health_id = h.id and i.detected_at >= o.began_at
where o.id = $1 group by o.id

-- name: end
update provider_outages set ended_at = now() where id = $1 and ended_at is null

-- name: still_open
select i.id from incidents i join integration_health h on h.id = i.integration_health_id
where h.integration_type = $1 and i.detected_at >= $2 and i.status = 'open'

-- name: release
-- What recovers may hold, and then nobody need hear of it by itself.
update deliveries d set held_by = null, retry_at = now(), error = null
from provider_outages o, incidents i
where o.id = d.held_by and i.id = d.incident_id and d.status = 'pending' and o.ended_at is not null and i.status = 'open'
returning d.incident_id

-- name: untold
select distinct i.customer_id
from incidents i join integration_health h on h.id = i.integration_health_id
where h.integration_type = $1 and i.detected_at >= $2 and i.status = 'open'
  and not exists (select from digests g
    where g.provider_outage_id = $3 and g.role = $4 and i.customer_id = any(g.customers))

-- name: csms_of
select c.id as customer, p.id as person, lower(p.email) as email, lower(p.slack_user_id) as slack, p.timezone
from customers c left join people p on p.customer_id = c.id and p.role = 'csm' and p.removed_at is null
where c.id = any($1) order by p.updated_at desc nulls last, p.id, c.id

-- name: add_to_digest
update digests set
  customers = array(select distinct unnest(customers || $4::uuid[])),
  addresses = array(select distinct unnest(addresses || $3::text[]))
where id = (select id from digests
  where provider_outage_id = $1 and role = $2 and addresses && $3 order by created_at, id limit 1)

-- name: begin_digest
insert into digests (provider_outage_id, role, began_at, addresses, customers, person_id)
select $1, $2, $3, $4, $5, $6
where not exists (select from digests where provider_outage_id = $1 and role = $2 and addresses && $4)

-- name: digests_waiting
-- To be intended, to be sent, or to be edited.
select exists (select from digests g join provider_outages o on o.id = g.provider_outage_id
  left join deliveries d on d.digest_id = g.id
  where g.created_at > now() - interval '2 days' and (d.delivery_key is null
    or d.status = 'pending' and d.retry_at <= now() or d.status = 'sending' and d.lease_until <= now()
    or d.status = 'sent' and (g.shown is null
      or d.channel = 'slack' and (o.ended_at is null or g.shown not like 'over%'))))

-- name: to_edit
-- A mail stays as it is; whoever sent it may have died before it was said so.
select g.id, g.shown, d.delivery_key, d.channel, d.external_id
from digests g join provider_outages o on o.id = g.provider_outage_id join deliveries d on d.digest_id = g.id
where d.status = 'sent' and g.created_at > now() - interval '2 days'
  and (g.shown is null or d.channel = 'slack' and (o.ended_at is null or g.shown not like 'over%'))
order by g.created_at, g.id

-- name: members
select i.id, i.customer_id, c.name as customer, c.arr, h.display_name, h.integration_type, i.status, i.severity,
  i.opened_at, i.alerted_at
from provider_outages o
join integration_health h on h.integration_type = o.integration_type
join incidents i on i.integration_health_id = h.id and i.detected_at >= o.began_at
  and i.detected_at <= coalesce(o.ended_at, 'infinity')
join customers c on c.id = i.customer_id
where o.id = $1
order by array_position(array['critical', 'high', 'medium', 'low'], i.severity), c.arr desc nulls last, i.opened_at, i.id

-- name: shown
update digests set shown = $2 where id = $1
