-- events.origin  There are more origins than 0 to 6 now: 7 is an edited copy. SQLite cannot change a CHECK in place, and
--                copying the log would take long, so the text of the table is changed, as SQLite documents it for
--                constraints that get weaker (https://www.sqlite.org/lang_altertable.html, section 7).

CREATE TABLE origins_step (one INTEGER);
DROP TABLE origins_step;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (origin BETWEEN 0 AND 6)', 'CHECK (origin BETWEEN 0 AND 31)')
  WHERE type = 'table' AND name = 'events';
PRAGMA writable_schema = RESET
