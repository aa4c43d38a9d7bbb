-- The records of resources and the state of each resource's engine.
--
-- records          The latest known state of one item of a resource, by its key. `hash` is of the canonical JSON
--                  without the ignored fields. `number` counts the changes of this record and never restarts, so
--                  (source, resource, key, number) identifies a change. A delete leaves a tombstone (`deleted` = 1 and
--                  the last body), so that older data does not bring the record back. Retention never removes records.
-- resource_states  Cursor, validators, position in the log and counters: one row per resource, written in the same
--                  transaction as the records. `fence` rejects an engine whose lease went to another node.

CREATE TABLE records (
  source       TEXT NOT NULL,
  resource     TEXT NOT NULL,
  key          TEXT NOT NULL,
  hash         BLOB NOT NULL,
  version      TEXT,
  number       INTEGER NOT NULL CHECK (number > 0),
  origin       INTEGER NOT NULL CHECK (origin BETWEEN 0 AND 6),
  asked_at     INTEGER NOT NULL,
  answered_at  INTEGER NOT NULL,
  changed_at   INTEGER NOT NULL,
  deleted      INTEGER NOT NULL CHECK (deleted IN (0, 1)),
  body         BLOB NOT NULL,
  PRIMARY KEY (source, resource, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_by_change ON records (source, resource, changed_at);

CREATE TABLE resource_states (
  source         TEXT NOT NULL,
  resource       TEXT NOT NULL,
  cursor         TEXT,
  etag           TEXT,
  last_modified  TEXT,
  first_done     INTEGER NOT NULL CHECK (first_done IN (0, 1)),
  log_position   INTEGER NOT NULL,
  polled_at      INTEGER,
  reconciled_at  INTEGER,
  scanned_at     INTEGER,
  statistics     BLOB NOT NULL,
  memo           BLOB NOT NULL,
  fence          INTEGER NOT NULL,
  PRIMARY KEY (source, resource)
) STRICT, WITHOUT ROWID;
