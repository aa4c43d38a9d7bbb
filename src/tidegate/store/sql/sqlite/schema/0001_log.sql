-- The embedded store: one log, and readers of it. Step 0003 renames some of these tables and columns.
--
-- events      The log. `offset` is the rowid, so an append writes to the end of one b-tree. The source of an event is
--             in its audience and is not repeated here. Bodies are the raw bytes, never encoded again.
-- audiences   Routing decisions, each stored once: (source, routes considered, destinations wanted, destinations
--             filtered). `events` counts the events with this decision, in the transaction that appends them. Together
--             with the counters of `lanes` these are all counters: pending = wanted - settled.
-- dedupe      (source, NUL, delivery id) -> offset of the first copy. A table of its own, so that events can be trimmed
--             before or after their ids are deleted. The id is not hashed: ids that count or start with the time are
--             neighbors, so a group of 40 changes one page instead of 40.
-- lanes       One row per destination that ever had a pending delivery. `position` NULL means that nothing is pending
--             and the lane is at the mark (value 'mark' of the settings). `ahead` has the settled offsets beyond the
--             position, as little-endian 32-bit distances. A lane is written in the transaction that moves the mark
--             past its pending deliveries.
-- exceptions  The only deliveries with a row: waiting for a retry, blocked by their key, exhausted, canceled.
-- ranges      A bulk expiry or cancel in one row: the deliveries of (after, upto] that were pending then.
-- attempts    One finished attempt per row, clustered by event, numbered from 1.
-- Times are microseconds since 1970 UTC. The records of resources are in 0002.

CREATE TABLE events (
  offset          INTEGER PRIMARY KEY,
  audience        INTEGER NOT NULL,
  type            TEXT NOT NULL,
  key             TEXT,
  origin          INTEGER NOT NULL CHECK (origin BETWEEN 0 AND 6),
  received_at     INTEGER NOT NULL,
  occurred_at     INTEGER,
  hops            INTEGER NOT NULL,
  differs         INTEGER NOT NULL DEFAULT 0,
  data_path       TEXT NOT NULL,
  content_type    TEXT NOT NULL,
  headers         BLOB NOT NULL,
  change          BLOB NOT NULL,
  body            BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_audience ON events (audience);
CREATE INDEX events_by_key ON events (key) WHERE key IS NOT NULL;

CREATE TABLE audiences (
  number      INTEGER PRIMARY KEY,
  digest      BLOB NOT NULL UNIQUE,
  source      TEXT NOT NULL,
  considered  TEXT NOT NULL,
  wanted      TEXT NOT NULL,
  filtered    TEXT NOT NULL,
  events      INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE dedupe (
  key        BLOB PRIMARY KEY,
  offset     INTEGER NOT NULL,
  body_hash  BLOB NOT NULL,
  seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
  destination       INTEGER PRIMARY KEY,
  position          INTEGER,
  ahead             BLOB NOT NULL,
  delivered         INTEGER NOT NULL,
  exhausted         INTEGER NOT NULL,
  cancelled         INTEGER NOT NULL,
  adopted           INTEGER NOT NULL,
  adopted_filtered  INTEGER NOT NULL,
  fence             INTEGER NOT NULL
) STRICT;

CREATE TABLE exceptions (
  destination      INTEGER NOT NULL,
  offset           INTEGER NOT NULL,
  state            INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
  due_at           INTEGER NOT NULL,
  attempts         INTEGER NOT NULL,
  cause            TEXT NOT NULL,
  key              TEXT NOT NULL,
  tries_left_from  INTEGER NOT NULL,
  route            INTEGER NOT NULL,
  replay           TEXT NOT NULL,
  PRIMARY KEY (destination, offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX exceptions_due ON exceptions (destination, due_at) WHERE state = 0;
CREATE INDEX exceptions_by_event ON exceptions (offset);

CREATE TABLE ranges (
  destination  INTEGER NOT NULL,
  after        INTEGER NOT NULL,
  upto         INTEGER NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('exhausted', 'cancelled')),
  cause        TEXT NOT NULL,
  at           INTEGER NOT NULL,
  PRIMARY KEY (destination, upto)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
  offset          INTEGER NOT NULL,
  destination     INTEGER NOT NULL,
  number          INTEGER NOT NULL CHECK (number > 0),
  outcome         INTEGER NOT NULL,
  started_at      INTEGER NOT NULL,
  duration        INTEGER NOT NULL,
  status          INTEGER,
  error           TEXT NOT NULL,
  answer_headers  BLOB NOT NULL,
  answer_body     BLOB NOT NULL,
  answer_bytes    INTEGER NOT NULL,
  url             TEXT NOT NULL,
  manual          INTEGER NOT NULL,
  PRIMARY KEY (offset, destination, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE replays (
  id           TEXT PRIMARY KEY,
  created_at   INTEGER NOT NULL,
  query        BLOB NOT NULL,
  position     INTEGER NOT NULL,
  upto         INTEGER NOT NULL,
  matched      INTEGER NOT NULL,
  reopened     INTEGER NOT NULL,
  finished_at  INTEGER,
  cause        TEXT NOT NULL
) STRICT;

-- Settings. `body` of items and route revisions is sealed by the caller (vault.py).
CREATE TABLE items (
  number        INTEGER PRIMARY KEY AUTOINCREMENT,
  kind          TEXT NOT NULL CHECK (kind IN ('source', 'destination', 'route')),
  name          TEXT NOT NULL,
  owner         TEXT NOT NULL CHECK (owner IN ('file', 'api')),
  body          BLOB NOT NULL,
  place         INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  paused_at     INTEGER,
  pause_reason  TEXT NOT NULL,
  deleted_at    INTEGER
) STRICT;
CREATE UNIQUE INDEX items_by_name ON items (kind, name) WHERE deleted_at IS NULL;

CREATE TABLE route_revisions (
  revision  INTEGER PRIMARY KEY,
  name      TEXT NOT NULL,
  digest    BLOB NOT NULL,
  body      BLOB NOT NULL,
  UNIQUE (name, digest)
) STRICT;

CREATE TABLE keys (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  hash        BLOB NOT NULL UNIQUE,
  scopes      TEXT NOT NULL,
  sources     TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER
) STRICT;

CREATE TABLE feeds (
  name        TEXT PRIMARY KEY,
  position    INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE refusals (
  number  INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  source  TEXT NOT NULL,
  reason  TEXT NOT NULL,
  detail  TEXT NOT NULL,
  remote  TEXT NOT NULL
) STRICT;

CREATE TABLE settings (
  name   TEXT PRIMARY KEY,
  value  ANY NOT NULL
) STRICT, WITHOUT ROWID;
