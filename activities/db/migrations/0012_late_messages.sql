-- An earlier attempt at this Slack message may still arrive, late: when to look for a second one, and take it back.
alter table deliveries add column look_again_at timestamptz;
