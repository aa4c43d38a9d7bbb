-- oldest_reader: 2
-- The records of resources and the state of each resource's engine, described in sqlite/schema/0002_records.sql.

CREATE TABLE records (
  source       text COLLATE "C" NOT NULL,
  resource     text COLLATE "C" NOT NULL,
  key          text COLLATE "C" NOT NULL,
  hash         bytea NOT NULL,
  version      text COLLATE "C",
  number       bigint NOT NULL CHECK (number > 0),
  origin       smallint NOT NULL CHECK (origin BETWEEN 0 AND 6),
  asked_at     bigint NOT NULL,
  answered_at  bigint NOT NULL,
  changed_at   bigint NOT NULL,
  deleted      boolean NOT NULL,
  body         bytea NOT NULL,
  PRIMARY KEY (source, resource, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX records_by_change ON records (source, resource, changed_at);

CREATE TABLE resource_states (
  source         text COLLATE "C" NOT NULL,
  resource       text COLLATE "C" NOT NULL,
  cursor         text COLLATE "C",
  etag           text COLLATE "C",
  last_modified  text COLLATE "C",
  first_done     boolean NOT NULL,
  log_position   bigint NOT NULL,
  polled_at      bigint,
  reconciled_at  bigint,
  scanned_at     bigint,
  statistics     bytea NOT NULL,
  memo           bytea NOT NULL,
  fence          bigint NOT NULL,
  PRIMARY KEY (source, resource)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
