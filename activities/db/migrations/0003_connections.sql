-- Looks at connections: who is looking (a lease, so that no connection is held open while a peer takes its time), what the
-- newest look showed, and what is remembered of an OAuth grant. Apart from integration_health, whose rows judging locks.
create table connection_looks (
  integration_health_id uuid primary key references integration_health (id) on delete cascade,
  lease uuid,
  leased_at timestamptz,
  lease_until timestamptz,                   -- renewed while the look goes on; past: whoever looked has died
  interrupted_at timestamptz,                -- when a look began that never ended, until one succeeds
  looked_from timestamptz,                   -- when the newest finished look began
  looked_at timestamptz,                     -- and ended
  fingerprint bytea,                         -- of the monitor and the sealed secrets that it used
  seen jsonb,                                -- what it showed; no secrets
  remembered jsonb                           -- times of the grant; no secrets
) with (fillfactor = 70);
