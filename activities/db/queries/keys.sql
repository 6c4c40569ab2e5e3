-- name: create
insert into api_keys (name, key_hash, scopes, customer_id) values ($1, $2, $3, $4)
returning id, name, scopes, customer_id, created_at, revoked_at

-- name: find
select k.id, k.name, k.scopes, k.customer_id, c.external_id as customer, k.created_at, k.revoked_at
from api_keys k left join customers c on c.id = k.customer_id
where k.key_hash = $1 and k.revoked_at is null

-- name: list
select k.id, k.name, k.scopes, k.customer_id, c.external_id as customer, k.created_at, k.revoked_at
from api_keys k left join customers c on c.id = k.customer_id order by k.created_at, k.id

-- name: revoke
update api_keys set revoked_at = now() where id = $1 and revoked_at is null returning id

-- name: customer
select id from customers where external_id = $1
