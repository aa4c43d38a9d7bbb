-- pending_writes  Changes that an operation makes in another system, for a day: so that a poll recognizes them when they
--                 come back. `written` and `answer` are JSON; `answer` is empty until there is one. `chain` has the
--                 names of the sources that led to the write.

CREATE TABLE pending_writes (
  id        TEXT PRIMARY KEY,
  source    TEXT NOT NULL,
  resource  TEXT NOT NULL,
  key       TEXT NOT NULL,
  written   BLOB NOT NULL,
  answer    BLOB NOT NULL,
  cause     TEXT NOT NULL,
  chain     BLOB NOT NULL,
  at        INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_writes_by_record ON pending_writes (source, resource, key)
