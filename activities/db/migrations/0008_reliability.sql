-- Planned maintenance: time that counts neither as up nor as down. Each of the three names narrows it; at least one of the
-- first two is set.
create table maintenance_windows (
  id uuid primary key default gen_random_uuid(),
  customer_id uuid references customers (id),
  integration_type text,
  integration_id text,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  note text not null default '',
  created_at timestamptz not null default now(),
  check (starts_at < ends_at),
  check (customer_id is not null or (integration_type is not null and integration_id is null)),
  check (integration_id is null or integration_type is not null)
);
create index maintenance_windows_by_start on maintenance_windows (starts_at desc, id desc);

-- Since when nobody has expected an integration to work: it was removed, or closed as no longer used and not seen since.
create function gone_since(h integration_health) returns timestamptz language sql stable as $$
  select least(h.removed_at, case when h.muted then (
    select i.closed_at from incidents i
    where i.integration_health_id = h.id and i.number = h.next_number - 1 and i.resolution = 'no_longer_used') end)
$$;

-- The row forgets that once it is back, by whatever way: the time in between is kept here.
create table integration_absences (
  integration_health_id uuid not null references integration_health (id),
  gone_at timestamptz not null,
  back_at timestamptz not null,
  primary key (integration_health_id, gone_at)
);
create function keep_absence() returns trigger language plpgsql as $$
begin
  if gone_since(old) is not null and gone_since(new) is null then
    insert into integration_absences (integration_health_id, gone_at, back_at) values (new.id, gone_since(old), now());
  end if;
  return null;
end $$;
create trigger keep_absence after update of removed_at, muted on integration_health for each row
  when (old.removed_at is not null or old.muted) execute function keep_absence();

-- An acknowledgement can be given again once it has expired; how fast somebody reacted is told by the first.
alter table incidents add column first_acknowledged_at timestamptz;
update incidents i set first_acknowledged_at = coalesce(
  (select min(t.at) from incident_timeline t where t.incident_id = i.id and t.kind = 'acknowledged'), i.acknowledged_at)
where acknowledged_at is not null;

-- What was not over by some time is a range of this.
create index incidents_by_end on incidents (coalesce(closed_at, 'infinity'));
create index customer_reports on integration_events (occurred_at, id) where event_type = 'customer_reported';
create index health_score_adjustments_of_customer on health_score_adjustments (customer_id, created_at desc, id desc);
