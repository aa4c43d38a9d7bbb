-- other_changes  Changes of records that none of our writes made, for a day: what a write of an operation can meet.
--                `fields`, `targets` and `carried` are JSON.
-- conflicts      Writes that met such a change. `chosen` is "incoming", "current", or empty while it is held.

CREATE TABLE other_changes (
  source    text COLLATE "C" NOT NULL,
  resource  text COLLATE "C" NOT NULL,
  key       text COLLATE "C" NOT NULL,
  number    bigint NOT NULL,
  fields    bytea NOT NULL,
  targets   bytea NOT NULL,
  carried   bytea NOT NULL,
  at        bigint NOT NULL,
  occurred  bigint NOT NULL,
  PRIMARY KEY (source, resource, key, number)
);
CREATE TABLE conflicts (
  id          text COLLATE "C" PRIMARY KEY,
  source      text COLLATE "C" NOT NULL,
  operation   text COLLATE "C" NOT NULL,
  resource    text COLLATE "C" NOT NULL,
  key         text COLLATE "C" NOT NULL,
  cause       text COLLATE "C" NOT NULL,
  pair        text COLLATE "C" NOT NULL,
  incoming    bytea NOT NULL,
  current     bytea NOT NULL,
  chosen      text COLLATE "C" NOT NULL,
  decided_by  text COLLATE "C" NOT NULL,
  at          bigint NOT NULL
);
CREATE INDEX conflicts_by_pair ON conflicts (pair);
CREATE INDEX conflicts_by_time ON conflicts (at);
