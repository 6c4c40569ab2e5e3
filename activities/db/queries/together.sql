-- name: lock_contact
select p.id from people p join deliveries d on d.person_id = p.id
where d.delivery_key = $1 and d.channel = 'email'
  and d.template in ('integration_disconnected_customer', 'integration_disconnected_reminder')
for no key update of p

-- name: rules
select i.policy, i.customer_id, greatest(now(), $4::timestamptz) as at,
  clock_start(i) as clock_start,
  case when i.snoozed_until is distinct from i.unsnoozed_at then i.snoozed_until end as snoozed_until,
  (select max(case
      when d.status in ('pending', 'sending') then greatest(now(), $4)  -- it is about to go out
      else coalesce(d.sent_at, d.created_at) end)
   from deliveries d
   where d.person_id = $2 and d.delivery_key <> $3 and d.channel = 'email' and d.incident_id is not null
     and d.template in ('integration_disconnected_customer', 'integration_disconnected_reminder', 'tech_call_invitation')
     and (d.status in ('sending', 'sent', 'unknown') or d.status = 'pending' and (
       d.attempts > 0 or d.details ? 'asked' or d.template = 'tech_call_invitation'))) as last_mail
from incidents i where i.id = $1

-- name: on_their_way
select i.detected_at, i.policy from incidents i
where i.customer_id = $1 and i.id <> $2 and i.status = 'open' and i.kind = 'disconnected' and i.informed_kind is null
  and i.who_fixes in ('customer_user', 'customer_admin')
  and not exists (select from deliveries d
    where d.incident_id = i.id and d.template = 'integration_disconnected_customer')
order by i.detected_at desc limit 20

-- name: reminders_on_their_way
select clock_start(i) as clock_start, i.reminders_sent, i.policy
from incidents i
where i.customer_id = $1 and i.id <> $2 and i.status = 'open' and i.kind = 'disconnected'
  and i.hint_seq <= i.checked_seq and i.snoozed_until is not distinct from i.unsnoozed_at
  and exists (select from deliveries d left join deliveries o on o.delivery_key = d.told_with
    where d.incident_id = i.id and d.template = 'integration_disconnected_customer' and d.person_id = $3
      and coalesce(o.status, d.status) in ('sent', 'unknown'))
order by i.detected_at desc limit 20

-- name: sent_by_hand
select o.delivery_key from deliveries d join deliveries o on o.incident_id = d.incident_id
where d.delivery_key = $1 and o.delivery_key <> d.delivery_key and o.template = d.template
  and o.person_id = d.person_id and o.details ? 'asked' and o.status in ('pending', 'sending', 'sent', 'unknown')
limit 1

-- name: hold
update deliveries set retry_at = $2, error = $3 where delivery_key = $1

-- name: put_back
update deliveries set status = 'pending' where delivery_key = $1

-- name: waiting
select d.delivery_key, d.incident_id from deliveries d join incidents i on i.id = d.incident_id
where d.person_id = $1 and d.delivery_key <> $2 and d.channel = 'email' and d.template = $3
  and d.status = 'pending' and d.attempts = 0 and d.held_by is null
  and not d.details ? 'asked'
  and (d.template = 'integration_disconnected_customer' or i.snoozed_until is not distinct from i.unsnoozed_at)
  and (i.policy #>> '{customer,min_between_mails}' is distinct from '0s'  -- else it was not to be told together
    or i.policy #>> '{customer,group_within}' is distinct from '0s')
  and not exists (select from deliveries o where o.incident_id = d.incident_id and o.person_id = d.person_id
    and o.template = d.template and o.details ? 'asked' and o.status in ('pending', 'sending', 'sent', 'unknown'))
order by d.created_at, d.delivery_key limit 20 for update of d

-- name: states
select id, status from incidents where id = any($1) order by id for share

-- name: tell_with
update deliveries set told_with = $2 where delivery_key = $1

-- name: along
select delivery_key, incident_id, template, details from deliveries where told_with = $1 and status = 'suppressed'
order by created_at, delivery_key

-- name: let_go
update deliveries set status = 'pending', told_with = null, error = null, retry_at = now() where delivery_key = $1

-- name: fail
update deliveries set status = 'failed', error = $2 where delivery_key = $1
