-- name: claim
with oldest as (
  select integration_health_id, host, due_at from probes
  where due_at <= $1 and (host is null or host <> all($3::text[]))
  order by due_at limit $2 * 4
), ranked as (
  select integration_health_id, due_at, row_number() over (partition by host order by due_at) as nth, host from oldest
), chosen as (
  select integration_health_id from probes
  where due_at <= $1 and integration_health_id in (
    select integration_health_id from ranked where host is null or nth <= $4 order by due_at limit $2)
  for update skip locked
), claimed as (
  update probes p set claim_token = gen_random_uuid(), claimed_at = $1, due_at = $1 + $5::interval
  from chosen c where p.integration_health_id = c.integration_health_id
  returning p.*
)
select c.integration_health_id, c.claim_token, c.claimed_at, c.due_at as lease_until, c.host, c.every, c.verdict,
  c.failures, c.successes, c.rate_limits, c.limping_since, h.customer_id, h.integration_type, h.integration_id
from claimed c join integration_health h on h.id = c.integration_health_id

-- name: next_due
select min(due_at) from probes

-- name: release
update probes set claim_token = null, due_at = $2 where claim_token = any($1)

-- name: lock
select id from integration_health where id = any($1) order by id for update

-- name: still_claimed
select integration_health_id from probes where claim_token = any($1) order by integration_health_id for update

-- name: standings
select h.id, h.status, coalesce(h.failure_count, 0) > 0 as failing, h.muted, h.last_closed_at,
  coalesce(i.status, 'none') as incident
from integration_health h
left join incidents i on i.integration_health_id = h.id and i.status in ('open', 'recovering')
where h.id = any($1)

-- name: settle
update probes p set due_at = s.due_at, claim_token = null, probed_at = s.probed_at, verdict = s.verdict,
  failures = s.failures, successes = s.successes, rate_limits = s.rate_limits, limping_since = s.limping_since,
  last_probe = s.last_probe
from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::integer[], $6::integer[], $7::integer[],
            $8::timestamptz[], $9::jsonb[])
  as s (id, due_at, probed_at, verdict, failures, successes, rate_limits, limping_since, last_probe)
where p.integration_health_id = s.id

-- name: still_works
update integration_health h set last_successful_sync = greatest(h.last_successful_sync, s.at),
  last_success_at = greatest(h.last_success_at, s.at), updated_at = now()
from unnest($1::uuid[], $2::timestamptz[]) as s (id, at) where h.id = s.id

-- name: still_fails
with failing as (
  update integration_health h set last_failure_at = greatest(h.last_failure_at, s.at),
    failure_count = coalesce(h.failure_count, 0) + 1, updated_at = now()
  from unnest($1::uuid[], $2::timestamptz[]) as s (id, at) where h.id = s.id
  returning h.id
)
update incidents i set occurrences = i.occurrences + 1, updated_at = now()
from failing f where i.integration_health_id = f.id and i.status = 'open'

-- name: limping_since
update integration_health h set degraded_since = least(h.degraded_since, s.since), failing_since = least(h.failing_since, s.since)
from unnest($1::uuid[], $2::timestamptz[]) as s (id, since)
where h.id = s.id and h.status = 'degraded' and s.since < h.degraded_since
  and (h.last_closed_at is null or s.since >= h.last_closed_at)

-- name: without_incident
select h.id, h.customer_id, h.integration_type, h.integration_id, h.next_number
from integration_health h
where h.status = 'disconnected' and not h.muted and h.removed_at is null
  and not exists (select from incidents i where i.integration_health_id = h.id and i.status in ('open', 'recovering'))
order by h.id limit 200

-- name: open_outage
select id from egress_outages where ended_at is null

-- name: begin_outage
insert into egress_outages (began_at, details) values ($1, $2) on conflict ((true)) where ended_at is null do nothing
returning id

-- name: end_outage
update egress_outages set ended_at = $1 where ended_at is null returning id, began_at

-- name: add_metrics
insert into health_metrics as m (integration_health_id, bucket_start, probes, successes, failures, latency)
select a.id, a.bucket_start, 1, a.successes, a.failures, coalesce(a.latency::integer[], '{}')
from unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::integer[], $5::text[])
  as a (id, bucket_start, successes, failures, latency)
order by a.id, a.bucket_start
on conflict (integration_health_id, bucket_start) do update set
  probes = m.probes + 1, successes = m.successes + excluded.successes, failures = m.failures + excluded.failures,
  latency = add_histograms(m.latency, excluded.latency)

-- name: window
select m.integration_health_id, m.probes, m.successes, m.failures, m.latency
from health_metrics m join unnest($1::uuid[], $2::timestamptz[]) as w (id, since)
  on m.integration_health_id = w.id and m.bucket_start >= w.since

-- name: health_metrics
select bucket_start, probes, successes, failures, latency from health_metrics
where integration_health_id = $1 and bucket_start >= $2 order by bucket_start

-- name: forget_metrics
delete from health_metrics where ctid = any(array(
  select ctid from health_metrics where bucket_start < $1 limit 10000))

-- name: keep_ends
insert into credential_ends as c (integration_health_id, kind, label, ends_at, renewed_by, known_since)
select * from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::timestamptz[])
on conflict (integration_health_id, kind, label) do update set
  ends_at = excluded.ends_at, renewed_by = excluded.renewed_by,
  known_since = case when abs(extract(epoch from excluded.ends_at - c.ends_at)) >= extract(epoch from $7::interval)
    then excluded.known_since else c.known_since end
where c.renewed_by <> excluded.renewed_by
  or abs(extract(epoch from excluded.ends_at - c.ends_at)) >= extract(epoch from $7::interval)

-- name: forget_ends
delete from credential_ends c
where c.integration_health_id = any($1)
  and not exists (
    select from unnest($2::uuid[], $3::text[], $4::text[]) as s (id, kind, label)
    where s.id = c.integration_health_id and s.kind = c.kind and s.label = c.label)

-- name: ends_before
select c.integration_health_id, c.kind, c.label, c.ends_at, c.renewed_by, c.known_since, h.customer_id
from credential_ends c join integration_health h on h.id = c.integration_health_id
where c.ends_at > $1 and c.ends_at <= $1 + $2::interval and h.removed_at is null
  and not exists (select from incidents i where i.integration_health_id = h.id and i.status in ('open', 'recovering'))
order by c.ends_at, c.integration_health_id

-- name: intend_notice
insert into deliveries (delivery_key, integration_health_id, egress_outage_id, digest_id, channel, template, recipient,
  role, person_id, details)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (delivery_key) do nothing

-- name: notices_waiting
-- Or a copy that came late, see `late`: of a digest, too.
select exists (select from deliveries where incident_id is null and digest_id is null and (
  (status = 'pending' and retry_at <= now()) or (status = 'sending' and lease_until <= now())))
  or exists (select from deliveries
    where incident_id is null and created_at > now() - interval '2 days' and look_again_at <= now())

-- name: notices_to_send
select delivery_key from deliveries where incident_id is null and digest_id is null and (
  (status = 'pending' and retry_at <= now()) or (status = 'sending' and lease_until <= now()))
order by created_at limit 100

-- name: notice_about
select d.integration_health_id, d.egress_outage_id, o.began_at
from deliveries d left join egress_outages o on o.id = d.egress_outage_id where d.delivery_key = $1

-- name: ending
select c.integration_health_id, c.kind, c.label, c.ends_at, c.renewed_by = 'customer' as only_customer_renews,
  h.integration_type, h.integration_id, h.display_name, cu.name as customer_name,
  coalesce((select jsonb_agg(jsonb_build_object('role', p.role, 'id', p.id, 'name', p.name, 'email', p.email,
      'slack', p.slack_user_id, 'title', p.title, 'timezone', p.timezone, 'locale', p.locale) order by p.position)
    from people p where p.customer_id = cu.id and p.removed_at is null), '[]') as people
from credential_ends c
join integration_health h on h.id = c.integration_health_id
join customers cu on cu.id = h.customer_id
where c.integration_health_id = $1 and c.kind = $2 and c.label = $3 and h.removed_at is null
