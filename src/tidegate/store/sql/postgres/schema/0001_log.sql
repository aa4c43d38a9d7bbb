-- oldest_reader: 1
-- The shared store: the same log as in the embedded one, and what several nodes need to work on it. Step 0003 renames
-- some of these tables and columns.
--
-- Tables that are the same in SQLite (events, audiences, dedupe, lanes, exceptions, ranges, attempts, replays,
-- settings) are described in sqlite/schema/0001_log.sql. The differences:
--
-- text        PostgreSQL's text can hold neither NUL nor lone surrogates, and input may contain both: postgres/text.py
--             escapes them reversibly. All text has collation "C": compared by code points, on every machine.
-- events      Cut into spans of 2^24 offsets, one table each (`spans`), and attempts likewise. At the change of day the
--             sequence jumps to the next span, so a span covers at most a day, and retention drops whole tables: events
--             are never deleted row by row. Offsets therefore have gaps; no reader may rely on their number.
-- log_state   One row. Events at or below `floor` are gone for every reader at once; their span is dropped later.
-- event_offset  Drawn only under the append lock (8420, 1), by the statement that inserts, so events become visible in
--             the order of their offsets: a reader at the highest visible offset has missed none. CACHE 1, because a
--             block of numbers reserved by one session would break that order.
-- nodes       One row per process. `fence` comes from a sequence; `mark` is the offset up to which the node has offered
--             events to the lanes of its partitions; the lease is timed by the server's clock. `lock_key` is the key of
--             the advisory lock (8421, lock_key) of its session: when it is free, the session is gone. `schema` is the
--             newest schema that its release knows: a step that it cannot read is not applied while it runs.
-- shares      The 64 partitions of background work. `mark` NULL: the partition follows the mark of its node.
-- dedupe      Keys over 512 bytes are replaced by their hash, because an index entry has a limit.
-- There are no foreign keys: every writer has the other row already, and a check on each insert would only cost time.
-- Tables with many updates have free space (fillfactor) and are vacuumed early, so that updates stay on their page.

CREATE TABLE log_state (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  floor  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO log_state DEFAULT VALUES;

CREATE SEQUENCE event_offset AS bigint START 1 CACHE 1;

CREATE TABLE spans (
  number      integer PRIMARY KEY,
  entered_at  timestamptz  -- when the first offset of it was due; NULL: made ahead
);

CREATE TABLE events (
  "offset"      bigint NOT NULL,
  audience      integer NOT NULL,
  type          text COLLATE "C" NOT NULL,
  key           text COLLATE "C",
  origin        smallint NOT NULL CHECK (origin BETWEEN 0 AND 6),
  received_at   bigint NOT NULL,
  occurred_at   bigint,
  hops          smallint NOT NULL,
  differs       boolean NOT NULL DEFAULT false,
  data_path     text COLLATE "C" NOT NULL,
  content_type  text COLLATE "C" NOT NULL,
  headers       bytea NOT NULL,
  change        bytea NOT NULL,
  body          bytea NOT NULL,
  PRIMARY KEY ("offset")
) PARTITION BY RANGE ("offset");
CREATE INDEX events_by_audience ON events (audience, "offset");
-- By a hash, because a key may be longer than an index entry.
CREATE INDEX events_by_key ON events (hashtextextended(key, 0), "offset") WHERE key IS NOT NULL;

CREATE TABLE attempts (
  "offset"        bigint NOT NULL,
  destination     integer NOT NULL,
  number          integer NOT NULL CHECK (number > 0),
  outcome         smallint NOT NULL,
  started_at      bigint NOT NULL,
  duration        bigint NOT NULL,
  status          integer,
  error           text COLLATE "C" NOT NULL,
  answer_headers  bytea NOT NULL,
  answer_body     bytea NOT NULL,
  answer_bytes    bigint NOT NULL,
  url             text COLLATE "C" NOT NULL,
  manual          boolean NOT NULL,
  PRIMARY KEY ("offset", destination, number)
) PARTITION BY RANGE ("offset");

-- The first span; later ones are made ahead (postgres/log_spans.py).
CREATE TABLE events_0 PARTITION OF events FOR VALUES FROM (0) TO (16777216);
CREATE TABLE attempts_0 PARTITION OF attempts FOR VALUES FROM (0) TO (16777216);
INSERT INTO spans (number, entered_at) VALUES (0, now());

CREATE TABLE audiences (
  number      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest      bytea NOT NULL UNIQUE,
  source      text COLLATE "C" NOT NULL,
  considered  text COLLATE "C" NOT NULL,
  wanted      text COLLATE "C" NOT NULL,
  filtered    text COLLATE "C" NOT NULL,
  events      bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE dedupe (
  key        bytea PRIMARY KEY,
  "offset"   bigint NOT NULL,
  body_hash  bytea NOT NULL,
  seen_at    bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE lanes (
  destination       integer PRIMARY KEY,
  position          bigint,
  ahead             bytea NOT NULL,
  delivered         bigint NOT NULL,
  exhausted         bigint NOT NULL,
  cancelled         bigint NOT NULL,
  adopted           bigint NOT NULL,
  adopted_filtered  bigint NOT NULL,
  fence             bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE TABLE exceptions (
  destination      integer NOT NULL,
  "offset"         bigint NOT NULL,
  state            smallint NOT NULL CHECK (state BETWEEN 0 AND 3),
  due_at           bigint NOT NULL,
  attempts         integer NOT NULL,
  cause            text COLLATE "C" NOT NULL,
  key              text COLLATE "C" NOT NULL,
  tries_left_from  integer NOT NULL,
  route            integer NOT NULL,
  replay           text COLLATE "C" NOT NULL,
  PRIMARY KEY (destination, "offset")
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX exceptions_due ON exceptions (destination, due_at, "offset") WHERE state = 0;
CREATE INDEX exceptions_by_event ON exceptions ("offset");

CREATE TABLE ranges (
  destination  integer NOT NULL,
  after        bigint NOT NULL,
  upto         bigint NOT NULL,
  state        text COLLATE "C" NOT NULL CHECK (state IN ('exhausted', 'cancelled')),
  cause        text COLLATE "C" NOT NULL,
  at           bigint NOT NULL,
  PRIMARY KEY (destination, upto)
);

CREATE TABLE replays (
  id           text COLLATE "C" PRIMARY KEY,
  created_at   bigint NOT NULL,
  query        bytea NOT NULL,
  position     bigint NOT NULL,
  upto         bigint NOT NULL,
  matched      bigint NOT NULL,
  reopened     bigint NOT NULL,
  finished_at  bigint,
  cause        text COLLATE "C" NOT NULL
);

-- Nodes and the partitions that they hold.
CREATE SEQUENCE node_fence AS bigint START 1 CACHE 1;

CREATE TABLE nodes (
  id                text COLLATE "C" PRIMARY KEY,
  fence             bigint NOT NULL,
  mark              bigint NOT NULL,
  started_at        timestamptz NOT NULL,
  lease_expires_at  timestamptz NOT NULL,
  status            bytea NOT NULL DEFAULT '{}',
  lock_key          integer NOT NULL,
  schema            integer NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 200);

CREATE TABLE shares (
  number  smallint PRIMARY KEY CHECK (number BETWEEN 0 AND 63),
  node    text COLLATE "C",
  mark    bigint DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 200);
INSERT INTO shares (number) SELECT generate_series(0, 63);

-- Settings. `body` of items and route revisions is sealed by the caller (vault.py).
CREATE TABLE items (
  number        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind          text COLLATE "C" NOT NULL CHECK (kind IN ('source', 'destination', 'route')),
  name          text COLLATE "C" NOT NULL,
  owner         text COLLATE "C" NOT NULL CHECK (owner IN ('file', 'api')),
  body          bytea NOT NULL,
  place         integer NOT NULL,
  created_at    bigint NOT NULL,
  updated_at    bigint NOT NULL,
  paused_at     bigint,
  pause_reason  text COLLATE "C" NOT NULL,
  deleted_at    bigint
);
CREATE UNIQUE INDEX items_by_name ON items (kind, name) WHERE deleted_at IS NULL;

CREATE TABLE route_revisions (
  revision  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name      text COLLATE "C" NOT NULL,
  digest    bytea NOT NULL,
  body      bytea NOT NULL,
  UNIQUE (name, digest)
);

CREATE TABLE keys (
  id          text COLLATE "C" PRIMARY KEY,
  name        text COLLATE "C" NOT NULL,
  hash        bytea NOT NULL UNIQUE,
  scopes      text COLLATE "C" NOT NULL,
  sources     text COLLATE "C" NOT NULL,
  created_at  bigint NOT NULL,
  expires_at  bigint
);

CREATE TABLE feeds (
  name        text COLLATE "C" PRIMARY KEY,
  position    bigint NOT NULL,
  updated_at  bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE refusals (
  number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      bigint NOT NULL,
  source  text COLLATE "C" NOT NULL,
  reason  text COLLATE "C" NOT NULL,
  detail  text COLLATE "C" NOT NULL,
  remote  text COLLATE "C" NOT NULL
);

CREATE TABLE settings (
  name   text COLLATE "C" PRIMARY KEY,
  value  bytea NOT NULL
) WITH (fillfactor = 70);
