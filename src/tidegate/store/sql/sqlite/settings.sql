-- Queries of the settings (store/sqlite/settings.py).

-- name: items
SELECT kind, name, number, owner, body, place, created_at, updated_at, paused_at, pause_reason, deleted_at
FROM items ORDER BY kind, place, number

-- name: insert_item
INSERT INTO items (kind, name, owner, body, place, created_at, updated_at, paused_at, pause_reason, deleted_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number

-- name: body_of_item
SELECT body FROM items WHERE number = ?

-- name: update_item
UPDATE items SET owner = ?, body = ?, place = ?, updated_at = ?, paused_at = ?, pause_reason = ?, deleted_at = ?
WHERE number = ?

-- name: route_revision
INSERT INTO route_revisions (name, digest, body) VALUES (?, ?, ?)
ON CONFLICT (name, digest) DO UPDATE SET name = excluded.name RETURNING revision

-- name: reseal_revision
UPDATE route_revisions SET body = ?3 WHERE revision = ?1 AND body = ?2

-- name: route_revisions
SELECT revision, name, body FROM route_revisions

-- name: keys
SELECT id, name, hash, scopes, sources, created_at, expires_at FROM keys ORDER BY created_at

-- name: put_key
INSERT INTO keys (id, name, hash, scopes, sources, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: delete_key
DELETE FROM keys WHERE id = ?

-- name: feed
SELECT name, committed_offset, updated_at, sources, owner FROM feeds WHERE name = ?

-- name: feeds
SELECT name, committed_offset, updated_at, sources, owner FROM feeds ORDER BY name

-- name: delete_feed
DELETE FROM feeds WHERE name = ? RETURNING name

-- name: ack_feed
-- A feed that exists moves, if it belongs to these sources. A new one is made, if its owner has fewer than the limit.
INSERT INTO feeds (name, committed_offset, updated_at, sources, owner)
SELECT ?1, ?2, ?3, ?4, ?5
WHERE EXISTS (SELECT 1 FROM feeds WHERE name = ?1) OR (SELECT count(*) FROM feeds WHERE owner = ?5) < ?6
ON CONFLICT (name) DO UPDATE SET committed_offset = max(committed_offset, excluded.committed_offset),
  updated_at = excluded.updated_at
WHERE sources = excluded.sources

-- name: put_rejection
INSERT INTO rejections (at, source, reason, detail, remote) VALUES (?, ?, ?, ?, ?)

-- name: bound_rejections
-- Of all sources the same number of the newest rows stay, so a flood to one pushes none of another out. Requests to
-- unknown sources, whose names are the senders' choice, count as one.
DELETE FROM rejections WHERE number IN (
  SELECT number FROM (
    SELECT number, row_number() OVER (
      PARTITION BY CASE reason WHEN 'source_unknown' THEN '' ELSE source END ORDER BY number DESC
    ) AS place FROM rejections
  ) AS r ORDER BY place, number DESC LIMIT -1 OFFSET 1000
)

-- name: rejections
SELECT at, source, reason, detail, remote FROM rejections ORDER BY number DESC LIMIT ?

-- name: value
SELECT value FROM settings WHERE name = ?

-- name: put_value
INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value

-- name: new_value
INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING RETURNING name

-- name: swap_value
UPDATE settings SET value = ?2 WHERE name = ?1 AND value = ?3 RETURNING name
