-- Queries of the log (store/sqlite/log.py).

-- name: insert_event
INSERT INTO events (offset, audience, type, key, origin, received_at, occurred_at, hops,
                    data_path, content_type, headers, change, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_dedupe
INSERT INTO dedupe (key, offset, body_hash, seen_at) VALUES (?, ?, ?, ?)

-- name: find_dedupe
SELECT offset, body_hash FROM dedupe WHERE key = ?

-- name: mark_differs
UPDATE events SET differs = 1 WHERE offset = ?

-- name: count_audience
UPDATE audiences SET events = events + ? WHERE number = ?

-- name: put_counted
INSERT INTO settings (name, value) VALUES ('counted', ?) ON CONFLICT DO UPDATE SET value = excluded.value

-- name: count_audiences
-- This and the next one: what `uncounted` has, when nobody remembers it.
UPDATE audiences SET events = audiences.events + found.events
FROM (SELECT audience, sum(events) AS events FROM uncounted GROUP BY audience) AS found
WHERE found.audience = audiences.number

-- name: count_minutes
INSERT INTO rollup_minutes (minute, scope, subject, metric, count, total)
SELECT minute, scope, subject, metric, sum(count), sum(total) FROM uncounted_minutes GROUP BY 1, 2, 3, 4
ON CONFLICT DO UPDATE SET count = count + excluded.count, total = total + excluded.total

-- name: head
SELECT max(coalesce((SELECT max(offset) FROM events), 0), coalesce((SELECT value FROM settings WHERE name = 'head'), 0))

-- name: keep_head
INSERT INTO settings (name, value) VALUES ('head', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)

-- name: read_events
SELECT e.offset, e.type, e.origin, e.received_at, e.audience, e.body, e.content_type, e.headers, e.key,
       e.occurred_at, e.data_path, e.change, e.hops, e.differs
FROM json_each(?) AS wanted JOIN events AS e ON e.offset = wanted.value
ORDER BY e.offset

-- name: heads
-- length() of a BLOB comes from the row's header: the body is not read.
SELECT e.offset, e.type, e.origin, e.received_at, e.audience, e.key, e.content_type, length(e.body)
FROM json_each(?) AS wanted JOIN events AS e ON e.offset = wanted.value
ORDER BY e.offset

-- name: scan_all
SELECT offset, audience FROM events WHERE offset > ? AND offset <= ? ORDER BY offset LIMIT ?

-- name: scan_audience
SELECT offset FROM events WHERE audience = ? AND offset > ? AND offset <= ? ORDER BY offset LIMIT ?

-- name: page_down
SELECT offset, type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events WHERE offset < ? ORDER BY offset DESC

-- name: page_up
SELECT offset, type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events WHERE offset > ? ORDER BY offset

-- name: page_key_down
SELECT offset, type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events WHERE key = ? AND offset < ? ORDER BY offset DESC

-- name: page_key_up
SELECT offset, type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events WHERE key = ? AND offset > ? ORDER BY offset

-- name: all_audiences
SELECT number, source, considered, wanted, filtered FROM audiences ORDER BY number

-- name: insert_audience
INSERT INTO audiences (digest, source, considered, wanted, filtered) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET source = excluded.source RETURNING number

-- name: trim_bound
SELECT max(offset) FROM (SELECT offset FROM events WHERE offset <= ? ORDER BY offset LIMIT ?)

-- name: trim_attempts
DELETE FROM attempts WHERE offset <= ?

-- name: trim_deferred
DELETE FROM deferred_deliveries WHERE offset <= ? AND state >= 2

-- name: trim_ranges
DELETE FROM ranges WHERE upto <= ?

-- name: trim_events
DELETE FROM events WHERE offset <= ?

-- name: oldest
SELECT offset, received_at FROM events ORDER BY offset LIMIT 1

-- name: trimmed
SELECT max(
  coalesce((SELECT min(offset) - 1 FROM events), (SELECT value FROM settings WHERE name = 'head'), 0),
  coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM settings WHERE name = 'value:thinned'), 0))

-- name: thin_slice
SELECT offset, audience, length(body) FROM events
WHERE offset > ? AND offset <= (SELECT value FROM settings WHERE name = 'high_water_mark') ORDER BY offset LIMIT ?

-- name: thin_lanes
SELECT destination, committed_offset FROM lanes WHERE committed_offset IS NOT NULL

-- name: thin_pending
SELECT DISTINCT offset FROM deferred_deliveries WHERE offset > ? AND offset <= ? AND state < 2

-- name: thin_attempts
DELETE FROM attempts WHERE offset IN (SELECT value FROM json_each(?))

-- name: thin_deferred
DELETE FROM deferred_deliveries WHERE offset IN (SELECT value FROM json_each(?))

-- name: thin_events
DELETE FROM events WHERE offset IN (SELECT value FROM json_each(?))

-- name: put_thinned
-- In bytes, as all values are, and in order of length and digits, so the larger number stays.
INSERT INTO settings (name, value) VALUES ('value:thinned', CAST(?1 AS BLOB))
ON CONFLICT DO UPDATE SET value = excluded.value
WHERE CAST(CAST(excluded.value AS TEXT) AS INTEGER) > CAST(CAST(value AS TEXT) AS INTEGER)

-- name: weigh_slice
SELECT offset, audience, length(body) FROM events WHERE offset > ? ORDER BY offset LIMIT ?

-- name: weigh_pending
SELECT offset, destination FROM deferred_deliveries WHERE offset > ? AND offset <= ? AND state < 2

-- name: offset_at
SELECT offset FROM events WHERE offset >= ? AND received_at >= ? ORDER BY offset LIMIT 1

-- name: dedupe_slice
SELECT max(key) FROM (SELECT key FROM dedupe WHERE key > ? ORDER BY key LIMIT ?)

-- name: forget_dedupe
DELETE FROM dedupe WHERE key > ? AND key <= ? AND seen_at < ?
