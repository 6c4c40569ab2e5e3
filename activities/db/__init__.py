"""PostgreSQL: the facts. `pool` connects, `migrations/` shapes, `queries/` holds the SQL, the stores run it."""
