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
