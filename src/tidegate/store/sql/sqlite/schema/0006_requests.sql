-- request_heads  The first lines of requests as they were sent: method, address and the headers that are the same for
--                every request of one configuration. Credentials are masked before they are stored. `number` is a hash
--                of `head`, so equal heads are one row. One row for each changed configuration; never deleted.
-- attempts       `head` is a row of request_heads, 0 for none. `request` has what varies: the other header lines, and
--                the body where it cannot be made from the event again (MessagePack). Deleted with the event.

CREATE TABLE request_heads (
  number  INTEGER PRIMARY KEY,
  head    BLOB NOT NULL
) STRICT;
ALTER TABLE attempts ADD COLUMN head INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN request BLOB NOT NULL DEFAULT x''
