-- Queries of the leases (store/postgres/leases.py). All times are the server's clock.

-- name: now
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: next_fence
SELECT nextval('node_fence')

-- name: hold_session
-- The lock shows that this node's session lives. The server frees it as soon as the process is gone.
SELECT pg_try_advisory_lock(8421, $1)

-- name: free_session
SELECT pg_advisory_unlock(8421, $1)

-- name: lock_self
SELECT high_water_mark FROM nodes WHERE id = $1 FOR UPDATE

-- name: lock_migration
-- Nobody migrates while a node joins (migrate.py holds the same lock alone).
SELECT pg_advisory_xact_lock_shared(8420, 2)

-- name: put_node
-- Returns no row when the schema is one that this release cannot read.
INSERT INTO nodes (id, fence, high_water_mark, started_at, lease_expires_at, status, lock_key, schema)
SELECT $1, $2, 0, clock_timestamp(), clock_timestamp() + $3::interval, $4, $5, $6
WHERE (SELECT max(oldest_reader) FROM schema_version) <= $6
ON CONFLICT (id) DO UPDATE SET fence = excluded.fence, high_water_mark = 0, started_at = excluded.started_at,
  lease_expires_at = excluded.lease_expires_at, status = excluded.status, lock_key = excluded.lock_key,
  schema = excluded.schema
RETURNING id

-- name: renew
-- Returns the time, by which the node corrects its clock.
UPDATE nodes SET lease_expires_at = clock_timestamp() + $3::interval, status = coalesce($4, status)
WHERE id = $1 AND fence = $2 RETURNING (extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: dead_nodes
-- Nodes whose lease expired or whose session is gone. Just after a start of the server every session is gone.
SELECT id, fence, expired, gone FROM (
  SELECT n.id, n.fence, n.lease_expires_at < clock_timestamp() AS expired, NOT EXISTS (
    SELECT FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = 8421
      AND l.objid = n.lock_key::oid
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  ) AS gone
  FROM nodes AS n WHERE n.id <> $1 AND clock_timestamp() > pg_postmaster_start_time() + interval '2 seconds'
) AS looked WHERE expired OR gone

-- name: lock_dead
-- A row that a settle has locked is tried again in the next round: this never waits.
SELECT high_water_mark FROM nodes WHERE id = $1 AND fence = $2 AND ($3 OR lease_expires_at < clock_timestamp())
FOR UPDATE SKIP LOCKED

-- name: lock_own
SELECT high_water_mark FROM nodes WHERE id = $1 AND fence = $2 FOR UPDATE

-- name: free_all
UPDATE partitions SET node = NULL, high_water_mark = coalesce(high_water_mark, $2) WHERE node = $1

-- name: free_some
UPDATE partitions SET node = NULL, high_water_mark = coalesce(high_water_mark, $2) WHERE node = $1
  AND number = ANY ($3::smallint[])

-- name: remove_node
DELETE FROM nodes WHERE id = $1

-- name: survey
SELECT n.id, count(s.number) AS held, (SELECT count(*) FROM partitions WHERE node IS NULL) AS free
FROM nodes AS n LEFT JOIN partitions AS s ON s.node = n.id
GROUP BY n.id ORDER BY n.started_at, n.id

-- name: held
SELECT number FROM partitions WHERE node = $1

-- name: claim
-- In the order of `spread` in balance.py.
WITH gate AS (
  SELECT id FROM nodes WHERE id = $1 AND fence = $2 FOR KEY SHARE
), free AS MATERIALIZED (
  SELECT number FROM partitions WHERE node IS NULL ORDER BY number * 37 % 64 LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE partitions AS s SET node = gate.id FROM gate, free WHERE s.number = free.number RETURNING s.number

-- name: owner
SELECT node FROM partitions WHERE number = $1

-- name: nodes
SELECT n.id, n.fence, count(s.number), (extract(epoch FROM n.started_at) * 1000000)::bigint,
       (extract(epoch FROM n.lease_expires_at) * 1000000)::bigint, n.status, n.high_water_mark
FROM nodes AS n LEFT JOIN partitions AS s ON s.node = n.id
WHERE n.lease_expires_at >= clock_timestamp()
GROUP BY n.id ORDER BY n.id <> $1, n.started_at, n.id
