-- name: situation
select i.id as incident_id, i.number, i.customer_id, h.integration_type, i.kind, i.status, i.severity, i.resolution,
  i.detected_at, i.alerted_at, i.worsened_at, i.acknowledged_at, i.ack_expired_at, i.snoozed_until, i.unsnoozed_at,
  i.informed_kind is not distinct from i.kind as informed,
  i.hint_seq > i.checked_seq as recovery_hinted,
  i.recheck_at, i.last_seq, i.quiet_until, i.escalation_step, i.reminders_sent, i.policy,
  h.monitor,
  exists (select from deliveries d left join deliveries o on o.delivery_key = d.told_with
          where d.incident_id = i.id and d.template = 'integration_disconnected_customer'
          and coalesce(o.status, d.status) in ('sent', 'unknown')) as customer_mailed,
  (select min(case when is_moot(d, i) then d.created_at when d.status = 'pending' then d.retry_at
                   when d.status = 'sending' then d.lease_until else d.look_again_at end)
   from deliveries d where d.incident_id = i.id and (d.status in ('pending', 'sending') or d.look_again_at is not null)
     and not waits_for_relapse(d, i)) as next_retry_at,
  (select coalesce(o.ended_at, o.release_at) from outage_of(i) o) as outage_over_at
from incidents i join integration_health h on h.id = i.integration_health_id where i.id = $1

-- name: mark_confirmed
update incidents set confirmed_at = coalesce(confirmed_at, now()), updated_at = now() where id = $1 and confirmed_at is null

-- name: mark_informed
update incidents set informed_kind = $2, updated_at = now() where id = $1 and informed_kind is distinct from $2

-- name: mark_announced
update incidents set announced_at = now(), updated_at = now() where id = $1 and announced_at is null

-- name: mark_snooze_ended
update incidents set unsnoozed_at = snoozed_until, updated_at = now()
where id = $1 and snoozed_until is distinct from unsnoozed_at and snoozed_until <= greatest(now(), $2)

-- name: mark_ack_expired
update incidents set ack_expired_at = acknowledged_at, updated_at = now(),
  escalation_step = greatest(least(escalation_step, $2 - 1), 0)
where id = $1 and acknowledged_at is distinct from ack_expired_at and status = 'open'
  and acknowledged_at + $3::interval <= greatest(now(), $4)

-- name: mark_escalated
update incidents set escalation_step = $2, updated_at = now() where id = $1 and escalation_step < $2 and status = 'open' and hint_seq <= checked_seq
  and acknowledged_at is not distinct from ack_expired_at and snoozed_until is not distinct from unsnoozed_at

-- name: mark_reminded
update incidents set reminders_sent = $2, updated_at = now() where id = $1 and reminders_sent < $2 and status = 'open' and hint_seq <= checked_seq
  and snoozed_until is not distinct from unsnoozed_at

-- name: lock
select h.id as integration_health_id, h.customer_id, h.is_critical, h.monitor, h.last_success_at, h.last_failure_at,
  h.status as health_status
from incidents i join integration_health h on h.id = i.integration_health_id where i.id = $1 for update of h

-- name: lock_incident
select * from incidents where id = $1 for update

-- name: begin_recovery
update incidents set status = 'recovering', recovering_since = now(), quiet_until = greatest(now(), $2) + quiet_window,
  evidence = $3, checked_seq = hint_seq, recheck_at = null, updated_at = now()
where id = $1 and status = 'open'
returning quiet_until

-- name: recheck_later
update incidents set recheck_at = greatest(now(), $2) + $3, updated_at = now() where id = $1

-- name: hold_longer
update incidents set quiet_until = greatest(now(), $2) + $3, updated_at = now() where id = $1 and status = 'recovering'

-- name: hint_checked
update incidents set checked_seq = greatest(checked_seq, $2), recheck_at = null, updated_at = now() where id = $1

-- name: hint
update incidents set last_seq = last_seq + 1, hint_seq = last_seq + 1, hint_kind = $2, hinted_by = $3, hinted_at = now(),
  recheck_at = null, updated_at = now()
where id = $1 and status in ('open', 'recovering')

-- name: reopen
update incidents set status = 'open', relapses = relapses + 1, recovering_since = null, quiet_until = null,
  evidence = null, hint_kind = null, hinted_by = null, quiet_window = least(quiet_window * 2, greatest(quiet_window, interval '4 hours')), updated_at = now()
where id = $1 and status = 'recovering'
returning relapses

-- name: close
update incidents set status = $2, resolution = $3, closed_at = now(), closed_by = $4, resolution_note = $5,
  updated_at = now()
where id = $1

-- name: healthy_again
update integration_health set status = 'healthy', failure_count = 0, failing_since = null, degraded_since = null,
  last_successful_sync = case when $2 then greatest(last_successful_sync, now()) else last_successful_sync end,
  last_success_at = case when $3 then greatest(last_success_at, now()) else last_success_at end,
  updated_at = now()
where id = $1

-- name: failing_again
update integration_health set status = $2, failing_since = coalesce(failing_since, now()),
  last_failure_at = now(), updated_at = now()
where id = $1

-- name: resolved
update integration_health set resolved_at = now(), last_closed_at = now(), failure_count = 0, failing_since = null,
  muted = $2, updated_at = now()
where id = $1

-- name: finish_task
update tasks set status = $2, finished_at = now() where incident_id = $1 and status = 'open'

-- name: resolve_signal
update risk_signals set status = 'resolved', resolved_at = now() where incident_id = $1 and status = 'open'

-- name: adjust_health_score
with adjusted as (
  insert into health_score_adjustments (customer_id, incident_id, adjustment, reason) values ($1, $2, $3, $4)
  on conflict (incident_id, reason) do nothing
  returning customer_id, adjustment
)
update customers c set health_score = c.health_score + a.adjustment, updated_at = now()
from adjusted a where c.id = a.customer_id
returning a.adjustment

-- name: charged
select customer_id, sum(adjustment)::integer as adjustment, count(*) filter (where adjustment > 0) as given_back
from health_score_adjustments where incident_id = $1 group by customer_id

-- name: create_risk_signal
insert into risk_signals (customer_id, incident_id, severity, details) values ($1, $2, $3, $4)
on conflict (incident_id) do update set severity = excluded.severity, details = excluded.details
  where risk_signals.details is distinct from excluded.details or risk_signals.severity is distinct from excluded.severity
returning xmax = 0 as created

-- name: create_task
insert into tasks (customer_id, incident_id, title, due_at, priority, assignee)
values ($1, $2, $3, $4, $5, $6) on conflict (incident_id) do nothing returning id

-- name: assess
update incidents set severity = $2, assessed_kind = $3, assessed_at = coalesce(assessed_at, now()), updated_at = now()
where id = $1 and kind = $3 and assessed_kind is distinct from $3

-- name: alerted
with locked as (select id from incidents where id = any($1) order by id for update)
update incidents set alerted_at = coalesce(alerted_at, greatest(now(), $2)), updated_at = now()
where id in (select id from locked)

-- name: alerted_health
with locked as (
  select id from integration_health
  where id in (select integration_health_id from incidents where id = any($1)) order by id for update
)
update integration_health set alerted_at = now(), updated_at = now() where id in (select id from locked)

-- name: acknowledge
update incidents set acknowledged_at = now(), first_acknowledged_at = coalesce(first_acknowledged_at, now()),
  acknowledged_by = $2, updated_at = now()
where id = $1

-- name: snooze
update incidents set snoozed_until = $2, updated_at = now() where id = $1

-- name: view
select i.id as incident_id, i.integration_health_id, i.number, i.kind, i.status, i.severity, i.resolution, i.category,
  i.who_fixes, i.occurrences, i.opened_at, i.detected_at, i.alerted_at, i.acknowledged_at, i.acknowledged_by,
  coalesce(i.acknowledged_at = i.ack_expired_at, false) as acknowledgement_expired, i.snoozed_until, i.recovering_since,
  i.quiet_until, i.closed_at, i.closed_by, i.resolution_note, i.relapses, i.error_code, i.evidence, i.diagnosis,
  i.policy, i.hinted_by, i.customer_reported_at is not null as customer_reported,
  c.id as customer_id, c.external_id as customer_external_id, c.name as customer_name, c.arr,
  h.integration_type, h.integration_id, h.display_name, h.is_critical, h.self_serve, h.reconnect_url,
  coalesce((select jsonb_agg(jsonb_build_object('role', p.role, 'id', p.id, 'name', p.name, 'email', p.email,
      'slack', p.slack_user_id, 'title', p.title, 'timezone', p.timezone, 'locale', p.locale) order by p.position)
    from people p where p.customer_id = c.id and p.removed_at is null), '[]') as people,
  (select jsonb_build_object('opened_at', b.opened_at, 'closed_at', b.closed_at) from incidents b
    where b.integration_health_id = h.id and b.number < i.number
      and b.resolution is distinct from 'not_confirmed' and b.resolution is distinct from 'false_alarm'
    order by b.number desc limit 1) as previous,
  (select count(*) from incidents b where b.integration_health_id = h.id and b.number < i.number
      and b.resolution is distinct from 'not_confirmed' and b.resolution is distinct from 'false_alarm')
    as previous_count,
  (select jsonb_build_object('status', coalesce(o.status, d.status), 'name', p.name,
      'sent_at', coalesce(o.sent_at, d.sent_at), 'opened_at', d.opened_at,
      'held_until', case when d.status = 'pending' and d.attempts = 0 and d.retry_at > now() then d.retry_at end,
      'in_outage', d.held_by is not null,
      'others', (select count(*) from deliveries t where t.told_with = coalesce(d.told_with, d.delivery_key)))
    from deliveries d left join deliveries o on o.delivery_key = d.told_with left join people p on p.id = d.person_id
    where d.incident_id = i.id and d.template = 'integration_disconnected_customer'
    order by d.created_at desc limit 1) as customer_mail,
  exists (select from deliveries d where d.incident_id = i.id and d.held_by is not null
    and d.template = 'integration_disconnected_alert') as told_in_digest
from incidents i
join customers c on c.id = i.customer_id
join integration_health h on h.id = i.integration_health_id
where i.id = $1

-- name: unrung
select distinct d.incident_id, i.integration_health_id, i.number,
  array(select distinct k.kind from doorbells k where k.incident_id = d.incident_id) as kinds
from doorbells d join incidents i on i.id = d.incident_id
where d.created_at < now() - $1::interval
limit 500

-- name: doorbells_of
select d.id, d.kind, i.integration_health_id, i.number
from doorbells d join incidents i on i.id = d.incident_id where d.incident_id = $1 order by d.id

-- name: delete_doorbells
delete from doorbells where id = any($1)

-- name: unfinished
select id, integration_health_id, number from incidents
where announced_at is null and detected_at < now() - $1::interval and id > $2 order by id limit 1000

-- name: mailed_contacts
select distinct on (d.recipient) d.recipient, d.person_id
from deliveries d left join deliveries o on o.delivery_key = d.told_with
where d.incident_id = $1 and d.channel = 'email' and d.role = 'technical_contact'
  and d.template in ('integration_disconnected_customer', 'integration_disconnected_reminder')
  and coalesce(o.status, d.status) in ('sent', 'unknown')

-- name: monitored
select i.id, i.status, i.last_seq, i.hint_seq, i.hint_kind, i.hinted_at, i.confirmed_at, i.integration_health_id, i.number,
  h.monitor, h.monitor_secrets, h.last_success_at, h.last_failure_at, h.customer_id
from incidents i join integration_health h on h.id = i.integration_health_id where i.id = $1

-- name: was_held
select exists (select from incident_timeline
  where incident_id = $1 and kind = 'notice_held' and details ->> 'role' = $2 and details ->> 'rule' = $3)

-- name: fixed_by
-- By what this recovery began with: a relapse has taken back whatever was said or done before it.
select case
  when i.hint_kind = 'callback' then 'customer'
  when i.hint_kind = 'person' then 'person'
  when i.who_fixes = 'our_engineering' then 'engineering'
  when i.who_fixes = 'provider' then 'provider'
  when i.relapses = 0 and exists (select from deliveries d where d.incident_id = i.id and d.opened_at is not null)
    then 'customer'
  when i.who_fixes in ('customer_user', 'customer_admin') then 'unseen'
  else 'itself' end
from incidents i where i.id = $1

-- name: escalated_to
select id, delivery_key, channel, recipient, role, person_id from deliveries
where incident_id = $1 and status in ('sent', 'unknown')
  and template in ('integration_disconnected_escalation', 'integration_disconnected_engineering')
order by created_at
