-- Reading the embedded store to move it (store/migrate_store/source.py).

-- name: setting
SELECT value FROM settings WHERE name = ?

-- name: put_setting
INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value

-- name: values
-- Without the value that closes the source: an earlier last pass that was interrupted may have written it.
SELECT name, value FROM settings WHERE name LIKE 'value:%' AND name <> 'value:moved_to'

-- name: head
SELECT max(coalesce((SELECT max(offset) FROM events), 0), coalesce((SELECT value FROM settings WHERE name = 'head'), 0))

-- name: oldest
SELECT offset FROM events ORDER BY offset LIMIT 1

-- name: sizes
SELECT offset, length(body) FROM events WHERE offset > ? ORDER BY offset LIMIT ?

-- name: events
SELECT * FROM events WHERE offset > ? AND offset <= ? ORDER BY offset

-- name: attempts_of
SELECT * FROM attempts WHERE offset > ? AND offset <= ? ORDER BY offset, destination, number

-- name: attempts_since
SELECT * FROM attempts WHERE started_at >= ?

-- name: differing
SELECT offset FROM events WHERE differs = 1
