-- name: forget
-- Later than it ends: by the clock of whoever checks the token it may not be over yet.
delete from spent_tokens where ends_at < now() - interval '1 hour'

-- name: spend
insert into spent_tokens (id, ends_at) values ($1, $2) on conflict do nothing returning id

-- name: is_spent
select exists (select from spent_tokens where id = $1)
