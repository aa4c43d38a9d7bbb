-- Commands between nodes are rows, so that sending one needs rights on this schema. Until here they were the payload of
-- notifications, which every role of the database can send.
--
-- node_commands  `command` and `answer` belong to the engines. `result` is 'answer', 'error' or 'elsewhere'. Rows live
--                for seconds, so they are not logged: a crash of the server deletes them, and the senders time out.

CREATE UNLOGGED TABLE node_commands (
  id         text COLLATE "C" PRIMARY KEY,
  sender     text COLLATE "C" NOT NULL,
  recipient  text COLLATE "C" NOT NULL,
  partition  smallint NOT NULL,
  command    bytea NOT NULL,
  sent_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  taken_at   timestamptz,
  result     text COLLATE "C" CHECK (result IN ('answer', 'error', 'elsewhere')),
  answer     bytea
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 200);
CREATE INDEX node_commands_to_take ON node_commands (recipient) WHERE taken_at IS NULL;
CREATE INDEX node_commands_by_age ON node_commands (sent_at);
