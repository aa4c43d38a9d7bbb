-- Filling an empty database from an embedded store (store/migrate_store/target.py).

-- name: setting
SELECT value FROM settings WHERE name = $1

-- name: put_setting
INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: delete_setting
DELETE FROM settings WHERE name = $1

-- name: occupied
SELECT EXISTS (SELECT FROM events) OR EXISTS (SELECT FROM items) OR EXISTS (SELECT FROM audiences)
    OR EXISTS (SELECT FROM keys) OR EXISTS (SELECT FROM nodes WHERE lease_expires_at > clock_timestamp())

-- name: columns
SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = 'tidegate' AND table_name = $1 ORDER BY ordinal_position

-- name: late_table
CREATE TEMPORARY TABLE late_attempts (LIKE attempts) ON COMMIT DROP

-- name: take_late
INSERT INTO attempts SELECT * FROM late_attempts ON CONFLICT DO NOTHING

-- name: differs
UPDATE events SET differs = true WHERE "offset" = ANY ($1::bigint[])

-- name: set_sequences
SELECT setval(pg_get_serial_sequence(t.name, t.field), greatest(t.top, 1), t.top > 0)
FROM (
  SELECT 'audiences' AS name, 'number' AS field, (SELECT coalesce(max(number), 0) FROM audiences) AS top
  UNION ALL SELECT 'items', 'number', (SELECT coalesce(max(number), 0) FROM items)
  UNION ALL SELECT 'route_revisions', 'revision', (SELECT coalesce(max(revision), 0) FROM route_revisions)
  UNION ALL SELECT 'rejections', 'number', (SELECT coalesce(max(number), 0) FROM rejections)
) AS t

-- name: set_offset
SELECT setval('event_offset', greatest($1::bigint, 1), $1::bigint > 0)

-- name: set_marks
UPDATE partitions SET high_water_mark = $1, node = NULL

-- name: set_floor
UPDATE log_state SET floor = $1

-- name: count_events
SELECT count(*) FROM events

-- name: count_attempts
SELECT count(*) FROM attempts
