-- Queries of the engine and of the partitions (store/postgres/engine.py, partitions.py).

-- name: facts
SELECT current_setting('server_version') AS server_version,
       current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_connections')::int AS max_connections,
       pg_is_in_recovery() AS in_recovery,
       (SELECT max(version) FROM schema_version) AS schema_version,
       (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c
        WHERE c.relnamespace = 'tidegate'::regnamespace AND c.relkind = 'r') AS used_bytes

-- name: notify
SELECT count(pg_notify(n.channel, n.payload)) FROM unnest($1::text[], $2::text[]) AS n(channel, payload)
