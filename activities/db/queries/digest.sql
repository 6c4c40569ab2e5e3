-- name: csms
select c.id as customer, p.id as person, lower(p.email) as email, lower(p.slack_user_id) as slack, p.timezone
from customers c left join people p on p.customer_id = c.id and p.role = 'csm' and p.removed_at is null
where $1::uuid[] is null or c.id = any($1)
order by p.updated_at desc nulls last, p.id, c.id

-- name: begun
select week, addresses from digests where week >= $1::timestamptz::date - 3

-- name: lock
lock table digests in share row exclusive mode

-- name: begin
insert into digests (week, began_at, ended_at, addresses, customers, person_id)
select $1, $2, $3, $4, $5, $6 where not exists (select from digests where week = $1 and addresses && $4)
returning id

-- name: digest
select g.id, g.began_at, g.ended_at, g.customers, g.provider_outage_id, g.role, g.person_id, p.name, p.email, p.slack_user_id as slack, p.timezone
from digests g left join people p on p.id = g.person_id where g.id = $1

-- name: about
select digest_id from deliveries where delivery_key = $1

-- name: unintended
select g.id from digests g
where g.created_at > now() - interval '2 days'
  and not exists (select from deliveries d where d.digest_id = g.id)
order by g.created_at, g.id

-- name: under_way
select count(*) from deliveries where digest_id is not null and status in ('pending', 'sending')

-- name: to_send
select delivery_key from deliveries where digest_id is not null and (
  (status = 'pending' and retry_at <= greatest(now(), $1)) or (status = 'sending' and lease_until <= greatest(now(), $1)))
order by attempts, created_at, delivery_key  -- one that fails and fails holds nobody up

-- name: again_at
select min(case when status = 'pending' then retry_at else lease_until end)
from deliveries where digest_id is not null and status in ('pending', 'sending')

-- name: hold_others
update deliveries o set retry_at = d.retry_at from deliveries d
where d.delivery_key = $1 and o.digest_id is not null and o.channel = d.channel and o.status = 'pending'
  and o.retry_at < d.retry_at

-- name: still_open
select c.name as customer, h.display_name, h.integration_type, i.kind, i.status, i.severity, i.who_fixes, i.opened_at,
  i.acknowledged_at is distinct from i.ack_expired_at as acknowledged, i.snoozed_until
from incidents i join customers c on c.id = i.customer_id join integration_health h on h.id = i.integration_health_id
where i.customer_id = any($1) and i.status in ('open', 'recovering')
order by array_position(array['critical', 'high', 'medium', 'low'], i.severity), i.opened_at, i.id

-- name: resolved
select c.name as customer, h.display_name, h.integration_type, i.resolution, i.opened_at, i.closed_at
from incidents i join customers c on c.id = i.customer_id join integration_health h on h.id = i.integration_health_id
where i.customer_id = any($1) and i.resolution in ('verified', 'reported') and i.closed_at >= $2 and i.closed_at < $3
order by i.closed_at - i.opened_at desc, i.id

-- name: ending
select cu.name as customer, h.display_name, h.integration_type, c.kind, c.label, c.ends_at, c.known_since,
  c.renewed_by = 'customer' as customer_renews
from integration_health h
join customers cu on cu.id = h.customer_id
join credential_ends c on c.integration_health_id = h.id
where h.customer_id = any($1) and c.ends_at > $2 and h.removed_at is null
  and not exists (select from incidents i where i.integration_health_id = h.id and i.status in ('open', 'recovering'))
order by c.ends_at, h.id, c.kind, c.label
