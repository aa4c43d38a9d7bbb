-- remembered_ids   The ids that other systems gave, beside our keys: `ids` is JSON, name to text. One row for each key that
--                  an operation remembered something for; deleted with the store only.
-- operation_calls  Calls with an idempotency key, for a day: `answer` is empty while the call runs.

CREATE TABLE remembered_ids (
  source      text COLLATE "C" NOT NULL,
  key         text COLLATE "C" NOT NULL,
  ids         bytea NOT NULL,
  updated_at  bigint NOT NULL,
  PRIMARY KEY (source, key)
);
CREATE TABLE operation_calls (
  name    text COLLATE "C" PRIMARY KEY,
  digest  bytea NOT NULL,
  answer  bytea NOT NULL,
  at      bigint NOT NULL
);
