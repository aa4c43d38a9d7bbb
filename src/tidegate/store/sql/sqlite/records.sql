-- Queries of the records (store/sqlite/records.py).

-- name: known
-- CROSS JOIN keeps the order: one look-up for each key (the other order is 500 times slower).
SELECT r.key, r.hash, r.version, r.number, r.origin, r.asked_at, r.answered_at, r.changed_at, r.deleted, r.body
FROM json_each(?3) AS wanted CROSS JOIN records AS r ON r.source = ?1 AND r.resource = ?2 AND r.key = wanted.value

-- name: page
SELECT key, hash, version, number, origin, asked_at, answered_at, changed_at, deleted, body
FROM records
WHERE source = ?1 AND resource = ?2 AND key > ?3 AND deleted <= ?4
ORDER BY key LIMIT ?5

-- name: page_updated
SELECT key, hash, version, number, origin, asked_at, answered_at, changed_at, deleted, body
FROM records
WHERE source = ?1 AND resource = ?2 AND key > ?3 AND deleted <= ?4 AND changed_at >= ?6
ORDER BY key LIMIT ?5

-- name: put
INSERT INTO records (source, resource, key, hash, version, number, origin, asked_at, answered_at, changed_at,
                     deleted, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, resource, key) DO UPDATE SET
  hash = excluded.hash, version = excluded.version, number = excluded.number, origin = excluded.origin,
  asked_at = excluded.asked_at, answered_at = excluded.answered_at, changed_at = excluded.changed_at,
  deleted = excluded.deleted, body = excluded.body

-- name: fence
SELECT fence FROM resource_states WHERE source = ? AND resource = ?

-- name: put_state
INSERT INTO resource_states (source, resource, cursor, etag, last_modified, first_done, committed_offset, polled_at,
                             reconciled_at, scanned_at, statistics, engine_state, fence)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, resource) DO UPDATE SET
  cursor = excluded.cursor, etag = excluded.etag, last_modified = excluded.last_modified,
  first_done = excluded.first_done, committed_offset = excluded.committed_offset, polled_at = excluded.polled_at,
  reconciled_at = excluded.reconciled_at, scanned_at = excluded.scanned_at, statistics = excluded.statistics,
  engine_state = excluded.engine_state, fence = excluded.fence

-- name: state
SELECT source, resource, cursor, etag, last_modified, first_done, committed_offset, polled_at, reconciled_at,
  scanned_at,
       statistics, engine_state
FROM resource_states WHERE source = ? AND resource = ?

-- name: states
SELECT source, resource, cursor, etag, last_modified, first_done, committed_offset, polled_at, reconciled_at,
  scanned_at,
       statistics, engine_state
FROM resource_states ORDER BY source, resource

-- name: changes_above
-- For each key one look-up by the index of keys, from the offset on; ?5 is the origin of edited copies.
SELECT e.offset, wanted.value, e.type, e.origin, e.received_at, e.change, e.body
FROM json_each(?3) AS wanted CROSS JOIN events AS e ON e.offset = (
  SELECT c.offset FROM events AS c INDEXED BY events_by_key
  WHERE c.key = wanted.value AND c.offset > ?4 AND c.change <> x'' AND c.origin <> ?5
    AND c.type IN (?2 || '.created', ?2 || '.updated', ?2 || '.deleted')
    AND c.audience IN (SELECT number FROM audiences WHERE source = ?1)
  ORDER BY c.offset LIMIT 1)

-- name: changes_upto
SELECT e.offset, wanted.value, e.type, e.origin, e.received_at, e.change, e.body
FROM json_each(?3) AS wanted CROSS JOIN events AS e ON e.offset = (
  SELECT c.offset FROM events AS c INDEXED BY events_by_key
  WHERE c.key = wanted.value AND c.offset <= ?4 AND c.change <> x'' AND c.origin <> ?5
    AND c.type IN (?2 || '.created', ?2 || '.updated', ?2 || '.deleted')
    AND c.audience IN (SELECT number FROM audiences WHERE source = ?1)
  ORDER BY c.offset DESC LIMIT 1)

-- name: count
SELECT count(*) FROM records WHERE source = ? AND resource = ? AND deleted = 0
