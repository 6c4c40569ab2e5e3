-- name: delivery
select d.*, coalesce(i.customer_id, h.customer_id) as customer_id, i.status as incident_status
from deliveries d left join incidents i on i.id = d.incident_id
left join integration_health h on h.id = d.integration_health_id
where d.delivery_key = $1

-- name: bounce
update deliveries set status = 'failed', error = $2
where delivery_key = $1 and channel = 'email' and status in ('sent', 'unknown') returning delivery_key
