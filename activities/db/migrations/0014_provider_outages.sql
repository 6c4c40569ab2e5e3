-- One provider fails for many customers at once. Its incidents are those of its type that were detected while it lasted.
create table provider_outages (
  id uuid primary key default gen_random_uuid(),
  integration_type text not null,
  began_at timestamptz not null,             -- when the first of its incidents was detected
  noticed_at timestamptz not null default now(),
  release_at timestamptz not null,           -- nothing waits for its end longer than until then
  ended_at timestamptz
);
create unique index one_outage_of_a_type_at_a_time on provider_outages (integration_type) where ended_at is null;
create index provider_outages_of_type on provider_outages (integration_type, began_at);

create function outage_of(i incidents) returns provider_outages language sql stable as $$
  select o from provider_outages o join integration_health h on h.integration_type = o.integration_type
  where h.id = i.integration_health_id and i.detected_at >= o.began_at
    and i.detected_at <= coalesce(o.ended_at, 'infinity')
  order by o.began_at desc limit 1
$$;

-- Where the ladder and the reminders start to count: see workflows/domain/response.py.
create function clock_start(i incidents) returns timestamptz language sql stable as $$
  select greatest(coalesce(i.alerted_at, i.detected_at), i.worsened_at, coalesce(o.ended_at, o.release_at))
  from outage_of(i) o
$$;

-- A first notice that waits for the end of an outage. What is over meanwhile is settled at once, what recovers waits on.
alter table deliveries add column held_by uuid references provider_outages (id);
create index deliveries_held on deliveries (held_by) where held_by is not null and status = 'pending';

create or replace function is_moot(d deliveries, i incidents) returns boolean language sql immutable as $$
  select i.status in ('closed', 'cancelled') and d.status = 'pending' and (d.held_by is not null or d.channel = 'email'
    and d.template in ('integration_disconnected_customer', 'integration_disconnected_reminder'))
$$;

create or replace function waits_for_relapse(d deliveries, i incidents) returns boolean language sql stable as $$
  select i.status = 'recovering' and d.status = 'pending' and d.handed_over = 0 and (d.held_by is not null
    or d.channel = 'email' and d.template = 'integration_disconnected_customer'
    and not exists (select from deliveries o where o.told_with = d.delivery_key and o.status = 'suppressed'))
$$;

-- What a CSM, or our engineers, are told of an outage instead. `customers` grows while it lasts.
alter table digests alter column week drop not null;
alter table digests alter column ended_at drop not null;
alter table digests add column provider_outage_id uuid references provider_outages (id);
alter table digests add constraint digests_are_about_one_thing check (num_nonnulls(week, provider_outage_id) = 1);
alter table digests add column role text not null default 'csm';
alter table digests add column shown text;   -- what the message says of the outage, in short: is an edit needed?
alter table digests add column shown_at timestamptz;
create index digests_of_outage on digests (provider_outage_id) where provider_outage_id is not null;
