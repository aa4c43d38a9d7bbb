-- Changes by others, and conflicts with our writes (store/postgres/conflicts.py).

-- name: forget_changes
DELETE FROM other_changes WHERE at < $1

-- name: put_change
INSERT INTO other_changes (source, resource, key, number, fields, targets, carried, at, occurred)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (source, resource, key, number) DO NOTHING

-- name: changes
SELECT source, resource, key, number, fields, targets, carried, at, occurred FROM other_changes
WHERE source = $1 AND resource = $2 AND key = $3 ORDER BY number

-- name: carried
UPDATE other_changes SET carried = $1 WHERE source = $2 AND resource = $3 AND key = $4 AND number = $5

-- name: forget
DELETE FROM conflicts WHERE at < $1 AND chosen <> ''

-- name: put
INSERT INTO conflicts (id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (id) DO UPDATE SET chosen = excluded.chosen, decided_by = excluded.decided_by, incoming = excluded.incoming,
  current = excluded.current, pair = excluded.pair

-- name: get
SELECT id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at FROM conflicts
WHERE id = $1

-- name: of_pair
SELECT id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at FROM conflicts
WHERE pair = $1 ORDER BY at

-- name: listed
SELECT id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at FROM conflicts
ORDER BY at DESC LIMIT $1

-- name: held
SELECT id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at FROM conflicts
WHERE chosen = '' ORDER BY at DESC LIMIT $1
