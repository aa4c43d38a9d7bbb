-- Sealed tokens and their locks (store/postgres/credentials.py).

-- name: get
SELECT name, body, fence, attempts FROM credentials WHERE name = $1

-- name: names
SELECT name FROM credentials ORDER BY name

-- name: lock
-- The fence grows with each lock, and the first one is the time, so that no fence comes back after a delete. Another owner's lock holds until its time is over.
INSERT INTO credentials AS kept (name, body, fence, attempts, owner, locked_until)
VALUES ($1, '', (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 0, $2,
  extract(epoch FROM clock_timestamp())::float8 + $3::float8)
ON CONFLICT (name) DO UPDATE SET fence = kept.fence + 1, owner = excluded.owner, locked_until = excluded.locked_until
WHERE kept.owner = '' OR kept.locked_until < extract(epoch FROM clock_timestamp())::float8
RETURNING name, body, fence, attempts

-- name: announce
UPDATE credentials SET attempts = attempts + 1
WHERE name = $1 AND fence = $2 AND owner <> '' AND locked_until > extract(epoch FROM clock_timestamp())::float8 RETURNING attempts

-- name: put
UPDATE credentials SET body = $3, attempts = 0, owner = '' WHERE name = $1 AND fence = $2 AND owner <> '' RETURNING name

-- name: release
UPDATE credentials SET owner = '' WHERE name = $1 AND fence = $2

-- name: delete
DELETE FROM credentials WHERE name = $1
