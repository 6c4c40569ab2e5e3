-- Several broken integrations of one customer are told in one mail: the row of each but the first names the delivery that
-- tells of it too.
alter table deliveries add column told_with text references deliveries (delivery_key);
create index deliveries_told_with on deliveries (told_with) where told_with is not null;
-- How often somebody was written to lately.
create index deliveries_of_person on deliveries (person_id, created_at) where person_id is not null;

-- A customer is not asked to mend what works again and only has to hold: a first mail that was not sent yet waits for what
-- becomes of it, unless others are to be told of by it.
create function waits_for_relapse(d deliveries, i incidents) returns boolean language sql stable as $$
  select i.status = 'recovering' and d.status = 'pending' and d.channel = 'email'
    and d.template = 'integration_disconnected_customer' and d.handed_over = 0
    and not exists (select from deliveries o where o.told_with = d.delivery_key and o.status = 'suppressed')
$$;

-- And one that was held back when its incident ended is settled at once: nothing else is to wait for it.
create function is_moot(d deliveries, i incidents) returns boolean language sql immutable as $$
  select i.status in ('closed', 'cancelled') and d.status = 'pending' and d.channel = 'email'
    and d.template = 'integration_disconnected_customer'
$$;
