-- One row for each integration that has a monitor: when to look next, and what the looks in a row have shown. Kept by a
-- trigger, so that whoever writes a monitor need not know of it; apart from integration_health, whose rows judging locks.
create table probes (
  integration_health_id uuid primary key references integration_health (id) on delete cascade,
  every interval,                            -- null: the policy's monitoring.interval
  host text,                                 -- that is asked; null: judged from what was reported to us
  due_at timestamptz not null,               -- while it is claimed: when the claim runs out; infinity: paused or removed
  claim_token uuid,
  claimed_at timestamptz,
  probed_at timestamptz,                     -- when the newest recorded look began
  verdict text,                              -- what it showed, in a form that can be compared
  failures integer not null default 0,       -- looks in a row, see workflows/domain/sweep.py
  successes integer not null default 0,
  rate_limits integer not null default 0,
  limping_since timestamptz,                 -- since when every look showed it degraded
  last_probe jsonb                           -- the newest look, for people; no secrets
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
create index probes_due on probes (due_at);

create function host_of_monitor(monitor jsonb) returns text language sql immutable parallel safe as $$
  select lower(substring(
    coalesce(monitor ->> 'token_url', monitor ->> 'test_url', monitor ->> 'metadata_url', monitor ->> 'issuer',
             monitor -> 'endpoints' -> 0 ->> 'url')
    from '^[a-zA-Z]+://([^/?#]+)'))
$$;

create function first_probe(h integration_health) returns timestamptz language sql stable as $$
  select case when h.removed_at is not null or coalesce((h.monitor ->> 'paused')::boolean, false)
    then 'infinity' else now() end
$$;

create function keep_probe() returns trigger language plpgsql as $$
begin
  if new.monitor is null then
    delete from probes where integration_health_id = new.id;
    return null;
  end if;
  insert into probes as p (integration_health_id, every, host, due_at)
  values (new.id, (new.monitor ->> 'interval')::interval, host_of_monitor(new.monitor), first_probe(new))
  on conflict (integration_health_id) do update set
    every = excluded.every, host = excluded.host, due_at = excluded.due_at,
    claim_token = null,                      -- what is being seen right now was seen by the monitor as it was
    verdict = null, failures = 0, successes = 0, rate_limits = 0, limping_since = null;
  return null;
end $$;
create trigger new_monitor_is_probed after insert on integration_health
  for each row when (new.monitor is not null) execute function keep_probe();
-- Fires only where a statement sets the monitor itself, as a PUT does: a look that stores a rotated token does not.
create trigger changed_monitor_is_probed after update of monitor, removed_at on integration_health
  for each row when (old.monitor is distinct from new.monitor or old.removed_at is distinct from new.removed_at
                     or old.monitor_secrets is distinct from new.monitor_secrets)
  execute function keep_probe();
insert into probes (integration_health_id, every, host, due_at)
select id, (monitor ->> 'interval')::interval, host_of_monitor(monitor), first_probe(h)
from integration_health h where monitor is not null;

-- What the sweep holds against the rule "every disconnected integration has an open incident".
create index integration_health_disconnected on integration_health (id) where status = 'disconnected';

-- FR-1.5: looks at an integration, added up for a stretch of time (policy: metrics.bucket).
create table health_metrics (
  integration_health_id uuid not null references integration_health (id) on delete cascade,
  bucket_start timestamptz not null,
  probes integer not null,
  successes integer not null,
  failures integer not null,                 -- probes that told nothing, such as a rate limit, are neither
  latency integer[] not null,                -- a histogram, see workflows/domain/metrics.py
  primary key (integration_health_id, bucket_start)
) with (fillfactor = 70);
-- Rows arrive in the order of time, so this index stays tiny; only forgetting needs it.
create index health_metrics_by_age on health_metrics using brin (bucket_start);

create function add_histograms(one integer[], other integer[]) returns integer[]
language sql immutable parallel safe as $$
  select coalesce(array_agg(coalesce(a, 0) + coalesce(b, 0) order by n), '{}')
  from unnest(one, other) with ordinality as bins (a, b, n)
$$;

-- Credentials and certificates whose end is known.
create table credential_ends (
  integration_health_id uuid not null references integration_health (id) on delete cascade,
  kind text not null,
  label text not null,                       -- for people; with the kind it names one credential of the integration
  ends_at timestamptz not null,
  renewed_by text not null check (renewed_by in ('customer', 'us')),
  known_since timestamptz not null,          -- since when this end was known
  primary key (integration_health_id, kind, label)
);
create index credential_ends_by_end on credential_ends (ends_at);

-- Times when our own network was to blame, so that nobody else was.
create table egress_outages (
  id uuid primary key default gen_random_uuid(),
  began_at timestamptz not null,
  ended_at timestamptz,
  details jsonb not null default '{}'
);
create unique index one_egress_outage_at_a_time on egress_outages ((true)) where ended_at is null;

-- Messages that belong to no incident: a warning is about an integration, an outage of ours about itself.
alter table deliveries alter column incident_id drop not null;
alter table deliveries add column integration_health_id uuid references integration_health (id);
alter table deliveries add column egress_outage_id uuid references egress_outages (id);
alter table deliveries add constraint deliveries_are_about_one_thing
  check (num_nonnulls(incident_id, integration_health_id, egress_outage_id) = 1);
create index deliveries_without_incident on deliveries (retry_at)
  where incident_id is null and status in ('pending', 'sending');
