-- lanes.breaker  State of the destination's circuit breaker over a restart, as JSON with the instant at which it was
--                stored. Empty: closed, with nothing learned. Belongs to the deliver engine.

ALTER TABLE lanes ADD COLUMN breaker bytea NOT NULL DEFAULT '';
