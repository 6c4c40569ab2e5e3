-- Signed tokens that are good no more before their time is over: sign-in links that were followed, sessions that were
-- signed out.
create table spent_tokens (
  id uuid primary key,
  ends_at timestamptz not null               -- from then on the token itself says that it is over
);
create index spent_tokens_by_end on spent_tokens (ends_at);

-- The fleet page: everything by customer's name.
create index customers_by_name on customers (lower(name));
