-- name: customers
select c.id, c.name, c.arr,
  exists (select from people p where p.customer_id = c.id and p.removed_at is null and p.role = 'csm'
    and coalesce(p.slack_user_id, p.email) is not null) as csm,
  exists (select from people p where p.customer_id = c.id and p.removed_at is null and p.role = 'csm_manager'
    and coalesce(p.slack_user_id, p.email) is not null) as csm_manager,
  exists (select from people p where p.customer_id = c.id and p.removed_at is null and p.role = 'technical_contact'
    and p.email is not null) as contact
from customers c
where c.id > $2 and exists (select from integration_health h where h.customer_id = c.id and (
  exists (select from integration_events e where e.integration_health_id = h.id and e.occurred_at >= $1)
  or exists (select from incidents i where i.integration_health_id = h.id and i.detected_at >= $1)))
order by c.id limit $3

-- name: integrations
select id, customer_id, integration_type, display_name, is_critical, monitor, removed_at
from integration_health where customer_id = any($1) order by id

-- name: incidents
select i.id, i.customer_id, i.integration_health_id as integration, i.kind, i.severity, i.opened_at, i.detected_at,
  i.worsened_at, i.alerted_at, i.recovering_since as recovered_at, i.closed_at, i.resolution, m.*
from incidents i
cross join lateral (
  select count(*) filter (where d.template = 'integration_disconnected_alert') as alerts,
    count(*) filter (where d.template = 'integration_disconnected_customer' and not d.details ? 'asked') as first_mails,
    count(*) filter (where d.template = 'integration_disconnected_reminder') as reminders,
    count(*) filter (where d.template = 'integration_reconnected_customer') as all_clears,
    count(*) filter (where d.details ? 'asked' or d.template = 'tech_call_invitation') as by_hand,
    count(*) filter (where d.template = 'integration_disconnected_escalation') as escalations,
    count(*) filter (where d.template = 'integration_disconnected_engineering') as pages
  from deliveries d where d.incident_id = i.id and d.status in ('sent', 'unknown')
) m
where i.customer_id = any($1) and (i.detected_at >= $2 or i.closed_at is null or i.closed_at >= $2)
order by i.detected_at, i.id

-- name: events
select e.created_at, e.customer_id, e.integration_health_id as integration, e.occurred_at, e.effect, e.weight,
  e.integration_type, e.event_type, e.new_status, e.error_details, i.who_fixes
from integration_events e
join integration_health h on h.id = e.integration_health_id
left join incidents i on i.id = e.incident_id
where h.customer_id = any($1) and e.occurred_at >= $2 and (h.removed_at is null or e.created_at < h.removed_at)
order by e.seq

-- name: timeline
select t.incident_id as incident, t.at, t.kind, t.actor, t.details, i.customer_id, i.integration_health_id as integration,
  i.alerted_at
from incident_timeline t join incidents i on i.id = t.incident_id
where i.customer_id = any($1) and t.at >= $2 and t.kind in ('acknowledged', 'snoozed', 'recovery_hinted', 'recovering',
  'check_failed', 'closed', 'fix_instructions_requested', 'tech_call_requested', 'fresh_link_requested')
order by t.id
