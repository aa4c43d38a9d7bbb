-- Queries of the rollups (store/sqlite/rollups.py).

-- name: add
INSERT INTO rollup_minutes (minute, scope, subject, metric, count, total)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count, total = total + excluded.total

-- name: read
SELECT CASE WHEN ?3 > 0 THEN minute / max(?3, 1) * ?3 ELSE 0 END AS at, scope, subject, metric,
       sum(count), sum(total)
FROM (
  SELECT minute, scope, subject, metric, count, total FROM rollup_hours WHERE minute >= ?1 AND minute < ?2
  UNION ALL
  SELECT minute, scope, subject, metric, count, total FROM rollup_minutes WHERE minute >= ?1 AND minute < ?2
  UNION ALL
  SELECT minute, scope, subject, metric, count, total FROM uncounted_minutes WHERE minute >= ?1 AND minute < ?2
)
WHERE (?4 IS NULL OR scope = ?4) AND (?5 IS NULL OR subject = ?5)
  AND (?6 IS NULL OR substr(metric, 1, length(?6)) = ?6)
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4

-- name: first_minute
SELECT min(one) FROM (
  SELECT min(minute) AS one FROM rollup_minutes
  UNION ALL SELECT min(minute) FROM rollup_hours
  UNION ALL SELECT min(minute) FROM uncounted_minutes
)

-- name: first_of_minutes
SELECT min(minute) FROM rollup_minutes

-- name: fold
INSERT INTO rollup_hours (minute, scope, subject, metric, count, total)
SELECT minute / 60 * 60, scope, subject, metric, sum(count), sum(total)
FROM rollup_minutes WHERE minute < ? GROUP BY 1, 2, 3, 4
ON CONFLICT DO UPDATE SET count = count + excluded.count, total = total + excluded.total

-- name: delete_minutes
DELETE FROM rollup_minutes WHERE minute < ?

-- name: trim
DELETE FROM rollup_hours WHERE minute < ?
