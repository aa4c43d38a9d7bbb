-- credentials    The token of each credential with a token service, by its owner ("credential/NAME", "source/NAME",
--                "destination/NAME"). `body` is sealed; it is empty before the first token. `fence` grows with each lock;
--                `owner` is empty while there is none, and `locked_until` (Unix seconds) ends the lock of a process that
--                is gone. `attempts` counts the refreshes that were announced and not answered.
-- items          There is one more kind: a shared credential.

CREATE TABLE credentials (
  name          TEXT PRIMARY KEY,
  body          BLOB NOT NULL,
  fence         INTEGER NOT NULL,
  attempts      INTEGER NOT NULL,
  owner         TEXT NOT NULL,
  locked_until  REAL NOT NULL
) STRICT;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (kind IN (''source'', ''destination'', ''route''))', '')
  WHERE type = 'table' AND name = 'items';
PRAGMA writable_schema = RESET
