-- name: person_named
select id from people
where customer_id = $1 and removed_at is null and $2 in (lower(email), lower(slack_user_id), lower(name), id::text)
order by role <> 'csm', role <> 'csm_manager', position limit 1

-- name: contacts
select id, name, email from people
where customer_id = $1 and role = 'technical_contact' and removed_at is null and email is not null
order by position, id

-- name: told_before
select count(*) as count,
  coalesce(bool_or(status = 'sending'
    or (status = 'pending' and (attempts > 0 or details ? 'asked' or retry_at <= now()))  -- else it is held back
    or (status in ('sent', 'unknown') and created_at > now() - $4::interval)), false) as just_now
from deliveries where incident_id = $1 and template = $2 and person_id = $3

-- name: noted
select exists (select from incident_timeline where incident_id = $1 and kind = $2 and details = $3)
