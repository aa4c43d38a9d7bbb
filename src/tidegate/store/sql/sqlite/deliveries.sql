-- Queries of the deliveries (store/sqlite/deliveries.py).

-- name: load_lanes
SELECT destination, committed_offset, settled_ahead, delivered, exhausted, canceled, adopted, adopted_filtered,
  fence, breaker FROM lanes

-- name: high_water_mark
SELECT value FROM settings WHERE name = 'high_water_mark'

-- name: put_high_water_mark
INSERT INTO settings (name, value) VALUES ('high_water_mark', ?) ON CONFLICT DO UPDATE SET value = max(value,
  excluded.value)

-- name: put_lane
INSERT INTO lanes (destination, committed_offset, settled_ahead, delivered, exhausted, canceled, adopted,
  adopted_filtered, breaker, fence)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (destination) DO UPDATE SET committed_offset = excluded.committed_offset,
  settled_ahead = excluded.settled_ahead,
  delivered = excluded.delivered, exhausted = excluded.exhausted, canceled = excluded.canceled,
  adopted = excluded.adopted, adopted_filtered = excluded.adopted_filtered, breaker = excluded.breaker,
  fence = excluded.fence

-- name: put_attempt
INSERT INTO attempts (offset, destination, number, outcome, started_at, duration, status, error,
                      answer_headers, answer_body, answer_bytes, url, manual, head, request)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- name: put_deferred
INSERT INTO deferred_deliveries (destination, offset, state, due_at, attempts, cause, key, tries_left_from, route,
  replay)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (destination, offset) DO UPDATE SET state = excluded.state, due_at = excluded.due_at,
  attempts = excluded.attempts, cause = excluded.cause, key = excluded.key,
  tries_left_from = excluded.tries_left_from, route = excluded.route, replay = excluded.replay

-- name: close_deferred
DELETE FROM deferred_deliveries WHERE destination = ? AND offset = ?

-- name: grow_range
-- A destination that fails for days gets one range a minute, so its last range grows when the new one has the same
-- state and cause. Deliveries between the two were settled one by one; attempts and deferred deliveries come before
-- ranges.
UPDATE ranges SET upto = ?2, at = ?5
WHERE destination = ?1 AND state = ?3 AND cause = ?4 AND upto <= ?2
  AND upto = (SELECT max(upto) FROM ranges WHERE destination = ?1)
RETURNING upto

-- name: put_range
INSERT OR REPLACE INTO ranges (destination, after, upto, state, cause, at) VALUES (?, ?, ?, ?, ?, ?)

-- name: due_deferred
-- The plus sign keeps the planner on the index of due times.
SELECT destination, offset, state, due_at, attempts, cause, key, tries_left_from, route, replay
FROM deferred_deliveries
WHERE destination = ?1 AND state = 0 AND due_at < ?2 AND +offset > ?3 AND state IN (SELECT value FROM json_each(?4))
ORDER BY due_at, offset LIMIT ?5

-- name: deferred_of_destination
SELECT destination, offset, state, due_at, attempts, cause, key, tries_left_from, route, replay
FROM deferred_deliveries WHERE destination = ?1 AND offset > ?2 AND state IN (SELECT value FROM json_each(?3))
ORDER BY offset LIMIT ?4

-- name: deferred_of_all
SELECT destination, offset, state, due_at, attempts, cause, key, tries_left_from, route, replay
FROM deferred_deliveries WHERE offset > ?1 AND state IN (SELECT value FROM json_each(?2))
ORDER BY offset, destination LIMIT ?3

-- name: deferred_of_events
SELECT destination, offset, state, due_at, attempts, cause, key, tries_left_from, route, replay
FROM deferred_deliveries
WHERE offset IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR destination = ?2) AND offset > ?3
  AND state IN (SELECT value FROM json_each(?4))
ORDER BY offset, destination LIMIT ?5

-- name: attempts_of
SELECT offset, destination, number, outcome, started_at, duration, status, error,
       answer_headers, answer_body, answer_bytes, url, manual, head, request
FROM attempts WHERE offset = ? AND destination = ? ORDER BY number

-- name: put_head
INSERT INTO request_heads (number, head) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: heads_of
SELECT number, head FROM request_heads WHERE number IN (SELECT value FROM json_each(?))

-- name: all_ranges
SELECT destination, after, upto, state, cause, at FROM ranges ORDER BY destination, upto

-- name: audience_counts
SELECT a.number, a.events + coalesce(u.events, 0)
FROM audiences AS a
LEFT JOIN (SELECT audience, sum(events) AS events FROM uncounted GROUP BY audience) AS u ON u.audience = a.number

-- name: put_replay
INSERT INTO replays (id, created_at, query, committed_offset, upto, matched, reopened, finished_at, cause)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET committed_offset = excluded.committed_offset, matched = excluded.matched,
  reopened = excluded.reopened, finished_at = excluded.finished_at, cause = excluded.cause

-- name: all_replays
SELECT id, created_at, query, committed_offset, upto, matched, reopened, finished_at, cause
FROM replays
WHERE finished_at IS NULL OR id IN (SELECT id FROM replays ORDER BY created_at DESC LIMIT 200)
ORDER BY created_at DESC

-- name: one_replay
SELECT id, created_at, query, committed_offset, upto, matched, reopened, finished_at, cause FROM replays WHERE id = ?
