-- Queries of the engine and of the spans of the log (store/postgres/engine.py, log_spans.py).

-- name: facts
SELECT current_setting('server_version') AS server_version,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_connections')::int AS max_connections,
       current_setting('autovacuum') AS autovacuum,
       current_setting('synchronous_standby_names') AS synchronous_standby_names,
       (SELECT count(*) FROM pg_stat_replication) AS standbys,
       pg_is_in_recovery() AS in_recovery,
       (SELECT max(version) FROM schema_version) AS schema_version,
       (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
        WHERE c.relnamespace = 'tidegate'::regnamespace AND c.relkind = 'r') AS used_bytes

-- name: notify
SELECT count(pg_notify(n.channel, n.payload)) FROM unnest($1::text[], $2::text[]) AS n(channel, payload)

-- name: try_maintaining
SELECT pg_try_advisory_lock(8420, 3)

-- name: end_maintaining
SELECT pg_advisory_unlock(8420, 3)

-- name: spans
-- `last` is the last offset that was drawn, or the first one due when none was since the last jump (`drawn` false).
SELECT s.last_value AS last, s.is_called AS drawn,
       (SELECT array_agg(p.number ORDER BY p.number) FROM spans AS p) AS numbers
FROM event_offset AS s

-- name: span_is_over
-- Whether a span was entered in an earlier slice of time than the current one, by the server's clock.
SELECT floor(extract(epoch FROM entered_at) / $2::float8) < floor(extract(epoch FROM clock_timestamp()) / $2::float8)
FROM spans WHERE number = $1

-- name: span_is_past
SELECT NOT EXISTS (
  SELECT FROM events WHERE "offset" >= $1 AND "offset" < $2 AND "offset" > (SELECT floor FROM log_state)
)

-- name: jump
SELECT setval('event_offset', $1, false)

-- name: enter_span
UPDATE spans SET entered_at = clock_timestamp() WHERE number = $1

-- name: note_span
UPDATE spans SET entered_at = clock_timestamp() WHERE number = $1 AND entered_at IS NULL

-- name: add_span
INSERT INTO spans (number) VALUES ($1) ON CONFLICT DO NOTHING

-- name: forget_span
DELETE FROM spans WHERE number = $1

-- name: span_table
-- No row: no such table. Otherwise whether it is attached, and whether a detach was started and interrupted.
SELECT i.inhrelid IS NOT NULL AS attached, coalesce(i.inhdetachpending, false) AS pending
FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
WHERE c.oid = to_regclass($1)

-- name: freed_in_spans
-- span -> bytes that retention deleted from it and that its tables still hold, about; as JSON
SELECT value FROM settings WHERE name = 'value:freed_in_spans'

-- name: put_freed_in_spans
INSERT INTO settings (name, value) VALUES ('value:freed_in_spans', $1)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: span_bytes
SELECT coalesce(pg_total_relation_size(to_regclass($1)), 0) + coalesce(pg_total_relation_size(to_regclass($2)), 0)

-- name: span_live
-- This one and those that follow are formatted with the name of a table, which is ours (span_space.py). The size of
-- what is stored out of line is in its pointer.
SELECT coalesce(sum(pg_column_size(body) + pg_column_size(headers) + 200), 0) FROM {name}
WHERE "offset" > (SELECT floor FROM log_state)

-- name: copy_span
INSERT INTO {name}_kept SELECT * FROM {name} WHERE "offset" > (SELECT floor FROM log_state)

-- name: drop_deleted_events
DELETE FROM {name}_kept AS a WHERE NOT EXISTS (SELECT FROM {name} AS b WHERE b."offset" = a."offset")

-- name: copy_marks_events
-- Closed spans get no new events.
UPDATE {name}_kept AS a SET differs = true FROM {name} AS b WHERE b."offset" = a."offset" AND b.differs AND NOT a.differs

-- name: drop_deleted_attempts
DELETE FROM {name}_kept AS a WHERE NOT EXISTS (
  SELECT FROM {name} AS b WHERE (b."offset", b.destination, b.number) = (a."offset", a.destination, a.number)
)

-- name: add_written_attempts
INSERT INTO {name}_kept SELECT b.* FROM {name} AS b
WHERE b."offset" > (SELECT floor FROM log_state) AND NOT EXISTS (
  SELECT FROM {name}_kept AS a WHERE (b."offset", b.destination, b.number) = (a."offset", a.destination, a.number)
)
