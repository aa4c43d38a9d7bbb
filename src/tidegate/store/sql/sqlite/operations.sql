-- Remembered ids and repeated calls (store/sqlite/operations.py).

-- name: remembered
SELECT ids FROM remembered_ids WHERE source = ?1 AND key = ?2

-- name: remember
INSERT INTO remembered_ids (source, key, ids, updated_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (source, key) DO UPDATE SET ids = excluded.ids, updated_at = excluded.updated_at

-- name: forget_calls
DELETE FROM operation_calls WHERE at < ?1

-- name: begin_call
INSERT INTO operation_calls (name, digest, answer, at) VALUES (?1, ?2, x'', ?3)
ON CONFLICT (name) DO NOTHING RETURNING name

-- name: call
SELECT digest, answer, at FROM operation_calls WHERE name = ?1

-- name: end_call
UPDATE operation_calls SET answer = ?2 WHERE name = ?1

-- name: delete_call
DELETE FROM operation_calls WHERE name = ?1

-- name: put_write
INSERT INTO pending_writes (id, source, resource, key, written, answer, cause, chain, at, state, sent_at, answered_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT (id) DO UPDATE SET key = excluded.key, written = excluded.written, answer = excluded.answer, at = excluded.at,
  state = excluded.state, sent_at = excluded.sent_at, answered_at = excluded.answered_at

-- name: write
SELECT id, source, resource, key, written, answer, cause, chain, at, state, sent_at, answered_at
FROM pending_writes WHERE id = ?1

-- name: writes
SELECT id, source, resource, key, written, answer, cause, chain, at, state, sent_at, answered_at
FROM pending_writes WHERE source = ?1 AND resource = ?2 AND (?3 IS NULL OR state = ?3) ORDER BY at

-- name: delete_write
DELETE FROM pending_writes WHERE id = ?1

-- name: delete_writes_of
DELETE FROM pending_writes WHERE source = ?1 AND resource = ?2 AND key = ?3

-- name: forget_writes
DELETE FROM pending_writes WHERE at < ?1
