-- credentials    The token of each credential with a token service, by its owner ("credential/NAME", "source/NAME",
--                "destination/NAME"). `body` is sealed; it is empty before the first token. `fence` grows with each lock;
--                `owner` is empty while there is none, and `locked_until` (Unix seconds) ends the lock of a process that
--                is gone. `attempts` counts the refreshes that were announced and not answered.
-- items          There is one more kind: a shared credential.

CREATE TABLE credentials (
  name          text COLLATE "C" PRIMARY KEY,
  body          bytea NOT NULL,
  fence         bigint NOT NULL,
  attempts      integer NOT NULL,
  owner         text COLLATE "C" NOT NULL,
  locked_until  double precision NOT NULL
);
ALTER TABLE items DROP CONSTRAINT items_kind_check;
