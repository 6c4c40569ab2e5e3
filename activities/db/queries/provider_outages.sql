-- name: of_incident
-- Shared, so that it does not end before what waits for its end says so.
select o.id, o.release_at, coalesce(i.diagnosis ->> 'provider_name', o.integration_type) as provider, exists (
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
select together, began_at, of_many, untold from (
  select i.detected_at, count(*) over last_window as together, min(i.detected_at) over last_window as began_at,
    min(i.customer_id::text) over last_window <> max(i.customer_id::text) over last_window as of_many,
    count(*) filter (where i.alerted_at is null) over last_window as untold
  from incidents i join integration_health h on h.id = i.integration_health_id
  where h.integration_type = $1 and i.status in ('open', 'recovering')
    and i.detected_at between $2::timestamptz - $3::interval and $2 + $3::interval
    and i.detected_at > coalesce((select max(ended_at) from provider_outages where integration_type = $1), '-infinity')
  window last_window as (order by i.detected_at range between $3 preceding and current row)) x
where detected_at >= $2 order by together desc limit 1

-- name: there
select count(*) from integration_health where integration_type = $1 and removed_at is null

-- name: begin
-- Whoever notices later may have failed earlier.
insert into provider_outages as o (integration_type, began_at, release_at)
values ($1, $2, greatest(now(), $3) + $4::interval)
on conflict (integration_type) where ended_at is null
do update set began_at = excluded.began_at where excluded.began_at < o.began_at

-- name: hold
update deliveries set held_by = $2, retry_at = $3, error = $4 where delivery_key = $1

-- name: open
select id, integration_type, began_at, release_at, ended_at, now() as now from provider_outages where ended_at is null

-- name: load
select id, integration_type, began_at, release_at, ended_at, now() as now from provider_outages where id = $1

-- name: lock
select id from provider_outages where id = $1 and ended_at is null for update

-- name: standing
select count(*) filter (where i.status = 'open') as down, count(*) filter (where i.status = 'recovering') as recovering,
  max(greatest(i.detected_at, coalesce(i.recovering_since, i.closed_at), (
    select max(t.at) from incident_timeline t
    where i.relapses > 0 and t.incident_id = i.id and t.kind = 'relapsed'))) as last_change_at
from incidents i join integration_health h on h.id = i.integration_health_id
where h.integration_type = $1 and i.detected_at >= $2

-- name: end
update provider_outages set ended_at = now() where id = $1

-- name: still_open
select i.id from incidents i join integration_health h on h.id = i.integration_health_id
where h.integration_type = $1 and i.detected_at >= $2 and i.status in ('open', 'recovering')

-- name: to_release
-- What recovers may hold, and then nobody need hear of it by itself. The incidents first, as everywhere.
select i.id from incidents i
where i.status = 'open' and i.id in (
  select d.incident_id from deliveries d join provider_outages o on o.id = d.held_by
  where d.status = 'pending' and o.ended_at is not null)
order by i.id for key share of i

-- name: release
update deliveries set held_by = null, retry_at = now(), error = null
where incident_id = any($1) and held_by is not null and status = 'pending'

-- name: untold
select distinct i.customer_id
from incidents i join integration_health h on h.id = i.integration_health_id
where h.integration_type = $1 and i.detected_at >= $2 and i.status = 'open'
  and not exists (select from digests g
    where g.provider_outage_id = $3 and g.role = $4 and i.customer_id = any(g.customers))

-- name: add_to_digest
update digests set
  customers = array(select distinct unnest(customers || $4::uuid[])),
  addresses = array(select distinct unnest(addresses || $3::text[]))
where id = (select id from digests
  where provider_outage_id = $1 and role = $2 and addresses && $3 order by created_at, id limit 1)

-- name: begin_digest
insert into digests (provider_outage_id, role, began_at, addresses, customers, person_id) values ($1, $2, $3, $4, $5, $6)

-- name: revive
-- It was not sent because all of its customers' were back; now some are down again.
update deliveries d set status = 'pending', error = null, retry_at = now()
from digests g
where g.provider_outage_id = $1 and d.digest_id = g.id and d.status = 'suppressed' and exists (
  select from incidents i join integration_health h on h.id = i.integration_health_id
  where h.integration_type = $2 and i.detected_at >= $3 and i.status = 'open' and i.customer_id = any(g.customers))

-- name: digests_waiting
-- To be intended, to be sent, or to be brought up to date.
select exists (select from digests g join provider_outages o on o.id = g.provider_outage_id
  left join deliveries d on d.digest_id = g.id
  where coalesce(o.ended_at, 'infinity') > now() - interval '1 hour' and (d.delivery_key is null
    or d.status = 'pending' and d.retry_at <= now() or d.status = 'sending' and d.lease_until <= now()
    or d.status in ('sent', 'unknown') and (g.shown is null or g.shown not like 'over%')))

-- name: to_edit
-- Those that nobody has written down as sent first, then those that were looked at longest ago.
select g.id, g.provider_outage_id as outage, g.shown, d.delivery_key, d.channel, d.external_id
from digests g join provider_outages o on o.id = g.provider_outage_id join deliveries d on d.digest_id = g.id
where d.status in ('sent', 'unknown') and not d.details ? 'closing'
  and coalesce(o.ended_at, 'infinity') > now() - interval '1 hour' and (g.shown is null or g.shown not like 'over%')
order by g.shown is not null, g.shown_at, g.created_at, g.id

-- name: members
select i.id, i.customer_id, c.name as customer, c.arr, h.display_name, h.integration_type, i.status, i.severity,
  i.opened_at, i.alerted_at
from integration_health h
join incidents i on i.integration_health_id = h.id and i.detected_at between $2 and $3
join customers c on c.id = i.customer_id
where h.integration_type = $1
order by array_position(array['critical', 'high', 'medium', 'low'], i.severity), c.arr desc nulls last, i.opened_at, i.id

-- name: first_told
-- One whose response has not come to its risk signal yet may be over before that: it counts as told later, or never.
with locked as (select id from incidents where id = any($1) order by id for update)
update incidents set alerted_at = greatest(now(), $2), updated_at = now()
where id in (select id from locked) and alerted_at is null
  and exists (select from risk_signals s where s.incident_id = incidents.id) returning id

-- name: shown
-- Somebody else may have said something else meanwhile: then it is looked at once more.
update digests set shown = case when shown is not distinct from $3 then $2 else '' end, shown_at = now() where id = $1
