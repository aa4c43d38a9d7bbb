-- pending_writes  Changes that an operation makes in another system, for a day: so that a poll recognizes them when they
--                 come back. `written` and `answer` are JSON; `answer` is empty until there is one. `chain` has the
--                 names of the sources that led to the write.

CREATE TABLE pending_writes (
  id        text COLLATE "C" PRIMARY KEY,
  source    text COLLATE "C" NOT NULL,
  resource  text COLLATE "C" NOT NULL,
  key       text COLLATE "C" NOT NULL,
  written   bytea NOT NULL,
  answer    bytea NOT NULL,
  cause     text COLLATE "C" NOT NULL,
  chain     bytea NOT NULL,
  at        bigint NOT NULL
);
CREATE INDEX pending_writes_by_record ON pending_writes (source, resource, key);
