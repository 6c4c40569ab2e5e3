-- How much a failure proves: only retryable ones are counted up to detection.confirm_failures.
alter table integration_events add column weight text check (weight in ('terminal', 'retryable', 'limping'));

-- When a degraded incident became a disconnected one: from then on people have the ladder's time.
alter table incidents add column worsened_at timestamptz;

-- Copies of a mail that were handed over without a known refusal; replaces "phase", which forgot all but the last attempt.
alter table deliveries add column handed_over integer not null default 0;
alter table deliveries drop column phase;
