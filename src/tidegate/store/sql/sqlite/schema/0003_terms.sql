-- Version 0.2 names things as the field does (docs/concepts.md). Data is kept; releases before 0.2 cannot read it.

ALTER TABLE exceptions RENAME TO deferred_deliveries;
DROP INDEX exceptions_due;
DROP INDEX exceptions_by_event;
CREATE INDEX deferred_due ON deferred_deliveries (destination, due_at) WHERE state = 0;
CREATE INDEX deferred_by_event ON deferred_deliveries (offset);

ALTER TABLE lanes RENAME COLUMN position TO committed_offset;
ALTER TABLE lanes RENAME COLUMN ahead TO settled_ahead;
ALTER TABLE lanes RENAME COLUMN cancelled TO canceled;
ALTER TABLE feeds RENAME COLUMN position TO committed_offset;
ALTER TABLE replays RENAME COLUMN position TO committed_offset;
ALTER TABLE resource_states RENAME COLUMN log_position TO committed_offset;
ALTER TABLE resource_states RENAME COLUMN memo TO engine_state;
ALTER TABLE refusals RENAME TO rejections;

-- A CHECK cannot be changed in place, and it holds the old spelling of a state.
CREATE TABLE ranges_renamed (
  destination  INTEGER NOT NULL,
  after        INTEGER NOT NULL,
  upto         INTEGER NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('exhausted', 'canceled')),
  cause        TEXT NOT NULL,
  at           INTEGER NOT NULL,
  PRIMARY KEY (destination, upto)
) STRICT, WITHOUT ROWID;
INSERT INTO ranges_renamed
  SELECT destination, after, upto, CASE state WHEN 'cancelled' THEN 'canceled' ELSE state END, cause, at FROM ranges;
DROP TABLE ranges;
ALTER TABLE ranges_renamed RENAME TO ranges;

UPDATE replays SET query = CAST(replace(CAST(query AS TEXT), '"state":"cancelled"', '"state":"canceled"') AS BLOB)
  WHERE instr(query, '"state":"cancelled"') > 0;
-- The bracket and the quote belong to the pattern: a record that waits to be fetched may have any key.
UPDATE resource_states
  SET engine_state = CAST(replace(CAST(engine_state AS TEXT), '"suspects":["', '"candidates":["') AS BLOB),
      statistics = CAST(replace(CAST(statistics AS TEXT), '"braked":', '"stopped_by_ratio":') AS BLOB);
UPDATE settings SET name = 'high_water_mark' WHERE name = 'mark'
