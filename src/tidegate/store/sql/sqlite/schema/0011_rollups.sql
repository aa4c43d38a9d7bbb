-- rollup_minutes  What each source, destination and resource did, by minute (since 1970 UTC): one row for each metric,
--                 written in the transaction of what it counts. `total` has bytes or milliseconds, as the metric says.
-- rollup_hours    The same after two days; `minute` is the first one of the hour.

CREATE TABLE rollup_minutes (
  minute   INTEGER NOT NULL,
  scope    TEXT NOT NULL,
  subject  TEXT NOT NULL,
  metric   TEXT NOT NULL,
  count    INTEGER NOT NULL,
  total    INTEGER NOT NULL,
  PRIMARY KEY (minute, scope, subject, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_hours (
  minute   INTEGER NOT NULL,
  scope    TEXT NOT NULL,
  subject  TEXT NOT NULL,
  metric   TEXT NOT NULL,
  count    INTEGER NOT NULL,
  total    INTEGER NOT NULL,
  PRIMARY KEY (minute, scope, subject, metric)
) STRICT, WITHOUT ROWID
