-- When the newest hint of recovery came: a person's word of before a failure says nothing after it.
alter table incidents add column hinted_at timestamptz;
