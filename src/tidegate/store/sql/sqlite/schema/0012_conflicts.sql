-- other_changes  Changes of records that none of our writes made, for a day: what a write of an operation can meet.
--                `fields`, `targets` and `carried` are JSON.
-- conflicts      Writes that met such a change. `chosen` is "incoming", "current", or empty while it is held.

CREATE TABLE other_changes (
  source    TEXT NOT NULL,
  resource  TEXT NOT NULL,
  key       TEXT NOT NULL,
  number    INTEGER NOT NULL,
  fields    BLOB NOT NULL,
  targets   BLOB NOT NULL,
  carried   BLOB NOT NULL,
  at        INTEGER NOT NULL,
  occurred  INTEGER NOT NULL,
  PRIMARY KEY (source, resource, key, number)
) STRICT;
CREATE TABLE conflicts (
  id          TEXT PRIMARY KEY,
  source      TEXT NOT NULL,
  operation   TEXT NOT NULL,
  resource    TEXT NOT NULL,
  key         TEXT NOT NULL,
  cause       TEXT NOT NULL,
  pair        TEXT NOT NULL,
  incoming    BLOB NOT NULL,
  current     BLOB NOT NULL,
  chosen      TEXT NOT NULL,
  decided_by  TEXT NOT NULL,
  at          INTEGER NOT NULL
) STRICT;
CREATE INDEX conflicts_by_pair ON conflicts (pair);
CREATE INDEX conflicts_by_time ON conflicts (at)
