-- remembered_ids   The ids that other systems gave, beside our keys: `ids` is JSON, name to text. One row for each key that
--                  an operation remembered something for; deleted with the store only.
-- operation_calls  Calls with an idempotency key, for a day: `answer` is empty while the call runs.

CREATE TABLE remembered_ids (
  source      TEXT NOT NULL,
  key         TEXT NOT NULL,
  ids         BLOB NOT NULL,
  updated_at  INTEGER NOT NULL,
  PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE operation_calls (
  name    TEXT PRIMARY KEY,
  digest  BLOB NOT NULL,
  answer  BLOB NOT NULL,
  at      INTEGER NOT NULL
) STRICT
