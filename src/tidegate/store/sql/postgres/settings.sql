-- Queries of the settings (store/postgres/settings.py).

-- name: items
SELECT kind, name, number, owner, body, place, created_at, updated_at, paused_at, pause_reason, deleted_at
FROM items ORDER BY kind, place, number

-- name: insert_item
INSERT INTO items (kind, name, owner, body, place, created_at, updated_at, paused_at, pause_reason, deleted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: update_item
UPDATE items SET owner = $1, body = $2, place = $3, updated_at = $4, paused_at = $5, pause_reason = $6,
  deleted_at = $7
WHERE number = $8

-- name: lock_items
-- The items whose body is still the one that was read; they are locked until COMMIT.
SELECT i.number FROM items AS i JOIN unnest($1::integer[], $2::bytea[]) AS r (number, body)
  ON i.number = r.number AND i.body = r.body
ORDER BY i.number FOR UPDATE OF i

-- name: find_revision
SELECT revision FROM route_revisions WHERE name = $1 AND digest = $2

-- name: put_revision
INSERT INTO route_revisions (name, digest, body) VALUES ($1, $2, $3)
ON CONFLICT (name, digest) DO UPDATE SET name = excluded.name RETURNING revision

-- name: reseal_revision
UPDATE route_revisions SET body = $3 WHERE revision = $1 AND body = $2

-- name: route_revisions
SELECT revision, name, body FROM route_revisions

-- name: keys
SELECT id, name, hash, scopes, sources, created_at, expires_at FROM keys ORDER BY created_at

-- name: put_key
INSERT INTO keys (id, name, hash, scopes, sources, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: delete_key
DELETE FROM keys WHERE id = $1

-- name: changed
-- The last statement of each change: the lock on the row gives each version to one writer. The notification is sent
-- with the commit.
WITH bumped AS (
  INSERT INTO settings (name, value) VALUES ('settings_version', convert_to('1', 'UTF8'))
  ON CONFLICT (name) DO UPDATE
    SET value = convert_to((convert_from(settings.value, 'UTF8')::bigint + 1)::text, 'UTF8')
  RETURNING convert_from(value, 'UTF8')::bigint AS version
)
SELECT version FROM bumped, pg_notify('tidegate_settings', '')

-- name: version
SELECT convert_from(value, 'UTF8')::bigint FROM settings WHERE name = 'settings_version'

-- name: feed
SELECT name, committed_offset, updated_at, sources, owner FROM feeds WHERE name = $1

-- name: feeds
SELECT name, committed_offset, updated_at, sources, owner FROM feeds ORDER BY name

-- name: delete_feed
DELETE FROM feeds WHERE name = $1 RETURNING name

-- name: ack_feed
-- A feed that exists moves, if it belongs to these sources. A new one is made, if its owner has fewer than the limit.
INSERT INTO feeds (name, committed_offset, updated_at, sources, owner)
SELECT $1, $2::bigint, $3::bigint, $4, $5
WHERE EXISTS (SELECT FROM feeds WHERE name = $1) OR (SELECT count(*) FROM feeds WHERE owner = $5) < $6::bigint
ON CONFLICT (name) DO UPDATE SET committed_offset = greatest(feeds.committed_offset, excluded.committed_offset),
  updated_at = excluded.updated_at
WHERE feeds.sources = excluded.sources

-- name: put_rejections
INSERT INTO rejections (at, source, reason, detail, remote)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])

-- name: bound_rejections
-- Of all sources the same number of the newest rows stay, so a flood to one pushes none of another out. Requests to
-- unknown sources, whose names are the senders' choice, count as one.
DELETE FROM rejections WHERE number IN (
  SELECT number FROM (
    SELECT number, row_number() OVER (
      PARTITION BY CASE reason WHEN 'source_unknown' THEN '' ELSE source END ORDER BY number DESC
    ) AS place FROM rejections
  ) AS r ORDER BY place, number DESC OFFSET 1000
)

-- name: rejections
SELECT at, source, reason, detail, remote FROM rejections ORDER BY number DESC LIMIT $1

-- name: value
SELECT value FROM settings WHERE name = $1

-- name: put_value
INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: new_value
INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING name

-- name: swap_value
UPDATE settings SET value = $2 WHERE name = $1 AND value = $3 RETURNING name
