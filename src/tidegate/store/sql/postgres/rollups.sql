-- Queries of the rollups (store/postgres/rollups.py). The statements `append`, `settle` and `save_state` add rows too.

-- name: add
INSERT INTO rollup_minutes AS r (minute, scope, subject, metric, node, count, total)
SELECT u.minute, u.scope, u.subject, u.metric, $1, u.count, u.total
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
  AS u(minute, scope, subject, metric, count, total)
ON CONFLICT (minute, scope, subject, metric, node)
  DO UPDATE SET count = r.count + excluded.count, total = r.total + excluded.total

-- name: read
SELECT CASE WHEN $3::bigint > 0 THEN minute / greatest($3::bigint, 1) * $3::bigint ELSE 0 END AS at,
       scope, subject, metric, sum(count)::bigint, sum(total)::bigint
FROM (
  SELECT minute, scope, subject, metric, count, total FROM rollup_hours WHERE minute >= $1 AND minute < $2
  UNION ALL
  SELECT minute, scope, subject, metric, count, total FROM rollup_minutes WHERE minute >= $1 AND minute < $2
) AS both_tables
WHERE ($4::text IS NULL OR scope = $4) AND ($5::text IS NULL OR subject = $5)
  AND ($6::text IS NULL OR starts_with(metric, $6))
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4

-- name: first_minute
SELECT least((SELECT min(minute) FROM rollup_minutes), (SELECT min(minute) FROM rollup_hours))

-- name: fold
-- In slices: at most the ten oldest minutes at once.
WITH moved AS (
  DELETE FROM rollup_minutes
  WHERE minute < least($1::bigint, (SELECT min(minute) FROM rollup_minutes) + 10)
  RETURNING minute, scope, subject, metric, count, total
), hours AS (
  INSERT INTO rollup_hours AS h (minute, scope, subject, metric, count, total)
  SELECT minute / 60 * 60, scope, subject, metric, sum(count)::bigint, sum(total)::bigint FROM moved GROUP BY 1, 2, 3, 4
  ON CONFLICT (minute, scope, subject, metric)
    DO UPDATE SET count = h.count + excluded.count, total = h.total + excluded.total
)
SELECT count(*) FROM moved

-- name: trim
DELETE FROM rollup_hours WHERE minute < $1
