-- A feed belongs to the set of sources that its first acknowledgment was allowed to read, and counts for the API key
-- that made it. `sources` is written as in `keys`: '' means all. Feeds that exist already belong to all sources.

ALTER TABLE feeds ADD COLUMN sources TEXT NOT NULL DEFAULT '';
ALTER TABLE feeds ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX feeds_by_owner ON feeds (owner)
