-- A reminder may be held back too, to be told together with others; one that waits when its incident ends is settled at once.
create or replace function is_moot(d deliveries, i incidents) returns boolean language sql immutable as $$
  select i.status in ('closed', 'cancelled') and d.status = 'pending' and d.channel = 'email'
    and d.template in ('integration_disconnected_customer', 'integration_disconnected_reminder')
$$;
