-- pending_writes  What is known of a write: whether its answer is stored (state 1) or in the records (state 2), and when it
--                 was sent and answered. After a crash an answered write is not sent again, and an answer that is not in
--                 the records is merged into them.
-- records.origin  An answer to a write makes records too (9). The program is what limits origins, as in 0008.

ALTER TABLE pending_writes
  ADD COLUMN state smallint NOT NULL DEFAULT 0,
  ADD COLUMN sent_at bigint NOT NULL DEFAULT 0,
  ADD COLUMN answered_at bigint NOT NULL DEFAULT 0;
CREATE INDEX pending_writes_answered ON pending_writes (source, resource) WHERE state = 1;
ALTER TABLE records DROP CONSTRAINT records_origin_check;
