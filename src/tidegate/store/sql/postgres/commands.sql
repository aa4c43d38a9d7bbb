-- Queries of the commands between nodes (store/postgres/commands.py). All times are the server's clock.

-- name: send
-- Insert a command and wake its recipient. Rows that are a minute old belong to nodes that crashed.
WITH old AS (
  SELECT id FROM node_commands WHERE sent_at < clock_timestamp() - interval '1 minute' FOR UPDATE SKIP LOCKED
), deleted AS (
  DELETE FROM node_commands AS c USING old WHERE c.id = old.id
), sent AS (
  INSERT INTO node_commands (id, sender, recipient, partition, command) VALUES ($1, $2, $3, $4, $5) RETURNING recipient
)
SELECT pg_notify($6, sent.recipient) FROM sent

-- name: withdraw
DELETE FROM node_commands WHERE id = $1

-- name: take
-- Each command is taken once. One whose sender has stopped waiting is left alone.
UPDATE node_commands SET taken_at = clock_timestamp()
WHERE recipient = $1 AND taken_at IS NULL AND sent_at > clock_timestamp() - $2::interval
RETURNING id, partition, command

-- name: answer
-- Write the answer and wake the sender. Nothing happens when the sender withdrew the command.
WITH answered AS (
  UPDATE node_commands SET result = $2, answer = $3 WHERE id = $1 RETURNING sender
)
SELECT pg_notify($4, answered.sender) FROM answered

-- name: answers
DELETE FROM node_commands WHERE id = ANY ($1::text[]) AND result IS NOT NULL RETURNING id, result, answer
