-- pending_writes  What is known of a write: whether its answer is stored (state 1) or in the records (state 2), and when it
--                 was sent and answered. After a crash an answered write is not sent again, and an answer that is not in
--                 the records is merged into them.
-- records.origin  An answer to a write makes records too (9). The text of the table is changed, as in 0007.

ALTER TABLE pending_writes ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pending_writes ADD COLUMN sent_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pending_writes ADD COLUMN answered_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX pending_writes_answered ON pending_writes (source, resource) WHERE state = 1;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (origin BETWEEN 0 AND 6)', 'CHECK (origin BETWEEN 0 AND 31)')
  WHERE type = 'table' AND name = 'records';
PRAGMA writable_schema = RESET
