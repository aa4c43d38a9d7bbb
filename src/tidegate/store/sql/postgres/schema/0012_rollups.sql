-- rollup_minutes  What each source, destination and resource did, by minute (since 1970 UTC): one row for each metric
--                 and node, written in the transaction of what it counts. `total` has bytes or milliseconds, as the
--                 metric says.
-- rollup_hours    The same after two days, of all nodes together; `minute` is the first one of the hour.

CREATE TABLE rollup_minutes (
  minute   bigint NOT NULL,
  scope    text COLLATE "C" NOT NULL,
  subject  text COLLATE "C" NOT NULL,
  metric   text COLLATE "C" NOT NULL,
  node     text COLLATE "C" NOT NULL DEFAULT '',
  count    bigint NOT NULL,
  total    bigint NOT NULL,
  PRIMARY KEY (minute, scope, subject, metric, node)
) WITH (fillfactor = 70);

CREATE TABLE rollup_hours (
  minute   bigint NOT NULL,
  scope    text COLLATE "C" NOT NULL,
  subject  text COLLATE "C" NOT NULL,
  metric   text COLLATE "C" NOT NULL,
  count    bigint NOT NULL,
  total    bigint NOT NULL,
  PRIMARY KEY (minute, scope, subject, metric)
);
