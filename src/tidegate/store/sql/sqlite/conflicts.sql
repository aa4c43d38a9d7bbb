-- Changes by others, and conflicts with our writes (store/sqlite/conflicts.py).

-- name: forget_changes
DELETE FROM other_changes WHERE at < ?

-- name: put_change
INSERT INTO other_changes (source, resource, key, number, fields, targets, carried, at, occurred)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, resource, key, number) DO NOTHING

-- name: changes
SELECT source, resource, key, number, fields, targets, carried, at, occurred FROM other_changes
WHERE source = ? AND resource = ? AND key = ? ORDER BY number

-- name: carried
UPDATE other_changes SET carried = ? WHERE source = ? AND resource = ? AND key = ? AND number = ?

-- name: forget
DELETE FROM conflicts WHERE at < ? AND chosen <> ''

-- name: put
INSERT INTO conflicts (id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET chosen = excluded.chosen, decided_by = excluded.decided_by, incoming = excluded.incoming,
  current = excluded.current, pair = excluded.pair

-- name: get
SELECT id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at FROM conflicts
WHERE id = ?

-- name: of_pair
SELECT id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at FROM conflicts
WHERE pair = ? ORDER BY at

-- name: listed
SELECT id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at FROM conflicts
ORDER BY at DESC LIMIT ?

-- name: held
SELECT id, source, operation, resource, key, cause, pair, incoming, current, chosen, decided_by, at FROM conflicts
WHERE chosen = '' ORDER BY at DESC LIMIT ?
