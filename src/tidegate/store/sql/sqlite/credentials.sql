-- Sealed tokens and their locks (store/sqlite/credentials.py).

-- name: get
SELECT name, body, fence, attempts FROM credentials WHERE name = ?

-- name: names
SELECT name FROM credentials ORDER BY name

-- name: lock
-- The fence grows with each lock, and the first one is the time, so that no fence comes back after a delete. Another owner's lock holds until its time is over.
INSERT INTO credentials (name, body, fence, attempts, owner, locked_until)
VALUES (?1, x'', CAST(unixepoch('subsec') * 1000 AS INTEGER), 0, ?2, unixepoch('subsec') + ?3)
ON CONFLICT (name) DO UPDATE SET fence = fence + 1, owner = excluded.owner, locked_until = excluded.locked_until
WHERE owner = '' OR locked_until < unixepoch('subsec')
RETURNING name, body, fence, attempts

-- name: announce
UPDATE credentials SET attempts = attempts + 1
WHERE name = ?1 AND fence = ?2 AND owner <> '' AND locked_until > unixepoch('subsec') RETURNING attempts

-- name: put
UPDATE credentials SET body = ?3, attempts = 0, owner = '' WHERE name = ?1 AND fence = ?2 AND owner <> '' RETURNING name

-- name: release
UPDATE credentials SET owner = '' WHERE name = ?1 AND fence = ?2 RETURNING name

-- name: forget_locks
UPDATE credentials SET owner = '' WHERE owner <> ''

-- name: delete
DELETE FROM credentials WHERE name = ? RETURNING name
