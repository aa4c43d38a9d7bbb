-- Queries of the records (store/postgres/records.py).

-- name: gate
-- Locked until COMMIT: the removal of a dead node skips a node that is committing, or came first and then there is no
-- row. The fence is the node's, so the one in a resource's state is not compared: a partition may go to another node
-- and return.
SELECT 1 FROM nodes WHERE id = $1 AND fence = $2 FOR KEY SHARE

-- name: known
SELECT r.key, r.hash, r.version, r.number, r.origin, r.asked_at, r.answered_at, r.changed_at, r.deleted, r.body
FROM unnest($3::text[]) AS wanted(key)
JOIN records AS r ON r.source = $1 AND r.resource = $2 AND r.key = wanted.key

-- name: page
SELECT key, hash, version, number, origin, asked_at, answered_at, changed_at, deleted, body
FROM records
WHERE source = $1 AND resource = $2 AND key > $3 AND (NOT deleted OR $4)
ORDER BY key LIMIT $5

-- name: page_updated
SELECT key, hash, version, number, origin, asked_at, answered_at, changed_at, deleted, body
FROM records
WHERE source = $1 AND resource = $2 AND key > $3 AND (NOT deleted OR $4) AND changed_at >= $6
ORDER BY key LIMIT $5

-- name: put
INSERT INTO records (source, resource, key, hash, version, number, origin, asked_at, answered_at, changed_at,
                     deleted, body)
SELECT $1, $2, r.* FROM unnest($3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::smallint[], $8::bigint[],
  $9::bigint[], $10::bigint[], $11::bool[], $12::bytea[])
  AS r(key, hash, version, number, origin, asked_at, answered_at, changed_at, deleted, body)
ON CONFLICT (source, resource, key) DO UPDATE SET
  hash = excluded.hash, version = excluded.version, number = excluded.number, origin = excluded.origin,
  asked_at = excluded.asked_at, answered_at = excluded.answered_at, changed_at = excluded.changed_at,
  deleted = excluded.deleted, body = excluded.body

-- name: put_state
INSERT INTO resource_states (source, resource, cursor, etag, last_modified, first_done, committed_offset, polled_at,
                             reconciled_at, scanned_at, statistics, engine_state, fence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (source, resource) DO UPDATE SET
  cursor = excluded.cursor, etag = excluded.etag, last_modified = excluded.last_modified,
  first_done = excluded.first_done, committed_offset = excluded.committed_offset, polled_at = excluded.polled_at,
  reconciled_at = excluded.reconciled_at, scanned_at = excluded.scanned_at, statistics = excluded.statistics,
  engine_state = excluded.engine_state, fence = excluded.fence

-- name: save_state
-- A commit of a state alone, as one statement: `gate` is the fence, as in the query of that name.
WITH gate AS MATERIALIZED (
  SELECT 1 FROM nodes WHERE id = $1 AND fence = $14 FOR KEY SHARE
), put_rollups AS (
  INSERT INTO rollup_minutes AS r (minute, scope, subject, metric, node, count, total)
  SELECT u.minute, u.scope, u.subject, u.metric, $1, u.count, u.total
  FROM gate, unnest($15::bigint[], $16::text[], $17::text[], $18::text[], $19::bigint[], $20::bigint[])
    AS u(minute, scope, subject, metric, count, total)
  ON CONFLICT (minute, scope, subject, metric, node)
    DO UPDATE SET count = r.count + excluded.count, total = r.total + excluded.total
)
INSERT INTO resource_states (source, resource, cursor, etag, last_modified, first_done, committed_offset, polled_at,
                             reconciled_at, scanned_at, statistics, engine_state, fence)
SELECT $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 FROM gate
ON CONFLICT (source, resource) DO UPDATE SET
  cursor = excluded.cursor, etag = excluded.etag, last_modified = excluded.last_modified,
  first_done = excluded.first_done, committed_offset = excluded.committed_offset, polled_at = excluded.polled_at,
  reconciled_at = excluded.reconciled_at, scanned_at = excluded.scanned_at, statistics = excluded.statistics,
  engine_state = excluded.engine_state, fence = excluded.fence
RETURNING fence

-- name: state
SELECT source, resource, cursor, etag, last_modified, first_done, committed_offset, polled_at, reconciled_at,
  scanned_at,
       statistics, engine_state
FROM resource_states WHERE source = $1 AND resource = $2

-- name: states
SELECT source, resource, cursor, etag, last_modified, first_done, committed_offset, polled_at, reconciled_at,
  scanned_at,
       statistics, engine_state
FROM resource_states ORDER BY source, resource

-- name: changes_above
-- For each key one look-up by the index of keys, compared as rows (see slice_key_down of the log); $5 is the origin of
-- edited copies.
SELECT e."offset", wanted.key, e.type, e.origin, e.received_at, e.change, e.body
FROM unnest($3::text[]) AS wanted(key) CROSS JOIN LATERAL (
  SELECT c."offset", c.type, c.origin, c.received_at, c.change, c.body FROM events AS c
  WHERE (hashtextextended(c.key, 0), c."offset")
      > (hashtextextended(wanted.key, 0), greatest($4::bigint, (SELECT floor FROM log_state)))
    AND (hashtextextended(c.key, 0), c."offset") < (hashtextextended(wanted.key, 0), 9223372036854775807::bigint)
    AND c.key = wanted.key AND c.change <> ''::bytea AND c.origin <> $5
    AND c.type IN ($2 || '.created', $2 || '.updated', $2 || '.deleted')
    AND c.audience IN (SELECT number FROM audiences WHERE source = $1)
  ORDER BY hashtextextended(c.key, 0), c."offset" LIMIT 1
) AS e

-- name: changes_upto
SELECT e."offset", wanted.key, e.type, e.origin, e.received_at, e.change, e.body
FROM unnest($3::text[]) AS wanted(key) CROSS JOIN LATERAL (
  SELECT c."offset", c.type, c.origin, c.received_at, c.change, c.body FROM events AS c
  WHERE (hashtextextended(c.key, 0), c."offset")
      > (hashtextextended(wanted.key, 0), (SELECT floor FROM log_state))
    AND (hashtextextended(c.key, 0), c."offset") <= (hashtextextended(wanted.key, 0), $4::bigint)
    AND c.key = wanted.key AND c.change <> ''::bytea AND c.origin <> $5
    AND c.type IN ($2 || '.created', $2 || '.updated', $2 || '.deleted')
    AND c.audience IN (SELECT number FROM audiences WHERE source = $1)
  ORDER BY hashtextextended(c.key, 0) DESC, c."offset" DESC LIMIT 1
) AS e

-- name: count
SELECT count(*) FROM records WHERE source = $1 AND resource = $2 AND NOT deleted
