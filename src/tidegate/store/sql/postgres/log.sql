-- Queries of the log (store/postgres/log.py, follower.py). "offset" is a keyword of SQL, so it is quoted.

-- name: append
-- A whole batch in one statement. The lock is taken before an offset is drawn and freed by the implicit commit, when
-- the rows are visible. So events become visible in the order of their offsets, with no round trip under the lock.
-- `known` is read from the snapshot before the lock; an id that another node committed in between is a unique
-- violation, and the whole statement is run again (log.py). Known and refused events draw no offset. $17, when given,
-- is sent to the other nodes with the commit. $18 is the node whose rollups count the events and the repeated ids.
WITH gate AS MATERIALIZED (
  SELECT pg_advisory_xact_lock(8420, 1)
), input AS MATERIALIZED (
  SELECT u.*
  FROM gate, unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::bigint[],
                    $8::smallint[], $9::text[], $10::text[], $11::bytea[], $12::bytea[], $13::bytea[],
                    $14::bytea[], $15::bytea[]) WITH ORDINALITY
    AS u(call, audience, type, key, origin, received_at, occurred_at, hops, data_path, content_type, headers, change,
      body,
         dedupe_key, body_hash, n)
), known AS MATERIALIZED (
  SELECT i.n, i.call, d.first, d.body_hash, d.body_hash <> i.body_hash AS differs
  FROM input AS i CROSS JOIN LATERAL (
    SELECT k."offset" AS first, k.body_hash FROM dedupe AS k WHERE k.key = i.dedupe_key LIMIT 1
  ) AS d
  WHERE i.dedupe_key IS NOT NULL
), refused AS MATERIALIZED (
  SELECT DISTINCT k.call FROM known AS k WHERE k.differs AND k.call = ANY ($16::int[])
), fresh AS MATERIALIZED (
  SELECT nextval('event_offset') AS "offset", s.*
  FROM (
    SELECT i.* FROM input AS i
    WHERE i.n NOT IN (SELECT k.n FROM known AS k) AND i.call NOT IN (SELECT r.call FROM refused AS r)
    ORDER BY i.n
  ) AS s
), ids AS (
  INSERT INTO dedupe (key, "offset", body_hash, seen_at)
  SELECT f.dedupe_key, f.offset, f.body_hash, f.received_at FROM fresh AS f WHERE f.dedupe_key IS NOT NULL
), counted AS (
  UPDATE audiences AS a SET events = a.events + c.events
  FROM (SELECT f.audience, count(*) AS events FROM fresh AS f GROUP BY f.audience) AS c
  WHERE a.number = c.audience
), rolled AS (
  INSERT INTO rollup_minutes AS r (minute, scope, subject, metric, node, count, total)
  SELECT one.minute, 'source', one.source, one.metric, $18::text, count(*), sum(one.bytes)
  FROM (
    SELECT f.received_at / 60000000 AS minute, a.source, octet_length(f.body) AS bytes,
           'accepted.' || (ARRAY['webhook', 'form', 'publish', 'poll', 'reconcile', 'pull', 'imap', 'edit', 'system', 'write'])
                          [f.origin + 1] AS metric
    FROM fresh AS f JOIN audiences AS a ON a.number = f.audience
    UNION ALL
    SELECT i.received_at / 60000000, a.source, 0, 'doubled'
    FROM known AS k JOIN input AS i ON i.n = k.n JOIN audiences AS a ON a.number = i.audience
    WHERE k.call NOT IN (SELECT r.call FROM refused AS r)
  ) AS one
  GROUP BY one.minute, one.source, one.metric
  ON CONFLICT (minute, scope, subject, metric, node)
    DO UPDATE SET count = r.count + excluded.count, total = r.total + excluded.total
), kept AS (
  INSERT INTO events ("offset", audience, type, key, origin, received_at, occurred_at, hops,
                      data_path, content_type, headers, change, body)
  SELECT f.offset, f.audience, f.type, f.key, f.origin, f.received_at, f.occurred_at, f.hops,
         f.data_path, f.content_type, f.headers, f.change, f.body
  FROM fresh AS f
)
SELECT f.first, k.known, k.known_offsets, k.known_hashes,
       (SELECT array_agg(r.call) FROM refused AS r) AS refused,
       CASE WHEN f.first IS NOT NULL AND $17::text IS NOT NULL THEN pg_notify('tidegate_log', $17)::text END AS notified
FROM (SELECT min(fresh.offset) AS first FROM fresh) AS f,
     (SELECT array_agg(known.n ORDER BY known.n) AS known, array_agg(known.first ORDER BY known.n) AS known_offsets,
             array_agg(known.body_hash ORDER BY known.n) AS known_hashes FROM known) AS k

-- name: lock_append
SELECT pg_advisory_xact_lock(8420, 1)

-- name: mark_differs
UPDATE events SET differs = true WHERE "offset" = ANY ($1::bigint[]) AND NOT differs

-- name: identity
SELECT (SELECT value FROM settings WHERE name = 'instance'),
       greatest((SELECT max("offset") FROM events), (SELECT floor FROM log_state))

-- name: head
SELECT greatest((SELECT max("offset") FROM events), (SELECT floor FROM log_state))

-- name: follow
-- The events in the gaps ($1, $2] (ascending, disjoint): at most $3 rows and about $4 bytes, and at least one row. $5
-- is where the first gap starts: as a parameter of its own it excludes old spans before they are opened.
SELECT s."offset", s.type, s.origin, s.received_at, s.audience, s.body, s.content_type, s.headers, s.key,
       s.occurred_at, s.data_path, s.change, s.hops, s.differs
FROM (
  SELECT n.*, sum(octet_length(n.body)) OVER (ORDER BY n.offset) - octet_length(n.body) AS bytes_before
  FROM (
    SELECT e.* FROM unnest($1::bigint[], $2::bigint[]) AS g(after, upto) CROSS JOIN LATERAL (
      SELECT * FROM events AS one WHERE one."offset" > g.after AND one."offset" <= g.upto AND one."offset" > $5
      ORDER BY one."offset" LIMIT $3
    ) AS e ORDER BY e."offset" LIMIT $3
  ) AS n
) AS s
WHERE s.bytes_before < $4 ORDER BY s."offset"

-- name: read_events
SELECT "offset", type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events WHERE "offset" = ANY ($1::bigint[]) AND "offset" > (SELECT floor FROM log_state)

-- name: heads
-- The length of a body stored out of line is in its pointer: the body is not read.
SELECT "offset", type, origin, received_at, audience, key, content_type, octet_length(body) AS body_bytes
FROM events WHERE "offset" = ANY ($1::bigint[]) AND "offset" > (SELECT floor FROM log_state)

-- name: scan_all
SELECT "offset", audience FROM events
WHERE "offset" > $1 AND "offset" <= $2 AND "offset" > (SELECT floor FROM log_state)
ORDER BY "offset" LIMIT $3

-- name: scan_audiences
-- One bounded query per audience by its index: a lane far behind reads only its own events. Compared as rows, without
-- an equality or a bound on the offset alone: otherwise the planner may read the primary key and filter the whole log.
SELECT s."offset", a.number
FROM unnest($4::int[]) AS a(number) CROSS JOIN LATERAL (
  SELECT e.offset FROM events AS e
  WHERE (e.audience, e.offset) > (a.number, greatest($1::bigint, (SELECT floor FROM log_state)))
    AND (e.audience, e.offset) <= (a.number, $2::bigint)
  ORDER BY e.audience, e.offset LIMIT $3
) AS s
ORDER BY s."offset" LIMIT $3

-- name: slice_down
-- A page is read in slices: the first query finds where a number of rows ends, the second one the matching rows.
SELECT count(*), min(s."offset") FROM (
  SELECT "offset" FROM events WHERE "offset" < $1 AND "offset" > (SELECT floor FROM log_state)
  ORDER BY "offset" DESC LIMIT $2
) AS s

-- name: slice_up
SELECT count(*), max(s."offset") FROM (
  SELECT "offset" FROM events WHERE "offset" > $1 AND "offset" > (SELECT floor FROM log_state)
  ORDER BY "offset" LIMIT $2
) AS s

-- name: slice_key_down
-- Compared as rows, by the index of keys, for the same reason as in scan_audiences.
SELECT count(*), min(s."offset") FROM (
  SELECT "offset" FROM events
  WHERE (hashtextextended(key, 0), "offset") < (hashtextextended($3, 0), $1::bigint)
    AND (hashtextextended(key, 0), "offset") > (hashtextextended($3, 0), (SELECT floor FROM log_state)) AND key = $3
  ORDER BY hashtextextended(key, 0) DESC, "offset" DESC LIMIT $2
) AS s

-- name: slice_key_up
SELECT count(*), max(s."offset") FROM (
  SELECT "offset" FROM events
  WHERE (hashtextextended(key, 0), "offset")
      > (hashtextextended($3, 0), greatest($1::bigint, (SELECT floor FROM log_state)))
    AND (hashtextextended(key, 0), "offset") < (hashtextextended($3, 0), 9223372036854775807::bigint) AND key = $3
  ORDER BY hashtextextended(key, 0), "offset" LIMIT $2
) AS s

-- name: fit_down
-- The source comes from the table: this node may not know an audience that another node has just stored.
SELECT "offset", type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events
WHERE "offset" >= $1 AND "offset" < $2
  AND ($4::text IS NULL OR audience IN (SELECT number FROM audiences WHERE source = $4))
  AND ($5::text IS NULL OR type = $5)
  AND ($6::smallint IS NULL OR origin = $6) AND ($7::bigint IS NULL OR received_at >= $7)
  AND ($8::bigint IS NULL OR received_at < $8) AND ($9::bytea IS NULL OR position($9 IN body) > 0)
  AND ($10::boolean IS NULL OR (substring(change FROM 1 FOR 10) = '\x7b226865616c6564223a'::bytea) = $10)
ORDER BY "offset" DESC LIMIT $3

-- name: fit_up
SELECT "offset", type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events
WHERE "offset" > greatest($1::bigint, (SELECT floor FROM log_state)) AND "offset" <= $2
  AND ($4::text IS NULL OR audience IN (SELECT number FROM audiences WHERE source = $4))
  AND ($5::text IS NULL OR type = $5)
  AND ($6::smallint IS NULL OR origin = $6) AND ($7::bigint IS NULL OR received_at >= $7)
  AND ($8::bigint IS NULL OR received_at < $8) AND ($9::bytea IS NULL OR position($9 IN body) > 0)
  AND ($10::boolean IS NULL OR (substring(change FROM 1 FOR 10) = '\x7b226865616c6564223a'::bytea) = $10)
ORDER BY "offset" LIMIT $3

-- name: fit_key_down
SELECT "offset", type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events
WHERE (hashtextextended(key, 0), "offset") >= (hashtextextended($11, 0), $1::bigint)
  AND (hashtextextended(key, 0), "offset") < (hashtextextended($11, 0), $2::bigint)
  AND key = $11
  AND ($4::text IS NULL OR audience IN (SELECT number FROM audiences WHERE source = $4))
  AND ($5::text IS NULL OR type = $5)
  AND ($6::smallint IS NULL OR origin = $6) AND ($7::bigint IS NULL OR received_at >= $7)
  AND ($8::bigint IS NULL OR received_at < $8) AND ($9::bytea IS NULL OR position($9 IN body) > 0)
  AND ($10::boolean IS NULL OR (substring(change FROM 1 FOR 10) = '\x7b226865616c6564223a'::bytea) = $10)
ORDER BY hashtextextended(key, 0) DESC, "offset" DESC LIMIT $3

-- name: fit_key_up
SELECT "offset", type, origin, received_at, audience, body, content_type, headers, key,
       occurred_at, data_path, change, hops, differs
FROM events
WHERE (hashtextextended(key, 0), "offset")
    > (hashtextextended($11, 0), greatest($1::bigint, (SELECT floor FROM log_state)))
  AND (hashtextextended(key, 0), "offset") <= (hashtextextended($11, 0), $2::bigint)
  AND key = $11
  AND ($4::text IS NULL OR audience IN (SELECT number FROM audiences WHERE source = $4))
  AND ($5::text IS NULL OR type = $5)
  AND ($6::smallint IS NULL OR origin = $6) AND ($7::bigint IS NULL OR received_at >= $7)
  AND ($8::bigint IS NULL OR received_at < $8) AND ($9::bytea IS NULL OR position($9 IN body) > 0)
  AND ($10::boolean IS NULL OR (substring(change FROM 1 FOR 10) = '\x7b226865616c6564223a'::bytea) = $10)
ORDER BY hashtextextended(key, 0), "offset" LIMIT $3

-- name: oldest
SELECT "offset", received_at FROM events
WHERE "offset" > (SELECT floor FROM log_state) ORDER BY "offset" LIMIT 1

-- name: offset_at
SELECT "offset" FROM events
WHERE "offset" > $1 AND "offset" > (SELECT floor FROM log_state) AND received_at >= $2 ORDER BY "offset" LIMIT 1

-- name: all_audiences
SELECT number, source, considered, wanted, filtered FROM audiences ORDER BY number

-- name: audiences_of
SELECT number, source, considered, wanted, filtered FROM audiences WHERE number = ANY ($1::int[])

-- name: find_audience
SELECT number FROM audiences WHERE digest = $1

-- name: insert_audience
INSERT INTO audiences (digest, source, considered, wanted, filtered) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (digest) DO UPDATE SET source = excluded.source RETURNING number

-- name: instance
INSERT INTO settings (name, value) VALUES ('instance', $1)
ON CONFLICT (name) DO UPDATE SET value = settings.value RETURNING value

-- name: trim
-- Raises the floor past at most $2 events up to offset $1; their spans are dropped later (log_spans.py).
WITH bound AS MATERIALIZED (
  SELECT count(*) AS events, max(s."offset") AS upto, max(s.received_at) AS newest
  FROM (
    SELECT "offset", received_at FROM events
    WHERE "offset" > (SELECT floor FROM log_state) AND "offset" <= $1 ORDER BY "offset" LIMIT $2
  ) AS s
), raised AS (
  UPDATE log_state SET floor = greatest(floor, b.upto) FROM bound AS b WHERE b.upto IS NOT NULL
), settled AS (
  DELETE FROM deferred_deliveries AS x USING bound AS b WHERE x.offset <= b.upto AND x.state >= 2
), passed AS (
  DELETE FROM ranges AS r USING bound AS b WHERE r.upto <= b.upto
)
SELECT b.events, b.upto, b.newest FROM bound AS b

-- name: floor
SELECT floor FROM log_state

-- name: trimmed
SELECT greatest((SELECT floor FROM log_state),
  (SELECT convert_from(value, 'UTF8')::bigint FROM settings WHERE name = 'value:thinned'))

-- name: thin_slice
SELECT "offset", audience, octet_length(body) FROM events
WHERE "offset" > greatest($1::bigint, (SELECT floor FROM log_state)) AND "offset" <= (
  SELECT min(coalesce(s.high_water_mark, n.high_water_mark, 0))
  FROM partitions AS s LEFT JOIN nodes AS n ON n.id = s.node
) ORDER BY "offset" LIMIT $2

-- name: thin_lanes
SELECT destination, committed_offset FROM lanes WHERE committed_offset IS NOT NULL

-- name: thin_pending
SELECT DISTINCT "offset" FROM deferred_deliveries WHERE "offset" > $1 AND "offset" <= $2 AND state < 2

-- name: thin
WITH attempted AS (
  DELETE FROM attempts WHERE "offset" = ANY ($1::bigint[])
), settled AS (
  DELETE FROM deferred_deliveries WHERE "offset" = ANY ($1::bigint[]) AND state >= 2
), noted AS (
  INSERT INTO settings (name, value) VALUES ('value:thinned', convert_to(($2::bigint)::text, 'UTF8'))
  ON CONFLICT (name) DO UPDATE SET value = excluded.value
  WHERE convert_from(excluded.value, 'UTF8')::bigint > convert_from(settings.value, 'UTF8')::bigint
)
DELETE FROM events WHERE "offset" = ANY ($1::bigint[])
RETURNING "offset", pg_column_size(body) + pg_column_size(headers)

-- name: weigh_slice
SELECT "offset", audience, octet_length(body) FROM events
WHERE "offset" > greatest($1::bigint, (SELECT floor FROM log_state)) ORDER BY "offset" LIMIT $2

-- name: weigh_pending
SELECT "offset", destination FROM deferred_deliveries WHERE "offset" > $1 AND "offset" <= $2 AND state < 2

-- name: dedupe_slice
-- The last key of the next $2; NULL at the end. max(bytea) exists only since PostgreSQL 18.
SELECT s.key FROM (SELECT key FROM dedupe WHERE key > $1 ORDER BY key LIMIT $2) AS s ORDER BY s.key DESC LIMIT 1

-- name: forget_dedupe
DELETE FROM dedupe WHERE key > $1 AND key <= $2 AND seen_at < $3
