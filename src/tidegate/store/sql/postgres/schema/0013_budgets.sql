-- budgets  The schedule of requests of a credential or of the API of a source, for all nodes. `next_at`: when the next
--          request would leave without a burst. `held_until`: nothing leaves before. Both are seconds since 1970.

CREATE TABLE budgets (
  name        text COLLATE "C" PRIMARY KEY,
  next_at     double precision NOT NULL,
  held_until  double precision NOT NULL
);
