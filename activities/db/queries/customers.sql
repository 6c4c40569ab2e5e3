-- name: put
insert into customers (external_id, name, arr, health_score_base, health_score)
values ($1, $2, $3, coalesce($4::integer, 100), coalesce($4::integer, 100))
on conflict (external_id) do update set
  name = excluded.name, arr = excluded.arr,
  health_score = customers.health_score + coalesce($4::integer - customers.health_score_base, 0),
  health_score_base = coalesce($4::integer, customers.health_score_base),
  updated_at = now()
returning id, xmax = 0 as created

-- name: people
select id, role, lower(email) as email, slack_user_id, name, removed_at is not null as removed
from people where customer_id = $1 order by removed_at nulls first, position, id for update

-- name: add_person
insert into people (customer_id, role, position, name, email, slack_user_id, title, timezone, locale)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning id

-- name: update_person
update people set role = $3, position = $4, name = $5, email = $6, slack_user_id = $7, title = $8, timezone = $9,
  locale = $10, removed_at = null, updated_at = now()
where id = $2 and customer_id = $1

-- name: remove_people
update people set removed_at = now(), updated_at = now()
where customer_id = $1 and removed_at is null and id <> all($2::uuid[])

-- name: by_external_id
select id from customers where external_id = $1 and ($2::uuid is null or id = $2)

-- name: show
select c.id, c.external_id, c.name, c.arr, least(greatest(c.health_score, 0), 100) as health_score,
  c.created_at, c.updated_at,
  coalesce((select jsonb_agg(jsonb_build_object('person', p.role, 'id', p.id, 'name', p.name, 'email', p.email,
      'slack_user_id', p.slack_user_id, 'role', p.title, 'timezone', p.timezone, 'locale', p.locale)
      order by p.position, p.id)
    from people p where p.customer_id = c.id and p.removed_at is null), '[]') as people
from customers c
where ($1::uuid is null or c.id = $1) and ($2::text is null or c.external_id > $2)
order by c.external_id limit $3

-- name: lock_people
select from customers where id = $1 for no key update

-- name: contact_at
select id from people where customer_id = $1 and role = 'technical_contact' and lower(email) = lower($2)
order by removed_at nulls first, position limit 1

-- name: bring_back_contact
update people set removed_at = null, updated_at = now(), name = coalesce(name, $2) where id = $1

-- name: next_position
select coalesce(max(position) + 1, 0) from people where customer_id = $1 and role = 'technical_contact' and removed_at is null
