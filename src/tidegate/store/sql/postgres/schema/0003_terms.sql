-- Version 0.2 names things as the field does (docs/concepts.md). Data is kept. No release before 0.2 can read it, so
-- this one upgrade needs a full stop of all nodes; those to come are replaced node by node again.

ALTER TABLE exceptions RENAME TO deferred_deliveries;
ALTER INDEX exceptions_due RENAME TO deferred_due;
ALTER INDEX exceptions_by_event RENAME TO deferred_by_event;
ALTER INDEX exceptions_pkey RENAME TO deferred_deliveries_pkey;

ALTER TABLE lanes RENAME COLUMN position TO committed_offset;
ALTER TABLE lanes RENAME COLUMN ahead TO settled_ahead;
ALTER TABLE lanes RENAME COLUMN cancelled TO canceled;
ALTER TABLE feeds RENAME COLUMN position TO committed_offset;
ALTER TABLE replays RENAME COLUMN position TO committed_offset;
ALTER TABLE resource_states RENAME COLUMN log_position TO committed_offset;
ALTER TABLE resource_states RENAME COLUMN memo TO engine_state;
ALTER TABLE refusals RENAME TO rejections;
ALTER INDEX refusals_pkey RENAME TO rejections_pkey;

ALTER TABLE nodes RENAME COLUMN mark TO high_water_mark;
ALTER TABLE shares RENAME TO partitions;
ALTER TABLE partitions RENAME COLUMN mark TO high_water_mark;
ALTER INDEX shares_pkey RENAME TO partitions_pkey;

ALTER TABLE ranges DROP CONSTRAINT ranges_state_check;
UPDATE ranges SET state = 'canceled' WHERE state = 'cancelled';
ALTER TABLE ranges ADD CONSTRAINT ranges_state_check CHECK (state IN ('exhausted', 'canceled'));

UPDATE replays
  SET query = convert_to(replace(convert_from(query, 'UTF8'), '"state":"cancelled"', '"state":"canceled"'), 'UTF8')
  WHERE position('"state":"cancelled"'::bytea IN query) > 0;

-- The bracket and the quote belong to the pattern: a record that waits to be fetched may have any key.
UPDATE resource_states
  SET engine_state =
        convert_to(replace(convert_from(engine_state, 'UTF8'), '"suspects":["', '"candidates":["'), 'UTF8'),
      statistics =
        convert_to(replace(convert_from(statistics, 'UTF8'), '"braked":', '"stopped_by_ratio":'), 'UTF8')
