-- Budgets of requests that all nodes share (store/postgres/budgets.py). Instants are seconds since 1970.

-- name: reserve
-- $2: seconds between requests. $3: how far ahead of that a burst may run. $4: the longest wait. No row: it would be longer.
INSERT INTO budgets AS kept (name, next_at, held_until)
VALUES ($1, extract(epoch FROM clock_timestamp())::float8 + $2::float8, 0)
ON CONFLICT (name) DO UPDATE
SET next_at = greatest(kept.next_at, extract(epoch FROM clock_timestamp())::float8, kept.held_until) + $2::float8
WHERE greatest(kept.next_at - $3::float8, kept.held_until) - extract(epoch FROM clock_timestamp())::float8 <= $4::float8
RETURNING greatest(next_at - $2::float8 - $3::float8, held_until) - extract(epoch FROM clock_timestamp())::float8

-- name: wait
SELECT greatest(next_at - $2::float8, held_until) - extract(epoch FROM clock_timestamp())::float8 FROM budgets
WHERE name = $1

-- name: hold
INSERT INTO budgets AS kept (name, next_at, held_until)
VALUES ($1, 0, extract(epoch FROM clock_timestamp())::float8 + $2::float8)
ON CONFLICT (name) DO UPDATE SET held_until = greatest(kept.held_until, excluded.held_until)
