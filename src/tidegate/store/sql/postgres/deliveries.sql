-- Queries of the deliveries (store/postgres/deliveries.py).

-- name: settle
-- One statement is one transaction and one round trip. `gate` checks the fence: without its row no other part writes.
-- It locks the node's row, so a settle and the removal of a dead node (which locks it too) run one after the other.
WITH gate AS (
  UPDATE nodes SET high_water_mark = greatest(high_water_mark, $3) WHERE id = $1 AND fence = $2 RETURNING id
), put_attempts AS (
  INSERT INTO attempts ("offset", destination, number, outcome, started_at, duration, status, error,
                        answer_headers, answer_body, answer_bytes, url, manual, head, request)
  SELECT a.* FROM gate, unnest($4::bigint[], $5::int[], $6::int[], $7::smallint[], $8::bigint[], $9::bigint[],
    $10::int[], $11::text[], $12::bytea[], $13::bytea[], $14::bigint[], $15::text[], $16::bool[],
    $17::bigint[], $18::bytea[])
    AS a("offset", destination, number, outcome, started_at, duration, status, error,
         answer_headers, answer_body, answer_bytes, url, manual, head, request)
  WHERE a."offset" > (SELECT floor FROM log_state)
  ON CONFLICT DO NOTHING
  RETURNING 1
), put_rollups AS (
  -- Sums cannot be written twice, so they are added when an attempt is new: a repeated settlement has none.
  INSERT INTO rollup_minutes AS r (minute, scope, subject, metric, node, count, total)
  SELECT u.minute, u.scope, u.subject, u.metric, $1, u.count, u.total
  FROM gate, unnest($50::bigint[], $51::text[], $52::text[], $53::text[], $54::bigint[], $55::bigint[])
    AS u(minute, scope, subject, metric, count, total)
  WHERE EXISTS (SELECT 1 FROM put_attempts)
  ON CONFLICT (minute, scope, subject, metric, node)
    DO UPDATE SET count = r.count + excluded.count, total = r.total + excluded.total
), put_heads AS (
  INSERT INTO request_heads (number, head)
  SELECT h.* FROM gate, unnest($48::bigint[], $49::bytea[]) AS h(number, head)
  ON CONFLICT DO NOTHING
), put_lanes AS (
  INSERT INTO lanes (destination, committed_offset, settled_ahead, delivered, exhausted, canceled, adopted,
    adopted_filtered, breaker, fence)
  SELECT l.*, $2 FROM gate, unnest($19::int[], $20::bigint[], $21::bytea[], $22::bigint[], $23::bigint[],
    $24::bigint[], $25::bigint[], $26::bigint[], $27::bytea[])
    AS l(destination, committed_offset, settled_ahead, delivered, exhausted, canceled, adopted, adopted_filtered,
      breaker)
  ON CONFLICT (destination) DO UPDATE SET committed_offset = excluded.committed_offset,
    settled_ahead = excluded.settled_ahead,
    delivered = excluded.delivered, exhausted = excluded.exhausted, canceled = excluded.canceled,
    adopted = excluded.adopted, adopted_filtered = excluded.adopted_filtered, breaker = excluded.breaker,
    fence = excluded.fence
), put_deferred AS (
  INSERT INTO deferred_deliveries (destination, "offset", state, due_at, attempts, cause, key, tries_left_from,
    route, replay)
  SELECT e.* FROM gate, unnest($28::int[], $29::bigint[], $30::smallint[], $31::bigint[], $32::int[], $33::text[],
    $34::text[], $35::int[], $36::int[], $37::text[])
    AS e(destination, "offset", state, due_at, attempts, cause, key, tries_left_from, route, replay)
  ON CONFLICT (destination, "offset") DO UPDATE SET state = excluded.state, due_at = excluded.due_at,
    attempts = excluded.attempts, cause = excluded.cause, key = excluded.key,
    tries_left_from = excluded.tries_left_from, route = excluded.route, replay = excluded.replay
), close_deferred AS (
  DELETE FROM deferred_deliveries AS e USING gate, unnest($38::int[], $39::bigint[]) AS c(destination, "offset")
  WHERE e.destination = c.destination AND e."offset" = c."offset"
), given_ranges AS (
  SELECT r.* FROM gate, unnest($40::int[], $41::bigint[], $42::bigint[], $43::text[], $44::text[], $45::bigint[])
    AS r(destination, after, upto, state, cause, at)
), grown_ranges AS (
  -- A destination that fails for days gets one range a minute, so its last range grows when the new one has the same
  -- state and cause. Deliveries between the two were settled one by one; attempts and deferred deliveries come first.
  UPDATE ranges AS last SET upto = g.upto, at = g.at FROM given_ranges AS g
  WHERE last.destination = g.destination AND last.state = g.state AND last.cause = g.cause AND last.upto <= g.upto
    AND last.upto = (SELECT max(r.upto) FROM ranges AS r WHERE r.destination = g.destination)
  RETURNING g.destination, g.upto
), put_ranges AS (
  INSERT INTO ranges (destination, after, upto, state, cause, at)
  SELECT g.* FROM given_ranges AS g WHERE (g.destination, g.upto) NOT IN (SELECT w.destination, w.upto
    FROM grown_ranges AS w)
  ON CONFLICT (destination, upto) DO UPDATE SET after = excluded.after, state = excluded.state,
    cause = excluded.cause, at = excluded.at
), stand AS (
  UPDATE partitions AS s SET high_water_mark = w.high_water_mark FROM gate, unnest($46::smallint[],
    $47::bigint[]) AS w(number, high_water_mark)
  WHERE s.number = w.number AND s.node = gate.id
)
SELECT count(*) FROM gate

-- name: load
-- High-water marks and lanes of one snapshot. A partition without a lane is one row with NULLs.
SELECT s.number, coalesce(s.high_water_mark, n.high_water_mark, 0), l.destination, l.committed_offset,
  l.settled_ahead, l.delivered, l.exhausted,
       l.canceled, l.adopted, l.adopted_filtered, l.fence, l.breaker
FROM partitions AS s
LEFT JOIN nodes AS n ON n.id = s.node
LEFT JOIN lanes AS l ON l.destination % 64 = s.number
WHERE s.number = ANY ($1::smallint[])
ORDER BY l.destination

-- name: due_deferred
SELECT destination, "offset", state, due_at, attempts, cause, key, tries_left_from, route, replay
FROM deferred_deliveries
WHERE destination = $1 AND state = 0 AND due_at < $2 AND "offset" + 0 > $3 AND state = ANY ($4::smallint[])
ORDER BY due_at, "offset" LIMIT $5::bigint

-- name: deferred_of_destination
-- As a range of the primary key: otherwise a plan may read those of every destination in order of their offsets.
SELECT destination, "offset", state, due_at, attempts, cause, key, tries_left_from, route, replay
FROM deferred_deliveries
WHERE (destination, "offset") > ($1, $2) AND (destination, "offset") < ($1 + 1, 0) AND state = ANY ($3::smallint[])
ORDER BY destination, "offset" LIMIT $4::bigint

-- name: deferred_of_all
SELECT destination, "offset", state, due_at, attempts, cause, key, tries_left_from, route, replay
FROM deferred_deliveries WHERE "offset" > $1 AND state = ANY ($2::smallint[])
ORDER BY "offset", destination LIMIT $3::bigint

-- name: deferred_of_events
SELECT destination, "offset", state, due_at, attempts, cause, key, tries_left_from, route, replay
FROM deferred_deliveries
WHERE "offset" = ANY ($1::bigint[]) AND ($2::int IS NULL OR destination = $2) AND "offset" > $3
  AND state = ANY ($4::smallint[])
ORDER BY "offset", destination LIMIT $5::bigint

-- name: attempts_of
-- LATERAL keeps the order: for each pair one look-up in the one span that has it.
SELECT a."offset", a.destination, a.number, a.outcome, a.started_at, a.duration, a.status, a.error,
       a.answer_headers, a.answer_body, a.answer_bytes, a.url, a.manual, a.head, a.request
FROM unnest($1::bigint[], $2::int[]) AS w("offset", destination)
CROSS JOIN LATERAL (
  SELECT * FROM attempts AS one WHERE one."offset" = w."offset" AND one.destination = w.destination
) AS a
WHERE a."offset" > (SELECT floor FROM log_state)
ORDER BY a.number

-- name: heads_of
SELECT number, head FROM request_heads WHERE number = ANY ($1::bigint[])

-- name: all_ranges
SELECT destination, after, upto, state, cause, at FROM ranges ORDER BY destination, upto

-- name: audience_counts
SELECT number, events FROM audiences

-- name: put_replay
INSERT INTO replays (id, created_at, query, committed_offset, upto, matched, reopened, finished_at, cause)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO UPDATE SET committed_offset = excluded.committed_offset, matched = excluded.matched,
  reopened = excluded.reopened, finished_at = excluded.finished_at, cause = excluded.cause

-- name: all_replays
SELECT id, created_at, query, committed_offset, upto, matched, reopened, finished_at, cause
FROM replays
WHERE finished_at IS NULL OR id IN (SELECT id FROM replays ORDER BY created_at DESC LIMIT 200)
ORDER BY created_at DESC

-- name: one_replay
SELECT id, created_at, query, committed_offset, upto, matched, reopened, finished_at, cause FROM replays WHERE id = $1
