-- request_heads  The first lines of requests as they were sent: method, address and the headers that are the same for
--                every request of one configuration. Credentials are masked before they are stored. `number` is a hash
--                of `head`, so equal heads are one row. One row for each changed configuration; never deleted.
-- attempts       `head` is a row of request_heads, 0 for none. `request` has what varies: the other header lines, and
--                the body where it cannot be made from the event again (MessagePack). Dropped with the span.

CREATE TABLE request_heads (
  number  bigint PRIMARY KEY,
  head    bytea NOT NULL
);
ALTER TABLE attempts ADD COLUMN head bigint NOT NULL DEFAULT 0, ADD COLUMN request bytea NOT NULL DEFAULT '';
