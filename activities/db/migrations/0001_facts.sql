-- Every fact that Relink knows. All times are timestamptz; rows are stamped with the database's clock.

create table customers (
  id uuid primary key default gen_random_uuid(),
  external_id text not null unique,
  name text not null,
  arr numeric(16, 2),
  -- health_score = health_score_base + the sum of health_score_adjustments; kept equal in the same transaction.
  health_score_base integer not null default 100,
  health_score integer not null default 100,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- The people of one customer: its CSM, the CSM's manager, and the customer's own technical contacts in order of preference.
create table people (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid not null references customers (id) on delete cascade,
  role text not null check (role in ('csm', 'csm_manager', 'technical_contact')),
  position integer not null default 0,
  name text,
  email text,
  slack_user_id text,
  title text,
  timezone text,
  locale text,
  removed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index people_of_customer on people (customer_id, role, position) where removed_at is null;

-- PRD-101 section 4.1, with its columns and meanings; what follows "updated_at" is ours.
create table integration_health (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid references customers (id),
  integration_type varchar(100) not null,
  integration_id text,
  status varchar(50) default 'healthy' check (status in ('healthy', 'degraded', 'disconnected')),
  last_successful_sync timestamptz,
  last_failure_at timestamptz,
  failure_count integer default 0,           -- effective failures in a row
  failure_reason text,
  error_code text,
  is_critical boolean default false,
  alerted_at timestamptz,
  resolved_at timestamptz,
  created_at timestamptz default now(),
  updated_at timestamptz default now(),

  display_name text,
  self_serve boolean not null default true,
  reconnect_url text,
  monitor jsonb,                             -- without its secrets
  monitor_secrets bytea,                     -- AES-GCM, see activities/secrets.py
  last_success_at timestamptz,               -- newest evidence that it works, of any kind
  degraded_since timestamptz,
  failing_since timestamptz,                 -- earliest failure of the current run
  last_closed_at timestamptz,                -- failures older than this change nothing
  muted boolean not null default false,      -- closed by hand: no new incident until a newer success
  next_number integer not null default 1,
  removed_at timestamptz,
  constraint integration_identity unique nulls not distinct (customer_id, integration_type, integration_id)
);
create index integration_health_degraded on integration_health (degraded_since) where degraded_since is not null;

create table incidents (
  id uuid primary key default gen_random_uuid(),
  integration_health_id uuid not null references integration_health (id),
  customer_id uuid not null references customers (id),
  number integer not null,
  kind text not null check (kind in ('disconnected', 'degraded')),
  status text not null default 'open' check (status in ('open', 'recovering', 'closed', 'cancelled')),
  severity text not null check (severity in ('critical', 'high', 'medium', 'low')),
  resolution text check (resolution in
    ('verified', 'reported', 'not_confirmed', 'no_longer_used', 'false_alarm', 'removed')),
  category text not null,
  who_fixes text not null,
  diagnosis jsonb not null,                  -- what we say about it; our own words, no secrets
  failure_reason text,
  error_code text,
  occurrences integer not null default 1,
  opened_at timestamptz not null,            -- earliest failure of this run
  detected_at timestamptz not null default now(),
  alerted_at timestamptz,
  acknowledged_at timestamptz,
  acknowledged_by text,
  snoozed_until timestamptz,
  closed_at timestamptz,
  closed_by text,
  resolution_note text,
  customer_reported_at timestamptz,          -- the customer noticed by themselves

  policy jsonb not null,                     -- the policy that it started with
  last_seq bigint not null default 1,        -- counts what arrived; closing compares it
  hint_seq bigint not null default 0,        -- the newest hint of recovery
  hint_kind text,                            -- what hinted: callback, event, person, monitor
  checked_seq bigint not null default 0,     -- the newest hint that was followed up
  confirmed_at timestamptz,
  assessed_at timestamptz,
  assessed_kind text,                        -- the kind that was assessed; differs when it got worse
  informed_kind text,                        -- the kind that people were told about
  evidence text check (evidence in ('verified', 'reported')),
  recovering_since timestamptz,
  quiet_until timestamptz,
  quiet_window interval not null,
  relapses integer not null default 0,
  recheck_at timestamptz,                    -- the last check could not tell; look again then
  escalation_step integer not null default 0,
  ack_expired_at timestamptz,                -- the acknowledgement that was given and forgotten
  unsnoozed_at timestamptz,                  -- the end of the snooze that was announced
  reminders_sent integer not null default 0,
  announced_at timestamptz,                  -- everyone was told that it is over
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (integration_health_id, number)
);
create unique index one_open_incident_per_integration on incidents (integration_health_id)
  where status in ('open', 'recovering');
create index incidents_of_customer on incidents (customer_id, opened_at desc);
create index incidents_by_age on incidents (detected_at desc, id desc);
create index incidents_unfinished on incidents (id) where announced_at is null;

-- PRD-101 section 4.1; what follows "created_at" is ours.
create table integration_events (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid references customers (id),
  integration_type varchar(100),
  event_type varchar(50),
  error_details jsonb,
  created_at timestamptz default now(),

  seq bigint generated always as identity,
  integration_health_id uuid not null references integration_health (id),
  incident_id uuid references incidents (id),
  source text not null,
  event_id text not null,
  occurred_at timestamptz not null,
  effect text not null check (effect in ('failure', 'rate_limit', 'success', 'hint', 'note')),
  new_status text,
  endpoint text
);
create index integration_events_of_integration on integration_events (integration_health_id, occurred_at);
create index integration_events_of_incident on integration_events (incident_id) where incident_id is not null;

-- Each event once. Apart from integration_events so that those can be partitioned by time.
create table event_keys (
  source text not null,
  event_id text not null,
  body_hash bytea not null,
  integration_health_id uuid references integration_health (id),
  incident_id uuid references incidents (id),
  created_at timestamptz not null default now(),
  primary key (source, event_id)
);

create table risk_signals (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid not null references customers (id),
  incident_id uuid not null unique references incidents (id),
  type text not null default 'integration_disconnected' check (type = 'integration_disconnected'),
  severity text not null check (severity in ('critical', 'high', 'medium', 'low')),
  status text not null default 'open' check (status in ('open', 'resolved')),
  details jsonb not null,
  created_at timestamptz not null default now(),
  resolved_at timestamptz
);

create table tasks (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid not null references customers (id),
  incident_id uuid not null unique references incidents (id),
  title text not null,
  due_at timestamptz not null,
  priority text not null check (priority in ('critical', 'high')),
  status text not null default 'open' check (status in ('open', 'completed', 'cancelled')),
  assignee text,
  created_at timestamptz not null default now(),
  finished_at timestamptz
);

create table health_score_adjustments (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid not null references customers (id),
  incident_id uuid not null references incidents (id),
  adjustment integer not null,
  reason text not null,
  created_at timestamptz not null default now(),
  unique (incident_id, reason)
);

-- One row per intent to tell somebody something, and what became of it.
create table deliveries (
  id uuid primary key default gen_random_uuid(),
  delivery_key text not null unique,
  incident_id uuid not null references incidents (id),
  channel text not null check (channel in ('slack', 'email')),
  template text not null,
  recipient text not null,
  status text not null default 'pending'
    check (status in ('pending', 'sending', 'sent', 'failed', 'suppressed', 'unknown')),
  external_id text,
  attempts integer not null default 0,
  error text,
  role text not null,                        -- csm, csm_manager, cs_leadership, engineering, technical_contact
  person_id uuid references people (id),
  details jsonb not null default '{}',       -- what this message is about; ids and numbers only
  phase text,                                -- email: 'data' once the body was handed over
  attempt_token uuid,
  lease_until timestamptz,
  created_at timestamptz not null default now(),
  retry_at timestamptz not null default now(),
  sent_at timestamptz,
  opened_at timestamptz                      -- the customer pressed the button behind the link
);
create index deliveries_of_incident on deliveries (incident_id, created_at);
create index deliveries_unsent on deliveries (incident_id) where status in ('pending', 'sending');

create table incident_timeline (
  id bigint generated always as identity primary key,
  incident_id uuid not null references incidents (id),
  at timestamptz not null default clock_timestamp(),
  kind text not null,
  actor text not null,
  details jsonb not null default '{}'
);
create index incident_timeline_of_incident on incident_timeline (incident_id, id);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name;
end $$;
create trigger incident_timeline_is_append_only before update or delete on incident_timeline
  for each row execute function refuse_change();

-- A bell that must still be rung: committed with the fact, deleted once Temporal has it.
create table doorbells (
  id bigint generated always as identity primary key,
  incident_id uuid not null references incidents (id),
  kind text not null,
  created_at timestamptz not null default now()
);
create index doorbells_of_incident on doorbells (incident_id);

create table api_keys (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  key_hash bytea not null unique,            -- sha256; the key itself is shown once and never stored
  scopes text[] not null,
  customer_id uuid references customers (id),
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);
