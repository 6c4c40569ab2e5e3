-- name: intend
insert into deliveries (delivery_key, incident_id, channel, template, recipient, role, person_id, details)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (delivery_key) do nothing
returning delivery_key

-- name: intend_as_mail
insert into deliveries (delivery_key, integration_health_id, egress_outage_id, digest_id, channel, template, recipient,
  role, person_id, details)
select regexp_replace(delivery_key, 'slack$', 'email'), integration_health_id, egress_outage_id, digest_id, 'email', template,
  $2, role, person_id, details
from deliveries where delivery_key = $1
on conflict (delivery_key) do nothing

-- name: reader_of_thread
select coalesce(
  (select recipient from deliveries where incident_id = $1 and role = 'csm'
    and template = 'integration_disconnected_alert' order by channel = 'slack' desc, created_at limit 1),
  (select coalesce(p.slack_user_id, p.email) from people p join incidents i on i.customer_id = p.customer_id
    where i.id = $1 and p.role = 'csm' and p.removed_at is null order by p.position limit 1),
  '')

-- name: lock_for_claim
select d.*, i.status as incident_status, d.lease_until - now() as lease_left, d.retry_at > greatest(now(), $2) as too_early
from deliveries d left join incidents i on i.id = d.incident_id
where d.delivery_key = $1 for update of d

-- name: claim
update deliveries set status = 'sending', attempts = attempts + 1, attempt_token = $2, lease_until = now() + $3,
  error = null, held_by = null
where delivery_key = $1

-- name: hand_over
update deliveries set handed_over = handed_over + 1
where delivery_key = $1 and attempt_token = $2 and status = 'sending'

-- name: settle
update deliveries set status = $3, external_id = coalesce($4, external_id), error = $5,
  sent_at = case when $3 = 'sent' then now() else sent_at end,
  look_again_at = case when $3 = 'sent' and channel = 'slack' and handed_over > 1 then now() + interval '30 seconds' end
where delivery_key = $1 and attempt_token = $2 and status = 'sending'
returning delivery_key

-- name: retry_later
update deliveries set status = 'pending', retry_at = greatest(now(), $3) + $4, error = $5,
  handed_over = handed_over - $6
where delivery_key = $1 and attempt_token = $2 and status = 'sending'

-- name: suppress
update deliveries set status = 'suppressed', error = $2
where delivery_key = $1 and status in ('pending', 'sending') returning delivery_key

-- name: due
select d.delivery_key from deliveries d join incidents i on i.id = d.incident_id
where d.incident_id = $1 and not waits_for_relapse(d, i) and (
  (d.status = 'pending' and (d.retry_at <= greatest(now(), $2) or is_moot(d, i)))
  or (d.status = 'sending' and d.lease_until <= greatest(now(), $2)))
order by d.created_at limit 20

-- name: anchor
select delivery_key, external_id, status, recipient from deliveries
where incident_id = $1 and role = 'csm' and template = 'integration_disconnected_alert' and channel = 'slack'
order by created_at limit 1

-- name: mark_opened
update deliveries set opened_at = coalesce(opened_at, now())
where incident_id = $1 and person_id = $2 and template = 'integration_disconnected_customer' and opened_at is null
returning delivery_key

-- name: by_key
select delivery_key, external_id, status, recipient from deliveries where delivery_key = $1

-- name: late
-- Of an incident; without one ($1 is null) warnings, digests and the like of the last days, which the index finds, too.
select delivery_key, incident_id, external_id, details, template, created_at from deliveries
where look_again_at <= greatest(now(), $2)
  and (incident_id = $1 or ($1::uuid is null and incident_id is null and created_at > now() - interval '2 days'))

-- name: looked_again
update deliveries set look_again_at = greatest(now(), $2) + $3::interval where delivery_key = $1
