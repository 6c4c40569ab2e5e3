-- The weekly digest of one CSM: which week, and which customers are theirs. A person may be the CSM of many customers, as a
-- row of people for each; whoever shares an address with a digest of the same week has had it.
create table digests (
  id uuid primary key default gen_random_uuid(),
  week date not null,                        -- its Monday, where the reader lives
  began_at timestamptz not null,             -- what it tells of: from the Monday before
  ended_at timestamptz not null,             -- until this one
  addresses text[] not null,                 -- of the reader: email and Slack id, in small letters
  customers uuid[] not null,
  person_id uuid references people (id),     -- null: the policy's fallback_csm
  created_at timestamptz not null default now()
);
create index digests_by_week on digests (week);

alter table deliveries add column digest_id uuid references digests (id);
alter table deliveries drop constraint deliveries_are_about_one_thing;
alter table deliveries add constraint deliveries_are_about_one_thing
  check (num_nonnulls(incident_id, integration_health_id, egress_outage_id, digest_id) = 1);
create index deliveries_of_digest on deliveries (digest_id) where digest_id is not null;
